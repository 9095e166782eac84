//! The body of a response on its way out, and all that a request holds until that has ended.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use mesh_core::filter::{End, Passage};
use mesh_core::inherited::Inherited;
use mesh_core::request::Protocol;
use mesh_core::route::FieldRules;
use pin_project_lite::pin_project;

use super::answer;
use super::body::ServerBody;
use super::connection::Connected;
use super::tenant::Tenant;
use crate::body::Slices;
use crate::error::{BoxError, Error, Kind};
use crate::inherit;
use crate::runtime;
use crate::transport::timer::Timer;

/// When the response under way on a connection must have ended, if it must.
#[derive(Debug, Default)]
pub(super) struct Due(Mutex<Option<Instant>>);

impl Due {
    pub(super) fn get(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, at: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

/// What a request holds from its first look at configuration until its response has ended.
pub(super) struct Tail {
    pub(super) connected: Arc<Connected>,
    pub(super) protocol: Protocol,
    timer: Timer,
    /// Frames since somebody last looked whether the deadline of a body that never has to be waited for
    /// has passed.
    ready: u8,
    /// Where the deadline is said while the response is under way.
    due: Option<Arc<Due>>,
    passage: Option<Passage>,
    /// What calls get from the request that the service makes for it; `None` until it is handed over, and
    /// if that is nothing.
    inherited: Option<Arc<Inherited>>,
    /// What the route changes about header fields.
    fields: Option<Arc<FieldRules>>,
}

impl Tail {
    pub(super) fn new(connected: Arc<Connected>, protocol: Protocol) -> Self {
        Self {
            connected,
            protocol,
            timer: Timer::default(),
            ready: 0,
            due: None,
            passage: None,
            inherited: None,
            fields: None,
        }
    }

    /// Ends the request at `deadline`, if there is one.
    pub(super) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.timer = Timer::new(deadline);
    }

    /// Runs `run`, which is the service's, within the request.
    #[inline]
    pub(super) fn within<R>(&self, run: impl FnOnce() -> R) -> R {
        match &self.inherited {
            Some(inherited) => inherit::within(Some(inherited), run),
            // A task that serves a connection is within no request already.
            None => run(),
        }
    }

    /// Whose the request is, once its filters have said so.
    fn tenant(&self) -> Option<Tenant> {
        self.passage.as_ref()?.metadata().tenant().cloned().map(Tenant)
    }

    pub(super) fn set_passage(&mut self, passage: Passage) {
        self.passage = Some(passage);
    }

    pub(super) fn set_fields(&mut self, fields: Option<Arc<FieldRules>>) {
        self.fields = fields;
    }

    /// Makes a request that has passed everything ready for the application.
    pub(super) fn hand_over(&mut self, request: &mut Request<ServerBody>) {
        if let Some(fields) = &self.fields {
            fields.request.iter().for_each(|changes| changes.apply(request.headers_mut()));
        }
        let tenant = self.tenant();
        let (caller, deadline) = (self.connected.caller, self.timer.deadline());
        let mut inherited = Inherited::of(request.headers(), caller, deadline);
        inherited.tenant = tenant.as_ref().map(|Tenant(tenant)| tenant.clone());
        self.inherited = (!inherited.is_empty()).then(|| Arc::new(inherited));
        self.connected.describe(request, tenant);
    }

    /// Whether the deadline has passed; otherwise the task of `cx` is woken when it does.
    #[inline]
    pub(super) fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.timer.poll(&self.connected.context.timers, cx)
    }

    /// Whether the deadline has passed, of a body that never has to be waited for.
    fn is_overdue(&mut self) -> bool {
        const PATIENCE: u8 = 64;
        self.ready = (self.ready + 1) % PATIENCE;
        self.ready == 0 && self.timer.deadline().is_some_and(|at| at <= runtime::now())
    }

    /// Gives everything back; the request ended as `end` says.
    fn finish(&mut self, end: End) {
        if let Some(mut passage) = self.passage.take() {
            passage.finish(end, runtime::now());
        }
    }

    /// A response that the server has made itself.
    pub(super) fn answer<B>(mut self, response: Response<Bytes>) -> Response<Outgoing<B>> {
        let mut response = response.map(|bytes| {
            let bytes = (!bytes.is_empty()).then_some(bytes);
            Outgoing { content: Content::Local { bytes }, tail: None, slices: None }
        });
        self.respond(&mut response);
        self.finish(End::Complete);
        response
    }

    /// The response of the user's service.
    pub(super) fn forward<B: Body>(mut self, response: Response<B>) -> Response<Outgoing<B>> {
        let mut response = response.map(|body| Outgoing {
            content: Content::User { body },
            tail: None,
            slices: None,
        });
        self.respond(&mut response);
        let throughput = self.passage.as_mut().and_then(Passage::throughput);
        response.body_mut().slices = Slices::new(throughput);
        response.body_mut().tail = Some(self);
        response
    }

    /// Shows the trailers to the filters.
    fn saw(&mut self, trailers: &HeaderMap) {
        if let Some(passage) = &mut self.passage {
            passage.saw(trailers);
        }
    }

    fn respond<T>(&mut self, response: &mut Response<T>) {
        if let Some(fields) = &self.fields {
            fields.response.iter().for_each(|changes| changes.apply(response.headers_mut()));
        }
        if let Some(passage) = &mut self.passage {
            let status = response.status();
            passage.respond(status, response.headers_mut());
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.finish(End::Cancelled);
        self.due.iter().for_each(|due| due.set(None));
        self.timer.cancel(&self.connected.context.timers);
    }
}

pin_project! {
    /// The body of a response on its way out.
    pub(super) struct Outgoing<B> {
        #[pin]
        content: Content<B>,
        tail: Option<Tail>,
        // Where a filter slows the body down.
        slices: Option<Box<Slices>>,
    }
}

pin_project! {
    #[project = ContentProjection]
    enum Content<B> {
        User {
            #[pin]
            body: B,
        },
        Local {
            bytes: Option<Bytes>,
        },
        Done,
    }
}

impl<B> Body for Outgoing<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        let body = match this.content.as_mut().project() {
            ContentProjection::User { body } => body,
            ContentProjection::Local { bytes } => {
                return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))));
            }
            ContentProjection::Done => return Poll::Ready(None),
        };
        let poll = |cx: &mut Context<'_>| match this.slices {
            None => body.poll_frame(cx),
            Some(slices) => slices.poll(cx, |cx| body.poll_frame(cx)),
        };
        let polled = match this.tail.as_ref() {
            Some(tail) => tail.within(|| poll(cx)),
            None => poll(cx),
        };
        let (end, frame) = match polled {
            Poll::Pending => {
                if !this.tail.as_mut().is_some_and(|tail| tail.is_late(cx)) {
                    return Poll::Pending;
                }
                (End::Failed, this.tail.as_ref().map(late))
            }
            Poll::Ready(None) => (End::Complete, None),
            Poll::Ready(Some(Ok(frame))) => match frame.trailers_ref() {
                Some(trailers) => {
                    this.tail.iter_mut().for_each(|tail| tail.saw(trailers));
                    (End::Complete, Some(Ok(frame)))
                }
                None if this.tail.as_mut().is_some_and(Tail::is_overdue) => {
                    (End::Failed, this.tail.as_ref().map(late))
                }
                None => return Poll::Ready(Some(Ok(frame))),
            },
            Poll::Ready(Some(Err(error))) => (End::Failed, Some(Err(error.into()))),
        };
        this.content.set(Content::Done);
        if let Some(mut tail) = this.tail.take() {
            tail.finish(end);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::User { body } => body.is_end_stream() && self.held() == 0,
            Content::Local { bytes } => bytes.is_none(),
            Content::Done => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::User { body } => {
                let (mut hint, held) = (body.size_hint(), self.held());
                if let Some(upper) = hint.upper() {
                    hint.set_upper(upper.saturating_add(held));
                }
                hint.set_lower(hint.lower().saturating_add(held));
                hint
            }
            Content::Local { bytes } => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
            Content::Done => SizeHint::with_exact(0),
        }
    }
}

impl<B> Outgoing<B> {
    /// Ends the body, which waits for the client, if its deadline has passed; `true` if it has. Otherwise
    /// the task of `cx` is woken when it does.
    pub(super) fn poll_late(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let mut this = self.project();
        let is_late = this.tail.as_mut().is_some_and(|tail| tail.is_late(cx));
        if is_late {
            this.content.set(Content::Done);
            this.tail.take().iter_mut().for_each(|tail| tail.finish(End::Failed));
        }
        is_late
    }

    /// Says in `due` when the body must have ended, for as long as it has not.
    pub(super) fn say_in(&mut self, due: &Arc<Due>) {
        if let Some(tail) = &mut self.tail
            && tail.timer.deadline().is_some()
        {
            due.set(tail.timer.deadline());
            tail.due = Some(due.clone());
        }
    }

    /// Bytes that the application has given and that have not gone on yet.
    fn held(&self) -> u64 {
        let held = self.slices.as_ref().map_or(0, |slices| slices.held());
        u64::try_from(held).unwrap_or(u64::MAX)
    }

    /// The response has gone out whole, although nobody has asked for its end.
    pub(super) fn complete(self: Pin<&mut Self>) {
        let this = self.project();
        if let Some(mut tail) = this.tail.take() {
            tail.finish(End::Complete);
        }
    }

    /// Whether it belongs to a gRPC call, for which HTTP's own fields mean nothing.
    pub(super) fn is_grpc(&self) -> bool {
        self.tail.as_ref().is_some_and(|tail| tail.protocol == Protocol::Grpc)
    }
}

/// What ends a response whose deadline has passed: a status where there can be one.
fn late(tail: &Tail) -> Result<Frame<Bytes>, BoxError> {
    match tail.protocol {
        Protocol::Grpc => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from(u16::from(answer::DEADLINE_EXCEEDED)));
            Ok(Frame::trailers(trailers))
        }
        Protocol::Http | _ => {
            Err(Error::new(Kind::Deadline, "the deadline passed during the response").into())
        }
    }
}
