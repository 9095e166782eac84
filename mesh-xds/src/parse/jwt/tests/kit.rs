//! Filters by their configuration, and requests that they are asked about.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::core::v3::{DataSource, HttpUri, http_uri};
use envoy_types::pb::envoy::config::route::v3::RouteMatch;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::jwt_provider::JwksSourceSpecifier;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::jwt_requirement::RequiresType;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::requirement_rule::RequirementType;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::{
    JwtAuthentication, JwtProvider, JwtRequirement, RemoteJwks, RequirementRule,
};
use envoy_types::pb::google::protobuf::Duration;
use http::{HeaderMap, Method, Uri};
use mesh_core::filter::{Context, Factory, Filter, HeaderChanges, LocalResponse, Slot, Step};
use mesh_core::metadata::Metadata;
use mesh_core::request::RequestHead;
use mesh_core::rng::XorShift;
use mesh_core::side;
use mesh_core::testing::at;
use prost::Message;

use crate::jwt::tests::kit::{Signer, set};
use crate::parse::jwt::JwtFactory;

/// The time at which all is decided, in seconds since 1970.
pub(super) const WALL: u64 = 1_000_000;

pub(super) static SIGNER: LazyLock<Signer> = LazyLock::new(Signer::ec);

/// A token of [`SIGNER`], whose key is called `k`.
pub(super) fn token(claims: &str) -> String {
    SIGNER.token(r#"{"alg":"ES256","kid":"k"}"#, claims)
}

/// A provider of the tokens of `issuer`, with the key of [`SIGNER`].
pub(super) fn provider(issuer: &str) -> JwtProvider {
    JwtProvider {
        issuer: issuer.into(),
        jwks_source_specifier: inline(set(&[SIGNER.key("k")])),
        ..JwtProvider::default()
    }
}

/// Keys that stand in the configuration.
pub(super) fn inline(keys: String) -> Option<JwksSourceSpecifier> {
    let specifier = Some(Specifier::InlineString(keys));
    Some(JwksSourceSpecifier::LocalJwks(DataSource { specifier, watched_directory: None }))
}

/// The same with keys that are fetched.
pub(super) fn remote(issuer: &str) -> JwtProvider {
    let uri = HttpUri {
        uri: "https://issuer.test/keys?v=1".into(),
        timeout: Some(Duration { seconds: 5, nanos: 0 }),
        http_upstream_type: Some(http_uri::HttpUpstreamType::Cluster("issuer".into())),
    };
    let source = RemoteJwks { http_uri: Some(uri), ..RemoteJwks::default() };
    let keys = Some(JwksSourceSpecifier::RemoteJwks(source));
    JwtProvider { jwks_source_specifier: keys, ..provider(issuer) }
}

pub(super) fn needs(kind: RequiresType) -> JwtRequirement {
    JwtRequirement { requires_type: Some(kind) }
}

pub(super) fn named(provider: &str) -> JwtRequirement {
    needs(RequiresType::ProviderName(provider.into()))
}

pub(super) fn rule(prefix: &str, requirement: JwtRequirement) -> RequirementRule {
    let path_specifier = Some(PathSpecifier::Prefix(prefix.into()));
    RequirementRule {
        r#match: Some(RouteMatch { path_specifier, ..RouteMatch::default() }),
        requirement_type: Some(RequirementType::Requires(requirement)),
    }
}

/// All requests need a token of `provider`, which is called `p`.
pub(super) fn strict(provider: JwtProvider) -> JwtAuthentication {
    JwtAuthentication {
        providers: HashMap::from([("p".to_owned(), provider)]),
        rules: vec![rule("/", named("p"))],
        ..JwtAuthentication::default()
    }
}

pub(super) fn filter(message: &JwtAuthentication) -> Arc<dyn Filter> {
    let factory = JwtFactory::default();
    factory.build(&factory.parse(&message.encode_to_vec()).unwrap(), &[])
}

/// A request, and what is known around it.
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) headers: HeaderMap,
    pub(super) slot: Slot,
    /// Seconds of the monotonic clock.
    pub(super) now: u64,
    pub(super) metadata: Metadata,
}

impl Ask {
    pub(super) fn get(uri: &str) -> Self {
        Self {
            method: Method::GET,
            uri: uri.into(),
            headers: HeaderMap::new(),
            slot: Slot::Empty,
            now: 0,
            metadata: Metadata::default(),
        }
    }

    pub(super) fn with(token: &str) -> Self {
        Self::get("/").header("authorization", &format!("Bearer {token}"))
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    pub(super) fn at(mut self, seconds: u64) -> Self {
        self.now = seconds;
        self
    }

    /// Asks `filter`, and makes the changes it wants.
    pub(super) fn poll(
        &mut self,
        filter: &dyn Filter,
        answer: Option<Result<side::Reply, side::Failure>>,
    ) -> Step {
        let uri: Uri = self.uri.parse().unwrap();
        let (mut rng, mut changes) = (XorShift::new(1), HeaderChanges::default());
        let mut context = Context {
            now: at(self.now),
            wall: WALL,
            peer: None,
            connection: None,
            route: None,
            cluster: None,
            metadata: std::mem::take(&mut self.metadata),
            rng: &mut rng,
            answer,
            body: None,
            changes: &mut changes,
        };
        let head = RequestHead::from_pieces(&self.method, &uri, &self.headers, "host");
        let step = filter.poll_request(&mut self.slot, &head, &mut context);
        self.metadata = context.metadata;
        changes.apply(&mut self.headers);
        step
    }

    /// What the request comes to without waiting: status and text, or nothing if it passes.
    pub(super) fn seen(&mut self, filter: &dyn Filter) -> Option<(u16, String)> {
        let step = self.poll(filter, None);
        if matches!(step, Step::Continue) {
            return None;
        }
        let Step::Respond(response) = step else { panic!("waits: {step:?}") };
        Some(words(&response))
    }
}

pub(super) fn words(response: &LocalResponse) -> (u16, String) {
    (response.status.as_u16(), String::from_utf8_lossy(&response.body).into_owned())
}

/// A reply with the keys `json`.
pub(super) fn reply(status: u16, json: impl Into<Bytes>) -> Result<side::Reply, side::Failure> {
    let status = http::StatusCode::from_u16(status).unwrap();
    Ok(side::Reply { status, headers: HeaderMap::new(), message: json.into() })
}
