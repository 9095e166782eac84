//! A response that the mesh makes itself.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// A response made here instead of upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalResponse {
    /// The HTTP status, for HTTP callers.
    pub status: StatusCode,
    /// The gRPC status code, for gRPC callers; 0 to 16.
    pub grpc: u8,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body for HTTP callers, and `grpc-message` for gRPC callers.
    pub body: Bytes,
    /// Which rule decided; goes to logs, never to the caller.
    pub why: std::borrow::Cow<'static, str>,
}

impl LocalResponse {
    /// The gRPC status code that stands for an HTTP status (Envoy's and gRPC's table).
    #[must_use]
    pub fn grpc_code(status: StatusCode) -> u8 {
        match status.as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502..=504 => 14,
            _ => 2,
        }
    }
}
