//! One request and its response on one connection.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::uri::Authority;
use http::{Request, Response};
use http_body::Body;

use super::connection::{End, Stream, Wire};
use super::h1;
use super::look::{Look, Rest, look};
use super::pump::{Pump, Pumping};
use super::recv::Source;
use super::replay::{Again, Back, Head, Kept, MAX_BODY, absolute};
use crate::error::BoxError;
use crate::error::{Error, Kind};

/// A request on its way, until the head of its response arrives.
pub(crate) struct Exchange {
    answer: Answer,
    /// What it takes to send the request again.
    head: Option<Head>,
    kept: Kept,
}

enum Answer {
    H2(h2::client::ResponseFuture),
    H1(h1::Answer),
    /// It could not even be started.
    Unsent(Option<h2::Error>, Option<Again>),
}

/// An exchange that has been started.
pub(crate) struct Started {
    pub(crate) exchange: Exchange,
    /// The task that sends the body, if there is one.
    pub(crate) pump: Option<Box<Pumping>>,
}

/// An exchange that brought no response.
pub(crate) enum Broken {
    /// The peer has not looked at the request; it can be sent again without doing anything twice.
    Unprocessed(Returned),
    /// The peer may have processed it, or nothing is left to be sent again.
    Failed(Error),
}

/// A request that the peer has not looked at.
pub(crate) struct Returned {
    pub(crate) error: Error,
    pub(crate) why: Unprocessed,
    pub(crate) again: Again,
}

impl Broken {
    fn unprocessed(error: Error, why: Unprocessed, again: Option<Again>) -> Self {
        match again {
            Some(again) => Self::Unprocessed(Returned { error, why, again }),
            None => Self::Failed(error),
        }
    }
}

/// How it is known that the peer has not looked at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unprocessed {
    /// Nothing of it was written.
    Unsent,
    /// The stream is above the last one of the peer's GOAWAY.
    WentAway,
    /// The peer has said so (REFUSED_STREAM).
    Refused,
}

impl fmt::Display for Unprocessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsent => "the connection was closed before the request was sent",
            Self::WentAway => "it is going away",
            Self::Refused => "it refused the stream",
        })
    }
}

/// Where a request goes.
#[derive(Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) stream: &'a Stream,
    pub(crate) authority: &'a Authority,
    pub(crate) keep: Keep,
}

/// What a request is kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// For a peer that gives it back unprocessed.
    Unprocessed,
    /// Also for being sent again after its outcome.
    Outcome,
}

/// Body bytes that are sent again after an outcome, at the most. More is not worth it (Linkerd's
/// bound as well).
pub(crate) const MAX_RETRIED: usize = 64 * 1024;

/// Sends a request on a stream of a connection.
///
/// The head goes out at once, and so does the body when all of it is at hand; otherwise a task
/// takes the body over.
///
/// # Errors
/// When the request's own body fails before anything is sent.
pub(crate) fn start<B>(way: Way<'_>, parts: Parts, mut body: B) -> Result<Started, Error>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let Way { stream, authority, keep } = way;
    stream.sent(&parts.headers);
    let Wire::H2(sender) = &stream.0.wire else {
        if keep == Keep::Outcome {
            return start_h1_kept(way, parts, body);
        }
        let request = Request::from_parts(parts, h1::outgoing(body));
        return Ok(start_h1(way, request, None));
    };
    let look = look(&mut body);
    if let Look::Failed(error) = look {
        return Err(Error::body(error));
    }
    let mut head = Head::copy(&parts, authority);
    let kept = kept(&look);
    let mut request = Request::from_parts(parts, ());
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = absolute(path, authority.clone());
    *request.version_mut() = http::Version::HTTP_2;

    let is_empty = matches!(look, Look::Empty);
    let mut sent = sender.clone().send_request(request, is_empty);
    // Looked for only here, so that requests without such fields do not pay for it.
    if sent.as_ref().is_err_and(is_local) && head.strip() {
        sent = sender.clone().send_request(head.request(), is_empty);
    }
    let mut pump = None;
    let answer = match sent {
        Err(error) => {
            let body = match look {
                Look::Empty | Look::Failed(_) => h1::outgoing(http_body_util::Empty::new()),
                Look::Whole(data) => h1::outgoing(http_body_util::Full::new(data)),
                Look::More(ahead) => h1::outgoing(Rest::new(ahead, body)),
            };
            Answer::Unsent(Some(error), Some(Again::new(head.request(), Back::Here(body))))
        }
        Ok((response, mut tx)) => {
            match look {
                Look::Empty | Look::Failed(_) => {}
                // An error here is the stream's own, and the response future reports it.
                Look::Whole(data) => drop(tx.send_data(data, true)),
                Look::More(ahead) => {
                    let rest = Rest::new(ahead, body);
                    pump = Some(Box::new(Pump::start(tx, rest, &stream.0.runtime)));
                }
            }
            Answer::H2(response)
        }
    };
    Ok(Started { exchange: Exchange { answer, head: Some(head), kept }, pump })
}

/// Whether the request itself is at fault, not the stream or the connection.
fn is_local(error: &h2::Error) -> bool {
    error.reason().is_none() && !error.is_io() && !error.is_go_away() && !error.is_reset()
}

/// Sends a request once more.
///
/// # Errors
/// As for [`start`].
pub(crate) fn restart(way: Way<'_>, request: Request<h1::Outgoing>) -> Result<Started, Error> {
    let (parts, body) = request.into_parts();
    start(way, parts, body)
}

/// Keeps the request, as far as all of its body is at hand.
fn start_h1_kept<B>(way: Way<'_>, parts: Parts, mut body: B) -> Result<Started, Error>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let look = look(&mut body);
    let kept = Some((Head::copy(&parts, way.authority), kept(&look)));
    let body = match look {
        Look::Failed(error) => return Err(Error::body(error)),
        Look::Empty => h1::outgoing(http_body_util::Empty::new()),
        Look::Whole(data) => h1::outgoing(http_body_util::Full::new(data)),
        Look::More(ahead) => h1::outgoing(Rest::new(ahead, body)),
    };
    Ok(start_h1(way, Request::from_parts(parts, body), kept))
}

fn start_h1(way: Way<'_>, request: Request<h1::Outgoing>, kept: Option<(Head, Kept)>) -> Started {
    let answer = match h1::send(&way.stream.0, way.authority, request) {
        Some(answer) => Answer::H1(answer),
        None => Answer::Unsent(None, None),
    };
    let (head, kept) = match kept {
        Some((head, kept)) => (Some(head), kept),
        None => (None, Kept::Gone),
    };
    Started { exchange: Exchange { answer, head, kept }, pump: None }
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
        pump: Option<&mut Pumping>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Source>, Broken>> {
        match &mut self.answer {
            Answer::H2(response) => Poll::Ready(match ready!(Pin::new(response).poll(cx)) {
                Ok(response) => {
                    stream.0.gauge.set_sound();
                    stream.answered(response.status(), response.headers());
                    Ok(response.map(|recv| Source::H2 { recv, data_done: false }))
                }
                Err(error) => Err(self.broken(stream, pump, error)),
            }),
            Answer::H1(answer) => Poll::Ready(match ready!(answer.as_mut().poll(cx)) {
                Ok(response) => {
                    stream.0.gauge.set_sound();
                    stream.answered(response.status(), response.headers());
                    Ok(response.map(Source::H1))
                }
                Err(unsent) => {
                    stream.0.retire("the connection broke", End::Broken);
                    if unsent.request.is_none() && !unsent.error.is_user() {
                        stream.broke();
                    }
                    Err(broken_h1(unsent))
                }
            }),
            Answer::Unsent(error, again) => {
                let end = ending(error.as_ref());
                let closed = || Error::new(Kind::Transport, "the connection has closed");
                let error = error.take().map_or_else(closed, Error::stream);
                stream.0.retire("it takes no new requests", end);
                Poll::Ready(Err(Broken::unprocessed(error, Unprocessed::Unsent, again.take())))
            }
        }
    }

    /// Whether the request is there to be sent again after its outcome.
    pub(crate) fn is_kept(&self, pump: Option<&Pumping>) -> bool {
        match (&self.head, &self.kept) {
            (None, _) => false,
            (Some(_), Kept::Empty) => true,
            (Some(_), Kept::Whole(body)) => body.len() <= MAX_RETRIED,
            (Some(_), Kept::Gone) => pump.is_some_and(|pump| pump.keeps(MAX_RETRIED)),
        }
    }

    /// Whether there is a [`copy`](Self::copy) of the request to be had.
    pub(crate) fn is_at_hand(&self) -> bool {
        self.head.is_some()
            && match &self.kept {
                Kept::Empty => true,
                Kept::Whole(body) => body.len() <= MAX_RETRIED,
                Kept::Gone => false,
            }
    }

    /// A copy of the request, if all of it is kept.
    pub(crate) fn copy(&self) -> Option<(Request<()>, Bytes)> {
        let head = self.head.as_ref()?;
        match &self.kept {
            Kept::Empty => Some((head.request(), Bytes::new())),
            Kept::Whole(body) if body.len() <= MAX_RETRIED => Some((head.request(), body.clone())),
            Kept::Whole(_) | Kept::Gone => None,
        }
    }

    /// The request, to be sent again. Stops its pump.
    pub(crate) fn again(&mut self, pump: Option<&mut Pumping>) -> Option<Again> {
        let head = self.head.take()?;
        match std::mem::take(&mut self.kept) {
            Kept::Empty => Some(Again::copy(&head, Bytes::new())),
            Kept::Whole(body) => Some(Again::copy(&head, body)),
            Kept::Gone => Some(Again::new(head.request(), Back::Coming(pump?.take_back()?))),
        }
    }

    fn broken(&mut self, stream: &Stream, pump: Option<&mut Pumping>, error: h2::Error) -> Broken {
        let reason = error.reason();
        let why = if error.is_go_away() && error.is_remote() {
            stream.0.retire("the peer is going away", ending(Some(&error)));
            Unprocessed::WentAway
        } else if error.is_reset()
            && error.is_remote()
            && reason == Some(h2::Reason::REFUSED_STREAM)
        {
            stream.refused();
            Unprocessed::Refused
        } else {
            // What is neither of the peer's nor of the connection's doing is the caller's.
            if error.is_remote() || error.is_io() || error.is_library() {
                stream.broke();
            }
            return Broken::Failed(Error::stream(error));
        };
        Broken::unprocessed(Error::stream(error), why, self.again(pump))
    }
}

/// A peer that leaves in good order has not failed.
fn ending(error: Option<&h2::Error>) -> End {
    match error.and_then(h2::Error::reason) {
        Some(h2::Reason::NO_ERROR) => End::Used,
        _ => End::Broken,
    }
}

fn broken_h1(unsent: h1::Unsent) -> Broken {
    let h1::Unsent { error, request } = unsent;
    if let Some(request) = request {
        let error = Error::with(Kind::Transport, "the connection has closed", error);
        let (parts, body) = request.into_parts();
        let again = Again::new(Request::from_parts(parts, ()), Back::Here(body));
        return Broken::unprocessed(error, Unprocessed::Unsent, Some(again));
    }
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
    let why = format!("{error}{}", cause.unwrap_or_default());
    Broken::Failed(match error.is_user() {
        true => Error::with(Kind::Body, format!("the request body failed: {why}"), error),
        false => Error::with(Kind::Transport, format!("no response: {why}"), error),
    })
}
