//! Asking an authorization service (Envoy's `envoy.filters.http.ext_authz`).
//!
//! ```text
//! request ─► CheckRequest, or an HTTP request like it ─► the service
//!   passes, changed ◄── Verdict::Allow ◄──┬── CheckResponse, or an HTTP response
//!   answered        ◄── Verdict::Deny  ◄──┤
//!   answered, or let pass if configured ◄─┴── no answer that is understood in time
//! ```

mod body;
mod changes;
mod check;
mod filter;
mod grpc;
mod http;
mod settings;

pub(crate) use changes::Allowed;
pub(crate) use filter::Ask;
pub(crate) use settings::{
    BodyOnRoute, Buffering, Grpc, Headers, Http, OnRoute, Service, Settings,
};

/// What an authorization service says of a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It may pass, changed like this.
    Allow(Box<Allowed>),
    /// It may not.
    Deny(Box<Denied>),
    /// Nothing that is understood; why.
    Error(String),
    /// Its own error, and what is to be said of it.
    Broken(Box<Denied>),
}

/// What a request is answered with that may not pass.
#[derive(Debug)]
pub(crate) struct Denied {
    pub(crate) status: ::http::StatusCode,
    pub(crate) headers: ::http::HeaderMap,
    pub(crate) body: bytes::Bytes,
    pub(crate) notes: mesh_core::metadata::Fields,
}
