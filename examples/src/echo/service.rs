//! The echo as a tower service, for servers of the mesh.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body::Body;
use tower_service::Service;

use super::{Answer, answer};

/// The echo as a tower service.
#[derive(Clone, Debug)]
pub struct Echo {
    backend: HeaderValue,
}

impl Echo {
    /// One called `name`.
    ///
    /// # Errors
    /// When `name` cannot be in a header field.
    pub fn new(name: &str) -> std::io::Result<Self> {
        let backend = HeaderValue::from_str(name).map_err(std::io::Error::other)?;
        Ok(Self { backend })
    }
}

impl<B> Service<Request<B>> for Echo
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(answer(request, self.backend.clone()))
    }
}
