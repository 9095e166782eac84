//! The HTTP client: any authority of the mesh, each asked for when a request first names it.

mod policy;
mod response;
mod targets;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Uri};
use http_body::Body;
use tower_service::Service;

pub use self::policy::OutboundPolicy;
pub use self::response::Response;
pub(crate) use self::targets::Open;
use self::targets::{Entry, Targets};
use super::future::ResponseFuture;
use super::target::Options;
use crate::body::{ResponseBody, empty, full};
use crate::error::BoxError;
use crate::error::{Error, Kind};

/// An HTTP client for everything in the mesh.
///
/// The authority of a request's URI, as it is written, names the target: `http://reviews/1` is
/// decided by the configuration of `xds:///reviews`. That is asked for when a request first names
/// it; an authority that has none within a second of its first use, and is not known to exist, is not
/// in the mesh, and its requests end with [`Kind::Outside`] (a proxy's 502) until it has some, or go
/// where [`OutboundPolicy`] says. Whether HTTP/1.1
/// or HTTP/2 is spoken is the cluster's choice (`HttpProtocolOptions`).
///
/// Cheap to clone; clones share what is known of authorities, at most 1024 of them. Beyond that,
/// those are forgotten, and their configuration is let go of, that have not been used for longest.
/// Redirects are handed to the caller.
///
/// A `host` field of a request takes the place of the URI's authority in routing and in what the
/// upstream is told, but does not change the target.
///
/// Also a `tower` service, which is always ready.
#[derive(Clone)]
pub struct Client {
    targets: Arc<Targets>,
    /// The targets of what is not in the mesh.
    outside: Arc<Targets>,
    policy: OutboundPolicy,
    timeout: Option<Duration>,
}

impl Client {
    pub(crate) fn with(open: Open, outside: Open) -> Self {
        let [targets, outside] = [open, outside].map(|open| Arc::new(Targets::new(open)));
        Self { targets, outside, policy: OutboundPolicy::default(), timeout: None }
    }

    /// What becomes of requests to authorities that are not in the mesh. Default:
    /// [`OutboundPolicy::RegistryOnly`].
    #[must_use]
    pub fn outbound_policy(mut self, policy: OutboundPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Bounds each request, from its start to the end of the response's body, where the caller
    /// gives no deadline of its own. Default: no bound but the routes'.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends a GET request to an absolute URI.
    ///
    /// # Errors
    /// When the URI is malformed or not absolute, or as for [`request`](Self::request).
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn get<U>(&self, uri: U) -> Result<Response, Error>
    where
        Uri: TryFrom<U>,
        <Uri as TryFrom<U>>::Error: Into<http::Error>,
    {
        let request = Request::get(uri).body(empty()).map_err(malformed)?;
        self.request(request).await
    }

    /// Sends a POST request with `content` to an absolute URI.
    ///
    /// # Errors
    /// When the URI is malformed or not absolute, or as for [`request`](Self::request).
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn post<U>(&self, uri: U, content: impl Into<Bytes>) -> Result<Response, Error>
    where
        Uri: TryFrom<U>,
        <Uri as TryFrom<U>>::Error: Into<http::Error>,
    {
        let request = Request::post(uri).body(full(content)).map_err(malformed)?;
        self.request(request).await
    }

    /// Sends a request with an absolute URI.
    ///
    /// # Errors
    /// When the mesh cannot complete the call. Every status that a server answers with is a
    /// response.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub async fn request<B>(&self, request: Request<B>) -> Result<Response, Error>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        self.send(request, Options::default()).await.map(Response::from)
    }

    /// Sends a request with an absolute URI as `options` say.
    ///
    /// With [`Options::wait_for_ready`] the authority may stay without configuration for as long as
    /// the deadline allows.
    pub fn send<B>(&self, request: Request<B>, mut options: Options) -> ResponseFuture
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if let (None, Some(timeout)) = (options.deadline, self.timeout) {
            options = options.timeout(timeout);
        }
        let started = authority(&request).cloned().and_then(|authority| {
            let request = addressed(request)?;
            self.targets.with(authority.as_str(), |entry| {
                if options.wait_for_ready || entry.target.is_configured() {
                    return entry.target.call(request, options);
                }
                let (entry, client) = (entry.clone(), self.clone());
                ResponseFuture::later(async move {
                    let entry = client.in_or_out(entry, request.uri(), options).await?;
                    entry.target.call(request, options).await
                })
            })
        });
        started.unwrap_or_else(|error| ResponseFuture::decided(Err(error)))
    }
}

impl Client {
    /// `entry`, or in its place the one of the same authority outside of the mesh.
    async fn in_or_out(
        &self,
        entry: Arc<Entry>,
        uri: &Uri,
        options: Options,
    ) -> Result<Arc<Entry>, Error> {
        let error = match entry.configured(options, self.policy).await {
            Ok(()) => return Ok(entry),
            Err(error) => error,
        };
        if self.policy == OutboundPolicy::RegistryOnly || error.kind() != Kind::Outside {
            return Err(error);
        }
        if uri.scheme() != Some(&Scheme::HTTP) {
            // Plain text in place of what the caller wants secured would be worse than an error.
            let why = format!("{error}; it cannot be dialed with TLS");
            return Err(Error::with(Kind::Outside, why, error));
        }
        let authority = entry.target.authority().as_str();
        self.outside.with(authority, Arc::clone)
    }
}

impl<B> Service<Request<B>> for Client
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<ResponseBody>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ResponseFuture {
        self.send(request, Options::default())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

fn malformed(error: http::Error) -> Error {
    Error::with(Kind::Request, "the request is malformed", error)
}

/// The authority of an absolute URI.
fn authority<B>(request: &Request<B>) -> Result<&Authority, Error> {
    let uri = request.uri();
    match uri.scheme() {
        None => return Err(Error::new(Kind::Request, "the URI is not absolute")),
        Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => {}
        Some(scheme) => {
            return Err(Error::new(Kind::Request, format!("the scheme {scheme} is not HTTP")));
        }
    }
    let authority = uri.authority().filter(|authority| !authority.host().is_empty());
    let authority = authority.ok_or_else(|| Error::new(Kind::Request, "the URI has no host"))?;
    if authority.as_str().contains('@') {
        // It would end up in routing, logs and the name of the target.
        return Err(Error::new(Kind::Request, "the URI has user information"));
    }
    Ok(authority)
}

/// The request with the authority of its `host` field, if it has one.
fn addressed<B>(mut request: Request<B>) -> Result<Request<B>, Error> {
    let Some(host) = request.headers_mut().remove(HOST) else { return Ok(request) };
    let host = Authority::try_from(host.as_bytes())
        .map_err(|error| Error::with(Kind::Request, "the host field is malformed", error))?;
    if host.as_str().contains('@') {
        return Err(Error::new(Kind::Request, "the host field has user information"));
    }
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.authority = Some(host);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from_parts(parts)
        .map_err(|error| Error::with(Kind::Request, "the request is malformed", error))?;
    Ok(request)
}
