//! Why a call failed.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;
use mesh_core::cluster::Address;

/// A call that the mesh could not complete.
///
/// `Display` says what failed in one line: target, route, cluster and reason; never headers or
/// bodies of the request.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: Arc<str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    upstream: Option<Address>,
    attempts: u32,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// There is no configuration for the target: not yet, not any more, or refused.
    NoConfig,
    /// The authority is not in the mesh, and the outbound policy lets nothing else out.
    Outside,
    /// No virtual host or route matches, or the route cannot serve a client.
    NoRoute,
    /// The route's cluster does not exist or is broken.
    NoCluster,
    /// No endpoint can be reached, or the cluster has none.
    NoEndpoint,
    /// The control plane says to drop a share of the calls, and this is one.
    Dropped,
    /// A limit on concurrent or waiting calls was reached, or the breakers of all endpoints refuse.
    Overloaded,
    /// The deadline passed.
    Deadline,
    /// The connection or stream broke.
    Transport,
    /// The peer, or the caller itself, cancelled the stream.
    Cancelled,
    /// The caller's own request body failed.
    Body,
    /// The request cannot be sent as it is: a relative URI, a bad header.
    Request,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<Arc<str>>) -> Self {
        Self::assemble(kind, message.into(), None)
    }

    pub(crate) fn with(
        kind: Kind,
        message: impl Into<Arc<str>>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::assemble(kind, message.into(), Some(source.into()))
    }

    fn assemble(
        kind: Kind,
        message: Arc<str>,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Box::new(Inner { kind, message, source, upstream: None, attempts: 0 }))
    }

    /// The same for a request that has been sent `attempts` times, at last to `upstream`.
    pub(crate) fn sent(mut self, upstream: Option<&Address>, attempts: u32) -> Self {
        self.0.upstream = upstream.cloned();
        self.0.attempts = attempts;
        self
    }

    /// The failure of an HTTP/2 stream.
    pub(crate) fn stream(error: h2::Error) -> Self {
        let kind = match error.reason() {
            Some(h2::Reason::CANCEL) if error.is_remote() => Kind::Cancelled,
            _ => Kind::Transport,
        };
        Self::with(kind, format!("the stream broke: {error}"), error)
    }

    /// The failure of the caller's own request body.
    pub(crate) fn body(error: Box<dyn StdError + Send + Sync>) -> Self {
        Self::with(Kind::Body, format!("the request body failed: {error}"), error)
    }

    /// The HTTP/2 error code that ended the stream, if one did.
    #[must_use]
    pub fn http2_code(&self) -> Option<u32> {
        let error = self.0.source.as_deref()?.downcast_ref::<h2::Error>()?;
        error.reason().map(u32::from)
    }

    /// What kind of failure it was.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The endpoint that the request was last sent to, if it was sent at all.
    #[must_use]
    pub fn upstream(&self) -> Option<&Address> {
        self.0.upstream.as_ref()
    }

    /// How often the request was sent; 0 if it never left.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Whether the deadline passed.
    #[must_use]
    pub fn is_deadline(&self) -> bool {
        self.kind() == Kind::Deadline
    }

    /// The HTTP status that a proxy would have answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind() {
            Kind::NoRoute => StatusCode::NOT_FOUND,
            Kind::Outside => StatusCode::BAD_GATEWAY,
            Kind::Deadline => StatusCode::GATEWAY_TIMEOUT,
            Kind::Request => StatusCode::BAD_REQUEST,
            Kind::NoConfig
            | Kind::NoCluster
            | Kind::NoEndpoint
            | Kind::Dropped
            | Kind::Overloaded
            | Kind::Transport
            | Kind::Cancelled
            | Kind::Body => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// An error of any kind.
pub type BoxError = Box<dyn StdError + Send + Sync>;
