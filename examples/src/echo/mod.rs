//! A backend that tells what it was asked: gRPC, HTTP/1.1 and HTTP/2 with prior knowledge, all on
//! one port.
//!
//! The answer to any request is JSON with the backend's `name` and the request's `method`, `path`
//! (with the query), `authority`, `headers` and `body`; to a gRPC call it is the bytes of the one
//! response message. The field `x-backend` has the name, too, and `x-connection`, where [`serve`]
//! serves, the number of the connection. Where the peer has proved a SPIFFE ID, that is `peer_spiffe`
//! and `x-peer-spiffe`.
//!
//! A request may want another answer: `x-echo-status: 503,503` fails the first two attempts by the
//! number that they say they have (`x-envoy-attempt-count`, `grpc-previous-rpc-attempts`), with HTTP
//! statuses or gRPC codes, and `x-echo-field: retry-after: 1` adds a field to such answers;
//! `x-echo-delay-ms: 400` lets the first one wait. `x-echo-fail: b1=503` makes the backend `b1` fail,
//! and where [`serve`] serves, `b1=refuse` and `b1=reset` reset the stream with REFUSED_STREAM and
//! INTERNAL_ERROR, and `b1=never` is never answered.

mod failing;
pub mod grpc;
mod orders;
mod service;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use mesh_hyper::Peer;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use orders::Orders;
pub use service::Echo as Service;

/// The largest request body that is taken, in bytes.
const MAX_BODY: usize = 4 << 20;

/// The field that has the SPIFFE ID of the peer, if it has proved one.
pub const PEER: HeaderName = HeaderName::from_static("x-peer-spiffe");

/// The field that has the backend's name.
pub const BACKEND: HeaderName = HeaderName::from_static("x-backend");

/// The field that has the number of the connection, in the order in which they came, from 1.
pub const CONNECTION: HeaderName = HeaderName::from_static("x-connection");

/// Serves connections of `listener` as `name`. Dropping the future closes them.
///
/// # Errors
/// When `name` cannot be in a header field, or connections cannot be accepted any more.
pub async fn serve(listener: TcpListener, name: &str) -> io::Result<()> {
    let backend = HeaderValue::from_str(name).map_err(io::Error::other)?;
    let mut connections = JoinSet::new();
    let mut number = 0_u64;
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                number += 1;
                let (backend, number) = (backend.clone(), HeaderValue::from(number));
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        numbered(request, backend.clone(), number.clone())
                    });
                    let server = Builder::new(TokioExecutor::new());
                    // Clients that break off are none of an echo's business.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// The answer over a connection with a number, if there is one.
async fn numbered(
    request: Request<Incoming>,
    backend: HeaderValue,
    connection: HeaderValue,
) -> Result<Answer, h2::Error> {
    failing::unanswered(request.headers(), &backend).await?;
    let Ok(mut answer) = answer(request, backend).await;
    answer.headers_mut().insert(CONNECTION, connection);
    Ok(answer)
}

async fn answer<B>(request: Request<B>, backend: HeaderValue) -> Result<Answer, Infallible>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (parts, body) = request.into_parts();
    let content_type = parts.headers.get(CONTENT_TYPE);
    let is_grpc = content_type.is_some_and(|t| mesh_core::request::is_grpc(t.as_bytes()));
    let content = Limited::new(body, MAX_BODY).collect().await;
    let content = content.map(|content| content.to_bytes()).map_err(|error| error.to_string());
    let orders = Orders::read(&parts.headers);
    tokio::time::sleep(orders.delay).await;
    let mut answer = match (content, is_grpc) {
        (Ok(content), false) => http(Ok(echo(&parts, &content, &backend))),
        (Err(why), false) => http(Err(why)),
        (content, true) => match orders.status {
            Some(code) => grpc::refusal(code, "as asked"),
            None => grpc::answer(content, |message| echo(&parts, message, &backend)),
        },
    };
    if let Some(status) = orders.status.filter(|_| !is_grpc) {
        *answer.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    }
    answer.headers_mut().extend(orders.field);
    if let Some(code) = failing::code(&parts.headers, &backend) {
        answer = failing::fail(answer, code, is_grpc);
    }
    answer.headers_mut().insert(BACKEND, backend);
    if let Some(id) = spiffe(&parts).and_then(|id| HeaderValue::from_str(&id).ok()) {
        answer.headers_mut().insert(PEER, id);
    }
    if parts.method == Method::HEAD {
        // hyper leaves the body out by itself only in HTTP/1.1.
        *answer.body_mut() = Empty::new().boxed();
    }
    Ok(answer)
}

fn http(content: Result<Bytes, String>) -> Answer {
    let (status, kind, content) = match content {
        Ok(json) => (StatusCode::OK, "application/json", json),
        Err(why) => (StatusCode::BAD_REQUEST, "text/plain", Bytes::from(why)),
    };
    let mut response = Response::new(Full::new(content).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[derive(Serialize)]
struct Echo<'a> {
    name: &'a str,
    method: &'a str,
    path: &'a str,
    authority: &'a str,
    headers: BTreeMap<&'a str, Vec<String>>,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_spiffe: Option<String>,
}

/// Who the peer has proved to be.
fn spiffe(parts: &http::request::Parts) -> Option<String> {
    parts.extensions.get::<Peer>()?.spiffe_id().map(ToString::to_string)
}

fn echo(parts: &http::request::Parts, body: &[u8], backend: &HeaderValue) -> Bytes {
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let echo = Echo {
        name: backend.to_str().unwrap_or_default(),
        method: parts.method.as_str(),
        path: parts.uri.path_and_query().map_or("", |path| path.as_str()),
        authority: parts.uri.authority().map(|a| a.as_str()).or(host).unwrap_or_default(),
        headers: fields(&parts.headers),
        body: String::from_utf8_lossy(body).into_owned(),
        peer_spiffe: spiffe(parts),
    };
    // Text and lists of text always have a JSON form.
    serde_json::to_vec(&echo).unwrap_or_default().into()
}

/// All header fields as text; a field may have several values.
#[must_use]
pub fn fields(headers: &HeaderMap) -> BTreeMap<&str, Vec<String>> {
    let mut fields: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        fields.entry(name.as_str()).or_default().push(value);
    }
    fields
}
