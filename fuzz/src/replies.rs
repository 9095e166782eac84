//! What an authorization service answers.

use std::sync::OnceLock;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::grpc_service::{EnvoyGrpc, TargetSpecifier};
use envoy_types::pb::envoy::config::core::v3::http_uri::HttpUpstreamType;
use envoy_types::pb::envoy::config::core::v3::{GrpcService, HttpUri};
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::ext_authz::Services;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::{
    AuthorizationResponse, ExtAuthz, HttpService,
};
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{ListStringMatcher, StringMatcher};
use envoy_types::pb::google::protobuf::Duration;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use mesh_core::filter::{Factory as _, Settings, Step, is_writable};
use mesh_core::side::Reply;
use mesh_xds::parse::ext_authz::ExtAuthzFactory;
use prost::Message as _;

use super::asked::{Asked, ask};

/// The input is an answer: of a service that speaks HTTP if it begins with digits, a status, and
/// fields in lines; of one that speaks gRPC otherwise. It is also taken for the filter's
/// configuration.
///
/// A request passes only if the service says so, and what frames it stays as it is.
pub(crate) fn replies(input: &[u8]) {
    if let Ok(settings) = ExtAuthzFactory.parse(input) {
        drop(asked(&settings, reply(StatusCode::OK, HeaderMap::new(), Bytes::new())));
    }
    let (by_grpc, by_http) = services();
    let (passes, Asked { step, changes }) = match plain(input) {
        Some(reply) => (reply.status == StatusCode::OK, asked(by_http, reply)),
        None => {
            let message = Bytes::copy_from_slice(input);
            (is_ok(input), asked(by_grpc, reply(StatusCode::OK, HeaderMap::new(), message)))
        }
    };
    if let Step::Respond(response) = &step {
        assert!((200..600).contains(&response.status.as_u16()));
    } else {
        assert!(
            matches!(step, Step::Continue) && passes,
            "the service has not let it pass: {step:?}"
        );
    }
    let written = changes.set.iter().chain(&changes.append).map(|(name, _)| name);
    assert!(written.chain(&changes.remove).all(is_writable), "{changes:?}");
}

/// Whether the service lets the request pass, read otherwise.
fn is_ok(input: &[u8]) -> bool {
    let Ok(response) = CheckResponse::decode(input) else { return false };
    let says_ok = matches!(response.http_response, Some(HttpResponse::OkResponse(_)));
    let says_other = response.http_response.is_some() && !says_ok;
    let status = response.status.map(|status| status.code);
    !says_other && status.map_or(says_ok, |code| code == 0)
}

fn plain(input: &[u8]) -> Option<Reply> {
    let (status, rest) = input.split_at_checked(3)?;
    let status = StatusCode::from_bytes(status).ok()?;
    let mut headers = HeaderMap::new();
    for line in rest.split(|byte| *byte == b'\n') {
        let Some(at) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..at]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&line[at + 1..])) {
            // More fields than fit into the map are no concern of the filter.
            let _ = headers.try_append(name, value);
        }
    }
    Some(reply(status, headers, Bytes::from_static(b"no")))
}

fn reply(status: StatusCode, headers: HeaderMap, message: Bytes) -> Reply {
    Reply { status, headers, message }
}

fn asked(settings: &Settings, reply: Reply) -> Asked {
    let request = Request::get("http://shop/a?b=1").header("x-a", "1").body(()).expect("is good");
    let filter = ExtAuthzFactory.build(settings, &[]);
    ask(&*filter, &request.into_parts().0, (0, vec![Ok(reply)]))
}

fn services() -> &'static (Settings, Settings) {
    static SERVICES: OnceLock<(Settings, Settings)> = OnceLock::new();
    SERVICES.get_or_init(|| {
        let parse = |services| {
            let message = ExtAuthz { services: Some(services), ..Default::default() };
            ExtAuthzFactory.parse(&message.encode_to_vec()).expect("the configuration is good")
        };
        let envoy = EnvoyGrpc { cluster_name: "c".into(), ..Default::default() };
        let grpc = GrpcService {
            target_specifier: Some(TargetSpecifier::EnvoyGrpc(envoy)),
            ..Default::default()
        };
        let all = StringMatcher {
            match_pattern: Some(MatchPattern::Prefix("x-".into())),
            ..Default::default()
        };
        let all = Some(ListStringMatcher { patterns: vec![all] });
        let http = HttpService {
            server_uri: Some(HttpUri {
                uri: "http://authz/".into(),
                http_upstream_type: Some(HttpUpstreamType::Cluster("c".into())),
                timeout: Some(Duration { seconds: 1, nanos: 0 }),
            }),
            authorization_response: Some(AuthorizationResponse {
                allowed_upstream_headers: all.clone(),
                allowed_client_headers_on_success: all,
                ..Default::default()
            }),
            ..Default::default()
        };
        (parse(Services::GrpcService(grpc)), parse(Services::HttpService(http)))
    })
}
