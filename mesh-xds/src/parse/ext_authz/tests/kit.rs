//! Filters by their configuration, requests on their way, and what the service says.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::grpc_service::{EnvoyGrpc, TargetSpecifier};
use envoy_types::pb::envoy::config::core::v3::http_uri::HttpUpstreamType;
use envoy_types::pb::envoy::config::core::v3::{
    GrpcService, HeaderValue as Field, HeaderValueOption, HttpUri,
};
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::ext_authz::Services;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::{
    AuthorizationResponse, ExtAuthz, HttpService,
};
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{ListStringMatcher, StringMatcher};
use envoy_types::pb::google::protobuf::BoolValue;
use envoy_types::pb::google::rpc::Status;
use http::{HeaderMap, Method, StatusCode, Uri};
use mesh_core::filter::{
    Beginning, Context, Factory, Filter, HeaderChanges, LocalResponse, Slot, Step,
};
use mesh_core::identity::{Certificate, Peer, Session};
use mesh_core::metadata::Metadata;
use mesh_core::request::RequestHead;
use mesh_core::rng::XorShift;
use mesh_core::side::{Call, Failure, Reply};
use mesh_core::testing::at;
use prost::Message;

use crate::parse::ext_authz::ExtAuthzFactory;

pub(super) const NAMESPACE: &str = "envoy.filters.http.ext_authz";

pub(super) fn grpc() -> ExtAuthz {
    let envoy = EnvoyGrpc { cluster_name: "authz".into(), ..EnvoyGrpc::default() };
    let service = GrpcService {
        target_specifier: Some(TargetSpecifier::EnvoyGrpc(envoy)),
        ..GrpcService::default()
    };
    ExtAuthz { services: Some(Services::GrpcService(service)), ..ExtAuthz::default() }
}

pub(super) fn plain() -> ExtAuthz {
    let uri = HttpUri {
        uri: "http://authz.test/ignored".into(),
        timeout: Some(envoy_types::pb::google::protobuf::Duration { seconds: 1, nanos: 0 }),
        http_upstream_type: Some(HttpUpstreamType::Cluster("authz".into())),
    };
    let service = HttpService {
        server_uri: Some(uri),
        path_prefix: "/check".into(),
        authorization_response: Some(AuthorizationResponse {
            allowed_upstream_headers: Some(names(&["x-user"])),
            allowed_upstream_headers_to_append: Some(names(&["x-group"])),
            allowed_client_headers: Some(names(&["www-authenticate"])),
            allowed_client_headers_on_success: Some(names(&["x-seen"])),
            dynamic_metadata_from_headers: Some(names(&["x-note"])),
        }),
        ..HttpService::default()
    };
    ExtAuthz { services: Some(Services::HttpService(service)), ..ExtAuthz::default() }
}

pub(super) fn names(all: &[&str]) -> ListStringMatcher {
    let exact = |name: &&str| StringMatcher {
        match_pattern: Some(MatchPattern::Exact((*name).into())),
        ..StringMatcher::default()
    };
    ListStringMatcher { patterns: all.iter().map(exact).collect() }
}

pub(super) fn filter(message: &ExtAuthz) -> Arc<dyn Filter> {
    let factory = ExtAuthzFactory;
    factory.build(&factory.parse(&message.encode_to_vec()).unwrap(), &[])
}

/// A request on its way.
pub(super) struct Way {
    pub(super) headers: HeaderMap,
    pub(super) slot: Slot,
    pub(super) metadata: Metadata,
}

impl Way {
    pub(super) fn new(headers: &[(&'static str, &str)]) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        Self { headers: headers.collect(), slot: Slot::Empty, metadata: Metadata::default() }
    }

    pub(super) fn poll(
        &mut self,
        filter: &dyn Filter,
        answer: Option<Result<Reply, Failure>>,
    ) -> Step {
        self.poll_with(filter, answer, None)
    }

    pub(super) fn poll_with(
        &mut self,
        filter: &dyn Filter,
        answer: Option<Result<Reply, Failure>>,
        body: Option<Beginning>,
    ) -> Step {
        let (method, uri) = (Method::PUT, Uri::from_static("/a/b?c=d"));
        let (mut rng, mut changes) = (XorShift::new(1), HeaderChanges::default());
        let certificate =
            Certificate { uris: ["spiffe://td/a".into()].into(), ..Certificate::default() };
        let session = Session { certificate: Some(certificate), ..Session::default() };
        let peer = Peer {
            remote: Some(([192, 0, 2, 1], 7).into()),
            local: Some(([192, 0, 2, 2], 80).into()),
            session: Some(session),
        };
        let mut context = Context {
            now: at(0),
            wall: 1_000,
            peer: Some(&peer),
            connection: None,
            route: None,
            cluster: None,
            metadata: std::mem::take(&mut self.metadata),
            rng: &mut rng,
            answer,
            body,
            changes: &mut changes,
        };
        let head = RequestHead::from_pieces(&method, &uri, &self.headers, "host");
        let step = filter.poll_request(&mut self.slot, &head, &mut context);
        self.metadata = context.metadata;
        changes.apply(&mut self.headers);
        step
    }

    pub(super) fn call(&mut self, filter: &dyn Filter) -> Call {
        let step = self.poll(filter, None);
        let Step::Ask(call) = step else { panic!("asks: {step:?}") };
        *call
    }

    /// The answer that the request gets after the service has said `reply`; none if it passes.
    pub(super) fn after(
        &mut self,
        filter: &dyn Filter,
        reply: Result<Reply, Failure>,
    ) -> Option<LocalResponse> {
        self.call(filter);
        let step = self.poll(filter, Some(reply));
        if matches!(step, Step::Continue) {
            return None;
        }
        let Step::Respond(response) = step else { panic!("waits: {step:?}") };
        Some(response)
    }
}

pub(super) fn reply(message: &CheckResponse) -> Result<Reply, Failure> {
    let message = message.encode_to_vec().into();
    Ok(Reply { status: StatusCode::OK, headers: HeaderMap::new(), message })
}

pub(super) fn said(code: i32, response: Option<HttpResponse>) -> CheckResponse {
    let status = Some(Status { code, ..Status::default() });
    CheckResponse { status, http_response: response, ..CheckResponse::default() }
}

pub(super) fn option(
    key: &str,
    value: &str,
    append: Option<bool>,
    action: i32,
) -> HeaderValueOption {
    #[expect(deprecated, reason = "services send it")]
    HeaderValueOption {
        header: Some(Field { key: key.into(), value: value.into(), ..Field::default() }),
        append: append.map(|value| BoolValue { value }),
        append_action: action,
        keep_empty_value: false,
    }
}
