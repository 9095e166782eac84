use std::any::Any;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use mesh_core::classify::{Failure, Outcome};
use mesh_core::inherited;
use mesh_core::request::{Protocol, RequestHead};
use mesh_core::retry::{Asked, Context, Next, Permit, Retries, Start, UnderWay};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tower_service::Service;

use super::layer::{Callers, Settings};
use crate::error::BoxError;
use crate::inherit;
use crate::layer::failure;
use crate::layer::refusal::{Refusal, Refuse};
use crate::layer::replay::{Kept, Replay};
use crate::runtime;

pin_project! {
    /// The response to the attempt that the others were not better than.
    ///
    /// # Cancel safety
    /// Dropping it drops the attempt under way and gives its place in the budget back.
    #[must_use = "futures do nothing unless polled"]
    #[derive(Debug)]
    pub struct RetryFuture<S, B, M>
    where
        S: Service<Request<Replay<B>>>,
    {
        service: S,
        call: Call<B>,
        #[pin]
        state: State<S::Future, B>,
        mode: PhantomData<M>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F, B> {
        // The service is ready, the body has not been looked at.
        Start { body: Option<B> },
        // The service is asked whether it is ready.
        Ready {
            #[pin]
            limit: Option<Sleep>,
        },
        // An attempt is under way.
        Attempt {
            #[pin]
            future: F,
            #[pin]
            limit: Option<Sleep>,
        },
        // The next attempt is waited for.
        Wait {
            #[pin]
            sleep: Sleep,
        },
    }
}

/// A call as far as it does not depend on the service.
#[derive(Debug)]
struct Call<B> {
    settings: Arc<Settings>,
    retries: Retries,
    head: Request<()>,
    body: Kept<B>,
    protocol: Protocol,
    deadline: Option<Instant>,
    // Whether the request says so itself.
    is_told: bool,
    // Counted until the head of the response has come.
    under_way: UnderWay,
    permit: Option<Permit>,
}

impl<S, B, M> RetryFuture<S, B, M>
where
    S: Service<Request<Replay<B>>>,
{
    pub(super) fn new(service: S, settings: Arc<Settings>, request: Request<B>) -> Self {
        let (parts, body) = request.into_parts();
        let head = Request::from_parts(parts, ());
        let call = Call::new(settings, head);
        Self { service, call, state: State::Start { body: Some(body) }, mode: PhantomData }
    }
}

impl<B> Call<B> {
    fn new(settings: Arc<Settings>, mut request: Request<()>) -> Self {
        let asked = match settings.callers {
            Callers::Obeyed => Asked::take(request.headers_mut()),
            Callers::Unheard => Asked::default(),
        };
        let headers = request.headers();
        let authority = request.uri().authority().map_or("", |authority| authority.as_str());
        let head = RequestHead::from_pieces(request.method(), request.uri(), headers, authority);
        let stated = inherited::stated(headers, head.protocol);
        let timeout = asked.limit(stated);
        // Inside a server of the mesh, the request that is being served has its say.
        let (until, retries) = inherit::with(|request| {
            request.map_or((None, 0), |request| (request.deadline, request.retries))
        });
        let own = timeout.map(runtime::after);
        let deadline = [own, until].into_iter().flatten().min();
        let is_told = deadline == own && timeout == stated;
        let start = Start {
            dialect: settings.dialect,
            asked,
            deadline,
            inherited: inherited::retries(headers).max(retries),
        };
        let retries = Retries::new(&settings.policy, &head, start);
        let protocol = head.protocol;
        let under_way = retries.enter(&settings.budget, settings.limit);
        let (body, permit) = (Kept::Once(None), None);
        let head = request;
        Self { settings, retries, head, body, protocol, deadline, is_told, under_way, permit }
    }
}

impl<B> Call<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    /// Keeps the body as far as there may be a use for it.
    fn keep(&mut self, body: B, cx: &mut Task<'_>) {
        self.body = match self.retries.may_retry() {
            true => Kept::read(body, self.settings.max_body, cx),
            false => Kept::Once(Some(body)),
        };
    }

    /// The request of the next attempt; `None` if its body is gone.
    fn request(&mut self) -> Option<Request<Replay<B>>> {
        let body = self.body.attempt()?;
        // What is never used again is moved.
        let mut request = match self.retries.may_retry() {
            true => self.head.clone(),
            false => std::mem::take(&mut self.head),
        };
        self.retries.stamp(self.settings.counted, request.headers_mut());
        let is_told = self.is_told && self.retries.made() == 0;
        if let Some(deadline) = self.deadline.filter(|_| !is_told) {
            let left = deadline.saturating_duration_since(runtime::now());
            // The time for the call, of which some is gone.
            let _ = inherited::shorten(request.headers_mut(), self.protocol, left);
        }
        Some(request.map(|()| body))
    }

    /// When to send the request again after `outcome`, if at all.
    fn again(&mut self, outcome: &Outcome<'_>) -> Option<Instant> {
        // Its place is free as soon as the attempt has ended.
        self.permit = None;
        if !self.body.is_there() {
            self.retries.commit();
        }
        let settings = &self.settings;
        let mut context =
            Context::new(&settings.policy).budget(self.under_way.budget(), settings.limit);
        context.throttle = settings.throttle.as_deref();
        context.wall = runtime::unix();
        let retries = &mut self.retries;
        let next = runtime::with_rng(|rng| retries.after(&context, outcome, runtime::now(), rng));
        match next {
            Next::Again { at, permit, .. } => {
                self.permit = permit;
                Some(at)
            }
            Next::Commit | Next::Stop(_) => None,
        }
    }
}

impl<S, B, R, M> Future for RetryFuture<S, B, M>
where
    S: Service<Request<Replay<B>>, Response = Response<R>>,
    S::Error: Any,
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
    M: Refuse<Response<R>, S::Error>,
{
    type Output = Result<Response<R>, M::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Task<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let ended = match this.state.as_mut().project() {
                StateProjection::Start { body } => {
                    if let Some(body) = body.take() {
                        this.call.keep(body, cx);
                    }
                    None
                }
                StateProjection::Wait { sleep } => {
                    ready!(sleep.poll(cx));
                    let limit = this.call.deadline.map(runtime::sleep_until);
                    this.state.set(State::Ready { limit });
                    continue;
                }
                StateProjection::Ready { limit } => {
                    match (this.service.poll_ready(cx), limit.as_pin_mut()) {
                        (Poll::Ready(Ok(())), _) => None,
                        (Poll::Ready(Err(error)), _) => return Poll::Ready(Err(M::pass(error))),
                        (Poll::Pending, None) => return Poll::Pending,
                        (Poll::Pending, Some(limit)) => {
                            ready!(limit.poll(cx));
                            return Poll::Ready(M::refuse(&Refusal::LATE, this.call.protocol));
                        }
                    }
                }
                StateProjection::Attempt { future, limit } => match future.poll(cx) {
                    Poll::Ready(done) => Some(Some(done)),
                    Poll::Pending => match limit.as_pin_mut() {
                        Some(limit) => {
                            ready!(limit.poll(cx));
                            Some(None)
                        }
                        None => return Poll::Pending,
                    },
                },
            };
            let next = match &ended {
                // The service is ready for an attempt.
                None => {
                    let Some(request) = this.call.request() else {
                        let late = M::refuse(&Refusal::LATE, this.call.protocol);
                        return Poll::Ready(late);
                    };
                    let limit = this.call.retries.attempt_deadline(runtime::now());
                    let limit = limit.map(runtime::sleep_until);
                    let future = this.service.call(request);
                    this.state.set(State::Attempt { future, limit });
                    continue;
                }
                Some(Some(Ok(response))) => {
                    this.call.again(&Outcome::answer(response.status(), response.headers()))
                }
                Some(Some(Err(error))) => this.call.again(&Outcome::Failed(failure::of(error))),
                Some(None) => this.call.again(&Outcome::Failed(Failure::TimedOut)),
            };
            match (next, ended.flatten()) {
                (Some(at), _) => {
                    let sleep = runtime::sleep_until(at);
                    this.state.set(State::Wait { sleep });
                }
                (None, Some(done)) => return Poll::Ready(done.map_err(M::pass)),
                (None, None) => {
                    return Poll::Ready(M::refuse(&Refusal::LATE, this.call.protocol));
                }
            }
        }
    }
}
