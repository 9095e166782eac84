//! The mesh for programs that use reqwest.

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Body, Request, Response, ResponseBuilderExt};
use reqwest_middleware::{Error, Middleware, Next, Result};

use super::http::Client;
use super::target::Options;
use crate::xds::Mesh;

/// Sends the requests of a reqwest client through the mesh.
///
/// It belongs last: it sends requests itself, so middleware after it is not called, and neither is
/// the client below: its redirects, cookies, decompression, proxies and default timeout do not
/// apply. The timeout of a single request does. Everything else is as for [`Client`]; failures of
/// the mesh are [`Error::Middleware`] and hold a [`mesh_hyper::Error`](crate::Error).
///
/// # Examples
///
/// ```no_run
/// # fn client(mesh: mesh_hyper::Mesh) -> reqwest_middleware::ClientWithMiddleware {
/// use mesh_hyper::MeshMiddleware;
///
/// reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
///     .with(MeshMiddleware::new(&mesh))
///     .build()
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MeshMiddleware(Client);

impl MeshMiddleware {
    /// Middleware that sends requests through `mesh`.
    #[must_use]
    pub fn new(mesh: &Mesh) -> Self {
        Self(Client::new(mesh))
    }
}

impl From<Client> for MeshMiddleware {
    fn from(client: Client) -> Self {
        Self(client)
    }
}

#[async_trait]
impl Middleware for MeshMiddleware {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let mut options = Options::default();
        if let Some(timeout) = request.timeout() {
            options = options.timeout(*timeout);
        }
        let url = request.url().clone();
        let request = http::Request::<Body>::try_from(request)?;
        let response = self.0.send(request, options).await.map_err(Error::middleware)?;
        let (parts, body) = response.into_parts();
        let with_url = http::Response::builder().url(url).body(Body::wrap(body));
        let mut response = with_url.map_err(Error::middleware)?;
        *response.status_mut() = parts.status;
        *response.version_mut() = parts.version;
        *response.headers_mut() = parts.headers;
        response.extensions_mut().extend(parts.extensions);
        Ok(response.into())
    }
}
