use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use mesh_core::classify::Outcome;
use mesh_core::hedge::{Hedges, Next, Safe};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tower_service::Service;

use super::layer::Settings;
use crate::error::BoxError;
use crate::layer::failure;
use crate::layer::replay::{Kept, Replay};
use crate::runtime;

pin_project! {
    /// The first good response, or the last bad one.
    ///
    /// # Cancel safety
    /// Dropping it drops all attempts under way.
    #[must_use = "futures do nothing unless polled"]
    pub struct HedgeFuture<S, B>
    where
        S: Service<Request<Replay<B>>>,
    {
        service: S,
        call: Call<B>,
        // Not read until the first poll.
        body: Option<B>,
        #[pin]
        first: Option<S::Future>,
        more: Vec<More<S::Response, S::Error>>,
        #[pin]
        timer: Option<Sleep>,
    }
}

/// A further attempt, which has to wait for its service first.
type More<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

/// A call as far as it does not depend on the service.
struct Call<B> {
    settings: Arc<Settings>,
    hedges: Hedges,
    head: Request<()>,
    kept: Kept<B>,
    start: Instant,
}

impl<S, B> HedgeFuture<S, B>
where
    S: Service<Request<Replay<B>>>,
{
    pub(super) fn new(service: S, settings: Arc<Settings>, request: Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        let head = Request::from_parts(parts, ());
        let mark = head.extensions().get::<Safe>();
        let hedges = Hedges::new(&settings.policy, head.method(), mark);
        let kept = Kept::Once(None);
        let call = Call { settings, hedges, head, kept, start: runtime::now() };
        let (first, more, timer) = (None, Vec::new(), None);
        Self { service, call, body: Some(body), first, more, timer }
    }
}

impl<B> Call<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Reads the body, and returns how many attempts start at once.
    fn begin(&mut self, body: B, cx: &mut Context<'_>) -> u32 {
        self.kept = match self.hedges.may_hedge() {
            true => Kept::read(body, self.settings.max_body, cx),
            false => Kept::Once(Some(body)),
        };
        if !self.kept.is_whole() {
            self.hedges.commit();
        }
        let Settings { policy, allowance, latencies, .. } = &*self.settings;
        let (hedges, now) = (&mut self.hedges, self.start);
        runtime::with_rng(|rng| hedges.begin(policy, allowance, latencies, now, rng))
    }

    /// The request of the next attempt.
    fn request(&mut self) -> Option<Request<Replay<B>>> {
        let body = self.kept.attempt()?;
        let head = match self.hedges.may_hedge() {
            true => self.head.clone(),
            false => std::mem::take(&mut self.head),
        };
        Some(head.map(|()| body))
    }

    /// One more attempt, which is paid for.
    fn one_more<S>(&mut self, service: &S) -> Option<More<S::Response, S::Error>>
    where
        S: Service<Request<Replay<B>>> + Clone + Send + 'static,
        S::Future: Send,
        B: Send + 'static,
    {
        let fee = Fee(Some(self.settings.clone()));
        Some(more(service, self.request()?, fee))
    }

    /// Whether `done` is what the caller gets.
    fn is_last<R, E: Any>(&mut self, done: &Result<Response<R>, E>) -> bool {
        let outcome = match done {
            Ok(response) => Outcome::answer(response.status(), response.headers()),
            Err(error) => Outcome::Failed(failure::of(error)),
        };
        match self.hedges.after(self.settings.classifier.class(&outcome)) {
            Next::Win => {
                let now = runtime::now();
                let took = now.saturating_duration_since(self.start);
                self.settings.latencies.record(took, now);
                true
            }
            Next::Last => true,
            Next::Wait => false,
        }
    }
}

impl<S, B, R> Future for HedgeFuture<S, B>
where
    S: Service<Request<Replay<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Any,
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(body) = this.body.take() {
            let started = this.call.begin(body, cx);
            if let Some(request) = this.call.request() {
                this.first.set(Some(this.service.call(request)));
            }
            for _ in 1..started {
                this.more.extend(this.call.one_more(this.service));
            }
        }
        loop {
            if let Some(first) = this.first.as_mut().as_pin_mut()
                && let Poll::Ready(done) = first.poll(cx)
            {
                this.first.set(None);
                if this.call.is_last(&done) {
                    return Poll::Ready(done);
                }
            }
            let mut at = 0;
            while let Some(attempt) = this.more.get_mut(at) {
                match attempt.as_mut().poll(cx) {
                    Poll::Pending => at += 1,
                    Poll::Ready(done) => {
                        drop(this.more.swap_remove(at));
                        if this.call.is_last(&done) {
                            return Poll::Ready(done);
                        }
                    }
                }
            }
            let Some(due) = this.call.hedges.poll_timeout() else { return Poll::Pending };
            if this.timer.as_ref().get_ref().as_ref().is_none_or(|t| t.deadline() != due.into()) {
                this.timer.set(Some(runtime::sleep_until(due)));
            }
            if let Some(timer) = this.timer.as_mut().as_pin_mut()
                && timer.poll(cx).is_pending()
            {
                return Poll::Pending;
            }
            let allowance = &this.call.settings.allowance;
            if this.call.hedges.handle_timeout(allowance, runtime::now()) {
                this.more.extend(this.call.one_more(this.service));
            }
        }
    }
}

/// What is paid for an attempt beside others. It is given back unless the attempt is sent.
struct Fee(Option<Arc<Settings>>);

impl Fee {
    /// The attempt is sent.
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Fee {
    fn drop(&mut self) {
        if let Some(settings) = self.0.take() {
            settings.allowance.refund();
        }
    }
}

/// Sends `request` by a clone of `service`, once that is ready.
fn more<S, B>(service: &S, request: Request<Replay<B>>, fee: Fee) -> More<S::Response, S::Error>
where
    S: Service<Request<Replay<B>>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    let mut service = service.clone();
    Box::pin(async move {
        poll_fn(|cx| service.poll_ready(cx)).await?;
        fee.keep();
        service.call(request).await
    })
}

impl<S, B> fmt::Debug for HedgeFuture<S, B>
where
    S: Service<Request<Replay<B>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeFuture").field("hedges", &self.call.hedges).finish_non_exhaustive()
    }
}
