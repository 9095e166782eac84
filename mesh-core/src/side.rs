//! Calls that a decision needs answered before it can decide: authorization servers, rate limit
//! services, health checks.
//!
//! A port: floor 0 says what it wants, the data plane sends it over the mesh's own transport, so
//! these calls get the mesh's load balancing and limits. Messages are bytes here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

/// One unary call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The cluster that answers it.
    pub cluster: Arc<str>,
    /// `:authority`; the cluster's name when empty.
    pub authority: Arc<str>,
    /// `:path`, such as `/envoy.service.auth.v3.Authorization/Check`.
    pub path: Arc<str>,
    /// Further header fields.
    pub headers: HeaderMap,
    /// How it is spoken.
    pub encoding: Encoding,
    /// The request message, without gRPC framing; in HTTP the body.
    pub message: Bytes,
    /// Bound on the whole call, waiting for a connection included.
    pub timeout: Duration,
}

/// How a [`Call`] is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A unary gRPC call: a status other than 0 is a [`Failure::Status`].
    Grpc,
    /// A plain HTTP request: whatever status comes back is a [`Reply`].
    Http(Method),
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// The response message, without gRPC framing; in HTTP the body.
    pub message: Bytes,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The cluster is not known.
    #[error("cluster {0} is not known")]
    NoCluster(Arc<str>),
    /// The call took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The server answered with an error status.
    #[error("answered with gRPC status {code}: {message}")]
    Status {
        /// `grpc-status`.
        code: u16,
        /// `grpc-message`.
        message: String,
    },
    /// The call could not be sent, or its answer was not understood.
    #[error("{0}")]
    Transport(String),
}

/// The answer to a [`Call`], some time later. Dropping it cancels the call.
pub type Answer = Pin<Box<dyn Future<Output = Result<Reply, Failure>> + Send>>;

/// Sends side calls.
pub trait SideCalls: Send + Sync {
    /// Sends `call`.
    fn unary(&self, call: Call) -> Answer;
}
