//! One request and its response on one connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::uri::Authority;
use http::{Request, Response};
use http_body::Body;
use tokio::task::AbortHandle;

use super::connection::{Stream, Wire};
use super::h1;
use super::h2::BodyFailed;
use super::pump::{Look, Pump, look};
use super::replay::{Head, Kept, MAX_BODY, absolute};
use crate::body::{BoxError, Source};
use crate::error::{Error, Kind};

/// A request on its way, until the head of its response arrives.
pub(crate) struct Exchange {
    answer: Answer,
    /// What it takes to send the request again.
    head: Option<Head>,
    kept: Kept,
}

enum Answer {
    H2 {
        response: h2::client::ResponseFuture,
        body_failed: Option<Arc<BodyFailed>>,
    },
    H1(h1::Answer),
    /// It could not even be started.
    Unsent(Option<h2::Error>),
}

/// An exchange that has been started.
pub(crate) struct Started {
    pub(crate) exchange: Exchange,
    /// Stops the task that sends the body, if there is one.
    pub(crate) pump: Option<AbortHandle>,
}

/// An exchange that brought no response.
pub(crate) enum Broken {
    /// The peer has not looked at the request; it can be sent again without doing anything twice.
    Unprocessed { error: Error, again: Option<Again> },
    /// The peer may have processed it.
    Failed(Error),
}

/// A request that is ready to be sent once more.
pub(crate) enum Again {
    /// From the copy that was kept.
    Copy { head: Head, body: Bytes },
    /// Itself: nothing of it was written.
    Whole(Box<Request<h1::Outgoing>>),
}

/// Sends a request on a stream of a connection.
///
/// The head goes out at once, and so does the body when all of it is at hand; otherwise a task
/// takes the body over.
///
/// # Errors
/// When the request's own body fails before anything is sent.
pub(crate) fn start<B>(
    stream: &Stream,
    authority: &Authority,
    parts: Parts,
    mut body: B,
) -> Result<Started, Error>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let Wire::H2(sender) = &stream.0.wire else {
        let request = Request::from_parts(parts, h1::outgoing(body));
        return Ok(start_h1(stream, authority, request));
    };
    let look = look(&mut body);
    if let Look::Failed(error) = look {
        return Err(Error::with(Kind::Body, "the request body failed", error));
    }
    let head = Head::copy(&parts, authority);
    let kept = kept(&look);
    let mut request = Request::from_parts(parts, ());
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = absolute(path, authority.clone());
    *request.version_mut() = http::Version::HTTP_2;

    let sent = sender.clone().send_request(request, matches!(look, Look::Empty));
    let mut pump = None;
    let answer = match sent {
        Err(error) => Answer::Unsent(Some(error)),
        Ok((response, mut tx)) => {
            let mut body_failed = None;
            match look {
                Look::Empty | Look::Failed(_) => {}
                // An error here is the stream's own, and the response future reports it.
                Look::Whole(data) => drop(tx.send_data(data, true)),
                Look::More(ahead) => {
                    let failed = Arc::new(BodyFailed::default());
                    let task = Pump::new(tx, body, ahead, failed.clone());
                    pump = Some(stream.0.runtime.spawn(task).abort_handle());
                    body_failed = Some(failed);
                }
            }
            Answer::H2 { response, body_failed }
        }
    };
    Ok(Started { exchange: Exchange { answer, head: Some(head), kept }, pump })
}

/// Sends a request once more.
///
/// # Errors
/// As for [`start`].
pub(crate) fn restart(
    stream: &Stream,
    authority: &Authority,
    again: Again,
) -> Result<Started, Error> {
    let request = match again {
        Again::Copy { head, body } => {
            head.request().map(|()| h1::outgoing(http_body_util::Full::new(body)))
        }
        Again::Whole(request) => *request,
    };
    let (parts, body) = request.into_parts();
    start(stream, authority, parts, body)
}

fn start_h1(stream: &Stream, authority: &Authority, request: Request<h1::Outgoing>) -> Started {
    let answer = match h1::send(&stream.0, authority, request) {
        Some(answer) => Answer::H1(answer),
        None => Answer::Unsent(None),
    };
    Started { exchange: Exchange { answer, head: None, kept: Kept::Gone }, pump: None }
}

fn kept(look: &Look) -> Kept {
    match look {
        Look::Empty => Kept::Empty,
        Look::Whole(data) if data.len() <= MAX_BODY => Kept::Whole(data.clone()),
        Look::Whole(_) | Look::More(_) | Look::Failed(_) => Kept::Gone,
    }
}

impl Exchange {
    /// The head of the response that comes on `stream`.
    pub(crate) fn poll(
        &mut self,
        stream: &Stream,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Source>, Broken>> {
        match &mut self.answer {
            Answer::H2 { response, body_failed } => {
                let answered = ready!(Pin::new(response).poll(cx));
                let body_failed = body_failed.as_ref().is_some_and(|failed| failed.is_set());
                Poll::Ready(match answered {
                    Ok(response) => {
                        stream.0.gauge.set_served();
                        Ok(response.map(|recv| Source::H2 { recv, data_done: false }))
                    }
                    Err(error) => Err(self.broken(stream, error, body_failed)),
                })
            }
            Answer::H1(answer) => Poll::Ready(match ready!(answer.as_mut().poll(cx)) {
                Ok(response) => {
                    stream.0.gauge.set_served();
                    Ok(response.map(Source::H1))
                }
                Err(unsent) => {
                    stream.0.retire("the connection broke", false);
                    Err(broken_h1(unsent))
                }
            }),
            Answer::Unsent(error) => {
                let closed = || Error::new(Kind::Transport, "the connection has closed");
                let error = error.take().map_or_else(closed, Error::stream);
                stream.0.retire("it takes no new requests", false);
                Poll::Ready(Err(Broken::Unprocessed { error, again: self.again() }))
            }
        }
    }

    fn again(&mut self) -> Option<Again> {
        let body = match std::mem::take(&mut self.kept) {
            Kept::Empty => Bytes::new(),
            Kept::Whole(body) => body,
            Kept::Gone => return None,
        };
        Some(Again::Copy { head: self.head.take()?, body })
    }

    fn broken(&mut self, stream: &Stream, error: h2::Error, body_failed: bool) -> Broken {
        if body_failed {
            return Broken::Failed(Error::with(Kind::Body, "the request body failed", error));
        }
        let went_away = error.is_go_away() && error.is_remote();
        let refused = error.is_reset()
            && error.is_remote()
            && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        if went_away {
            stream.0.retire("the peer is going away", false);
        }
        let error = Error::stream(error);
        match went_away || refused {
            true => Broken::Unprocessed { error, again: self.again() },
            false => Broken::Failed(error),
        }
    }
}

fn broken_h1(unsent: h1::Unsent) -> Broken {
    let error = Error::with(Kind::Transport, "no response on the connection", unsent.error);
    match unsent.request {
        Some(request) => {
            Broken::Unprocessed { error, again: Some(Again::Whole(Box::new(request))) }
        }
        None => Broken::Failed(error),
    }
}
