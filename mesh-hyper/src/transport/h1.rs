//! HTTP/1.1 through hyper: one exchange at a time per connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::connect::Io;
use super::connection::{Connection, End, Gauge, Stream, Wire};
use crate::body::BoxError;

/// A request body of any kind.
pub(crate) type Outgoing = UnsyncBoxBody<Bytes, BoxError>;

/// Sends requests on one connection.
pub(crate) type Sender = http1::SendRequest<Outgoing>;

/// A response being waited for.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Unsent>> + Send>>;

/// A request that got no response.
pub(crate) struct Unsent {
    pub(crate) error: hyper::Error,
    /// The request, where not a byte of it was written.
    pub(crate) request: Option<Request<Outgoing>>,
}

/// Starts HTTP/1.1 on a stream: the sender, and the future that drives the connection.
pub(crate) async fn handshake(
    io: Box<dyn Io>,
) -> Result<(Sender, impl Future<Output = Result<(), hyper::Error>> + Send), String> {
    let handshake = http1::Builder::new().handshake(TokioIo::new(io)).await;
    let (sender, connection) = handshake.map_err(|error| format!("HTTP/1.1: {error}"))?;
    Ok((sender, connection.with_upgrades()))
}

/// Drives a connection until it closes, and says why it did.
pub(crate) async fn drive(
    connection: impl Future<Output = Result<(), hyper::Error>> + Send,
    gauge: Arc<Gauge>,
) -> String {
    match connection.await {
        Ok(()) => {
            gauge.close();
            "the peer closed the connection".to_owned()
        }
        Err(error) => {
            if error.is_user() {
                gauge.set_sound();
            }
            format!("the connection broke: {error}")
        }
    }
}

/// A body of any kind as the one kind that a connection takes.
pub(crate) fn outgoing<B>(body: B) -> Outgoing
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// Sends a request on a connection whose only stream the caller holds.
pub(crate) fn send(
    connection: &Connection,
    authority: &http::uri::Authority,
    mut request: Request<Outgoing>,
) -> Option<Answer> {
    let Wire::H1(sender) = &connection.wire else { return None };
    if !request.headers().contains_key(HOST)
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    *request.version_mut() = http::Version::HTTP_11;
    let answer = lock(sender).try_send_request(request);
    Some(Box::pin(async move {
        answer.await.map_err(|mut refused| Unsent {
            request: refused.take_message(),
            error: refused.into_error(),
        })
    }))
}

/// Gives the stream back once the connection can take the next request.
pub(crate) fn recycle(stream: Stream) {
    let Wire::H1(sender) = &stream.0.wire else { return };
    let (ready, closed) = {
        let sender = lock(sender);
        (sender.is_ready(), sender.is_closed())
    };
    if closed {
        stream.0.retire("the connection was closed after a response", End::Broken);
    } else if !ready {
        let runtime = stream.0.runtime.clone();
        runtime.spawn(async move {
            let Wire::H1(sender) = &stream.0.wire else { return };
            let ready = std::future::poll_fn(|cx| lock(sender).poll_ready(cx)).await;
            if ready.is_err() {
                stream.0.retire("the connection was closed after a response", End::Broken);
            }
        });
    }
}

fn lock(sender: &std::sync::Mutex<Sender>) -> MutexGuard<'_, Sender> {
    // A panic cannot happen while it is held; hyper's own state stays valid in any case.
    sender.lock().unwrap_or_else(PoisonError::into_inner)
}
