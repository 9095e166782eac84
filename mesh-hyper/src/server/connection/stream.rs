//! One stream of an HTTP/2 connection: the call, then its response.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::Response;
use http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use http_body::Body;
use pin_project_lite::pin_project;

use super::Connected;
use crate::error::BoxError;
use crate::server::date;
use crate::server::outgoing::Outgoing;

pin_project! {
    /// One stream: the call, then its response.
    pub(super) struct Stream<C, B> {
        respond: Respond,
        connected: Arc<Connected>,
        #[pin]
        stage: Stage<C, B>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<C, B> {
        Calling {
            #[pin]
            call: C,
        },
        Sending {
            send: SendStream<Bytes>,
            // Waits for the client to open the window.
            ahead: Option<Bytes>,
            is_first: bool,
            #[pin]
            body: Outgoing<B>,
        },
        Done,
    }
}

/// The sending half, which is reset if a handler panics: the client need not wait.
struct Respond(SendResponse<Bytes>);

impl Drop for Respond {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.send_reset(Reason::INTERNAL_ERROR);
        }
    }
}

/// Frames sent in one poll, so that a body that is always ready leaves the worker to others.
const BURST: usize = 128;

impl<C, B> Stream<C, B> {
    pub(super) fn new(respond: SendResponse<Bytes>, call: C, connected: Arc<Connected>) -> Self {
        Self { respond: Respond(respond), connected, stage: Stage::Calling { call } }
    }
}

impl<C, B> Future for Stream<C, B>
where
    C: Future<Output = Result<Response<Outgoing<B>>, Infallible>>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProjection::Calling { call } => {
                    let Poll::Ready(Ok(response)) = call.poll(cx) else {
                        // A client that has gone needs no answer, and its handler no time.
                        ready!(this.respond.0.poll_reset(cx)).ok();
                        this.connected.resets.fetch_add(1, Ordering::Relaxed);
                        break;
                    };
                    match begin(&mut this.respond.0, response) {
                        Some((send, body)) => this.stage.set(Stage::Sending {
                            send,
                            ahead: None,
                            is_first: true,
                            body,
                        }),
                        None => break,
                    }
                }
                StageProjection::Sending { send, ahead, is_first, mut body } => {
                    let is_whole = ready!(poll_send(send, ahead, is_first, body.as_mut(), cx));
                    if is_whole {
                        body.complete();
                    }
                    break;
                }
                StageProjection::Done => break,
            }
        }
        this.stage.set(Stage::Done);
        Poll::Ready(())
    }
}

/// Sends the head of a response; what is left to be sent, if anything is.
fn begin<B>(
    respond: &mut SendResponse<Bytes>,
    response: Response<Outgoing<B>>,
) -> Option<(SendStream<Bytes>, Outgoing<B>)>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let (mut parts, body) = response.into_parts();
    if !body.is_grpc() {
        for name in HOP_BY_HOP {
            parts.headers.remove(name);
        }
        parts.headers.entry(DATE).or_insert_with(date::now);
        let may_have_length = !parts.status.is_informational() && parts.status != 204;
        if let Some(length) = body.size_hint().exact().filter(|_| may_have_length) {
            parts.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
        }
    }
    let is_end = body.is_end_stream();
    let send = respond.send_response(Response::from_parts(parts, ()), is_end);
    match send {
        Ok(send) if !is_end => Some((send, body)),
        Ok(_) => {
            let body = std::pin::pin!(body);
            body.complete();
            None
        }
        Err(error) => {
            tracing::debug!(%error, "response not sent");
            respond.send_reset(Reason::INTERNAL_ERROR);
            None
        }
    }
}

/// Sends what there is; `true` when all of it is on its way, `false` when nobody wants the rest.
fn poll_send<B>(
    send: &mut SendStream<Bytes>,
    ahead: &mut Option<Bytes>,
    is_first: &mut bool,
    mut body: Pin<&mut Outgoing<B>>,
    cx: &mut Context<'_>,
) -> Poll<bool>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    for _ in 0..BURST {
        if let Some(data) = ahead.take() {
            // The first frame needs no leave: h2 keeps it, and one frame for a stream is the bound.
            if !*is_first && !ready_to_send(send, cx) {
                *ahead = Some(data);
                if body.as_mut().poll_late(cx) {
                    send.send_reset(Reason::CANCEL);
                    return Poll::Ready(false);
                }
                return send.poll_reset(cx).map(|_| false);
            }
            *is_first = false;
            let is_last = body.is_end_stream();
            if send.send_data(data, is_last).is_err() {
                return Poll::Ready(false);
            }
            if is_last {
                return Poll::Ready(true);
            }
        }
        let Poll::Ready(frame) = body.as_mut().poll_frame(cx) else {
            return send.poll_reset(cx).map(|_| false);
        };
        match frame.map(|frame| frame.map(http_body::Frame::into_data)) {
            None => return Poll::Ready(send.send_data(Bytes::new(), true).is_ok()),
            Some(Ok(Ok(data))) => {
                if !data.is_empty() || body.is_end_stream() {
                    *ahead = Some(data);
                }
            }
            Some(Ok(Err(frame))) => {
                let sent = frame.into_trailers().ok().map(|trailers| send.send_trailers(trailers));
                return Poll::Ready(sent.is_some_and(|sent| sent.is_ok()));
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "response broke off");
                send.send_reset(Reason::INTERNAL_ERROR);
                return Poll::Ready(false);
            }
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Whether the client has opened the window. Otherwise the task is woken when it does.
fn ready_to_send(send: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> bool {
    loop {
        if send.capacity() > 0 {
            return true;
        }
        send.reserve_capacity(1);
        match send.poll_capacity(cx) {
            Poll::Ready(Some(Ok(_))) => {}
            // A broken stream: sending says so.
            Poll::Ready(Some(Err(_)) | None) => return true,
            Poll::Pending => return false,
        }
    }
}

/// Fields that are about a connection of HTTP/1.1, which h2 refuses.
const HOP_BY_HOP: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
