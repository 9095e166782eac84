//! A response to somebody who wants its content.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mesh_core::cluster::Address;

use crate::body::{Collected, ResponseBody};
use crate::error::Error;

/// A response of [`Client`](super::Client), its body still to be read.
///
/// # Cancel safety
/// Dropping it cancels the call.
#[derive(Debug)]
#[must_use = "dropping a response cancels its call"]
pub struct Response(http::Response<ResponseBody>);

impl Response {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// The header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.0.headers()
    }

    /// The endpoint that answers; `None` when the mesh itself has answered.
    #[must_use]
    pub fn upstream(&self) -> Option<&Address> {
        self.0.body().upstream()
    }

    /// Reads the body to its end.
    ///
    /// # Errors
    /// When the stream breaks, or the deadline passes.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        self.collected().await.map(|collected| collected.content)
    }

    /// Reads the body to its end as text; bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// When the stream breaks, or the deadline passes.
    pub async fn text(self) -> Result<String, Error> {
        self.0.into_body().text().await
    }

    /// Reads the body to its end, with its trailers.
    ///
    /// # Errors
    /// When the stream breaks, or the deadline passes.
    pub async fn collected(self) -> Result<Collected, Error> {
        self.0.into_body().collected().await
    }
}

impl From<http::Response<ResponseBody>> for Response {
    fn from(response: http::Response<ResponseBody>) -> Self {
        Self(response)
    }
}

impl From<Response> for http::Response<ResponseBody> {
    fn from(response: Response) -> Self {
        response.0
    }
}
