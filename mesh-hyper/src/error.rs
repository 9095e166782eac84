//! Why a call failed.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

/// A call that the mesh could not complete.
///
/// `Display` says what failed in one line: target, route, cluster and reason; never headers or
/// bodies of the request.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: Arc<str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// There is no configuration for the target: not yet, not any more, or refused.
    NoConfig,
    /// No virtual host or route matches, or the route cannot serve a client.
    NoRoute,
    /// The route's cluster does not exist or is broken.
    NoCluster,
    /// No endpoint can be reached, or the cluster has none.
    NoEndpoint,
    /// The control plane says to drop a share of the calls, and this is one.
    Dropped,
    /// A limit on concurrent or waiting calls was reached.
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
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    pub(crate) fn with(
        kind: Kind,
        message: impl Into<Arc<str>>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: Some(source.into()) }))
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
