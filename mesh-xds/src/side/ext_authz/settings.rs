//! What an `ExtAuthz` configures.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use mesh_core::matcher::{Fraction, StringMatcher};

/// What an `ExtAuthz` configures.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) service: Service,
    /// The cluster of the service.
    pub(crate) cluster: Arc<str>,
    /// `:authority`; the cluster's name when empty.
    pub(crate) authority: Arc<str>,
    /// How long the answer may take (200 ms by default).
    pub(crate) timeout: Duration,
    /// Whether requests pass when there is no answer (`failure_mode_allow`).
    pub(crate) failure_mode_allow: bool,
    /// Whether those say so (`failure_mode_allow_header_add`).
    pub(crate) failure_mode_allow_header_add: bool,
    /// What others are answered with (`status_on_error`, 403 by default).
    pub(crate) status_on_error: StatusCode,
    /// Whether an answer with header fields that cannot be is an error (`validate_mutations`).
    pub(crate) validate_mutations: bool,
    /// The share of requests that is asked about (`filter_enabled`); all by default.
    pub(crate) enabled: Option<Fraction>,
    /// Whether the others are denied (`deny_at_disable`).
    pub(crate) deny_at_disable: bool,
    /// Which header fields the service sees.
    pub(crate) headers: Headers,
    /// How much of the body it sees (`with_request_body`).
    pub(crate) body: Option<Buffering>,
    /// `metadata_context_namespaces`.
    pub(crate) namespaces: Vec<Box<str>>,
    /// `route_metadata_context_namespaces`.
    pub(crate) route_namespaces: Vec<Box<str>>,
    /// `include_peer_certificate`.
    pub(crate) include_peer_certificate: bool,
    /// `include_tls_session`.
    pub(crate) include_tls_session: bool,
    /// Whether the service's metadata is taken (`enable_dynamic_metadata_ingestion`).
    pub(crate) takes_metadata: bool,
    /// Bytes of a denial's body at the most (`max_denied_response_body_bytes`); 0 for all.
    pub(crate) max_denied_body: usize,
}

/// How much of the body the service sees (`BufferSettings`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffering {
    /// `max_request_bytes`, more than 0.
    pub(crate) most: usize,
    /// Whether longer bodies are cut rather than refused (`allow_partial_message`).
    pub(crate) is_cut: bool,
    /// Whether it goes into `raw_body` (`pack_as_bytes`).
    pub(crate) as_bytes: bool,
}

/// How the service is asked.
#[derive(Debug)]
pub(crate) enum Service {
    Grpc(Grpc),
    Http(Box<Http>),
}

/// A gRPC service (`grpc_service`).
#[derive(Debug)]
pub(crate) struct Grpc {
    /// `initial_metadata`.
    pub(crate) metadata: HeaderMap,
}

/// An HTTP service (`http_service`).
#[derive(Debug)]
pub(crate) struct Http {
    /// Goes before the request's own path.
    pub(crate) prefix: Box<str>,
    /// Takes the place of the path.
    pub(crate) path: Option<Box<str>>,
    /// `authorization_request.headers_to_add`.
    pub(crate) add: HeaderMap,
    /// `allowed_upstream_headers`, and those to append.
    pub(crate) upstream: Vec<StringMatcher>,
    pub(crate) upstream_append: Vec<StringMatcher>,
    /// `allowed_client_headers`; all if `None`.
    pub(crate) client: Option<Vec<StringMatcher>>,
    /// `allowed_client_headers_on_success`.
    pub(crate) client_on_success: Vec<StringMatcher>,
    /// `dynamic_metadata_from_headers`.
    pub(crate) metadata: Vec<StringMatcher>,
}

/// Which header fields of requests the service sees.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    /// `allowed_headers`; all, or in HTTP only `authorization`, if `None`.
    pub(crate) allowed: Option<Vec<StringMatcher>>,
    /// `disallowed_headers`.
    pub(crate) disallowed: Vec<StringMatcher>,
}

impl Headers {
    /// Whether the service sees the field `name`, which it does `otherwise` if nothing is said.
    pub(super) fn shows(&self, name: &str, otherwise: bool) -> bool {
        let is_allowed = match &self.allowed {
            Some(allowed) => any(allowed, name),
            None => otherwise,
        };
        is_allowed && !self.hides(name)
    }

    /// Whether the service never sees the field `name`.
    pub(super) fn hides(&self, name: &str) -> bool {
        // What a client says of it would be taken for what is said here.
        name == PARTIAL || any(&self.disallowed, name)
    }
}

/// Whether one of `matchers` matches `name`.
pub(super) fn any(matchers: &[StringMatcher], name: &str) -> bool {
    matchers.iter().any(|it| it.matches(name.as_bytes()))
}

/// Says whether the service sees only a part of the body.
pub(super) const PARTIAL: &str = "x-envoy-auth-partial-body";

/// What a route says about the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyOnRoute {
    /// Nothing.
    #[default]
    Same,
    /// The service does not see it (`disable_request_body_buffering`).
    Hidden,
    /// How much the service sees of it here.
    Own(Buffering),
}

/// What a route changes (`ExtAuthzPerRoute`).
#[derive(Clone, Debug, Default)]
pub(crate) struct OnRoute {
    /// Whether nothing is asked.
    pub(crate) is_disabled: bool,
    /// `context_extensions`.
    pub(crate) extensions: BTreeMap<String, String>,
    /// How much of the body the service sees.
    pub(crate) body: BodyOnRoute,
}
