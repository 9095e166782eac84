//! One request on its way to the user's service and back.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body::Body;
use mesh_core::filter::Passage;
use mesh_core::inherited;
use mesh_core::request::Protocol;
use mesh_core::snapshot::{NoPlan, Routes, Routing, ServerPlan};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::answer;
use super::body::ServerBody;
use super::connection::Connected;
use super::filters::{self, Awaited, Filtered, Progress};
use super::head::{self, Malformed};
use super::outgoing::{Outgoing, Tail};
use super::path;
use crate::error::BoxError;
use crate::runtime;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

pin_project! {
    /// One request on its way to the user's service and back.
    pub(super) struct Call<S, F> {
        #[pin]
        state: State<S, F>,
        // Taken when there is a response.
        tail: Option<Tail>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, F> {
        // Decided here.
        Decided { response: Option<Response<Bytes>> },
        // A filter waits.
        Filtering {
            filtered: Pin<Box<dyn Future<Output = Filtered> + Send>>,
            // What the route answers afterwards, instead of the service.
            answer: Option<NoPlan>,
            service: Option<S>,
        },
        // The service is about to be ready.
        Ready { service: S, request: Option<Request<ServerBody>> },
        // The service answers.
        Busy {
            #[pin]
            future: F,
        },
    }
}

/// What a request comes to before the service sees it.
enum Begin {
    Decided(Response<Bytes>),
    Filtering(Pin<Box<dyn Future<Output = Filtered> + Send>>, Option<NoPlan>),
    Ready(Request<ServerBody>),
}

impl<S: Service<Request<ServerBody>>> Call<S, S::Future> {
    /// Decides about `request` as far as that needs no waiting.
    pub(super) fn start(
        connected: &Arc<Connected>,
        routing: &Routing,
        service: S,
        mut request: Request<ServerBody>,
    ) -> Self {
        let canonical = head::canonicalise(&mut request, &connected.heads);
        let protocol = head::view(&request, connected.scheme).protocol;
        let mut tail = Tail::new(connected.clone(), protocol);
        let begin = match (canonical, routing) {
            (Err(why), _) => Begin::Decided(answer::malformed(why, protocol)),
            (Ok(()), _) if connected.grpc_only && protocol != Protocol::Grpc => {
                Begin::Decided(answer::not_grpc())
            }
            (Ok(()), Routing::Ready(routes)) => begin(&mut tail, routes, request),
            (Ok(()), Routing::Broken(_)) => Begin::Decided(answer::broken(protocol)),
        };
        let state = match begin {
            Begin::Decided(response) => State::Decided { response: Some(response) },
            Begin::Filtering(filtered, answer) => {
                State::Filtering { filtered, answer, service: Some(service) }
            }
            Begin::Ready(request) => State::Ready { service, request: Some(request) },
        };
        Self { state, tail: Some(tail) }
    }
}

/// Deadline, route and filters of a request whose head is canonical.
fn begin(tail: &mut Tail, routes: &Arc<Routes>, mut request: Request<ServerBody>) -> Begin {
    let (connected, protocol) = (tail.connected.clone(), tail.protocol);
    if let Some(answer) = path::rewrite(&mut request, routes.paths, protocol) {
        return Begin::Decided(answer);
    }
    let patience = match patience(request.headers(), protocol) {
        Ok(patience) => patience,
        Err(why) => return Begin::Decided(answer::malformed(why, protocol)),
    };
    let limit = [routes.max_stream_duration, patience].into_iter().flatten().min();
    tail.set_deadline(limit.map(runtime::after));
    let plan = {
        let view = head::view(&request, connected.scheme);
        if protocol == Protocol::Grpc && !head::is_grpc_path(&view) {
            return Begin::Decided(answer::malformed(Malformed::GrpcPath, protocol));
        }
        runtime::with_rng(|rng| routes.plan(&view, rng))
    };
    let ServerPlan { route, chain, answer } = match plan {
        Ok(plan) => plan,
        Err(why) => return Begin::Decided(answer::without_plan(why, protocol)),
    };
    tail.set_fields(route.fields.clone());
    if !chain.is_empty() {
        let mut passage = Passage::new(chain);
        let nothing = Awaited::default();
        match filters::advance(&connected, &mut request, (&route, &mut passage), nothing) {
            Progress::Passed => tail.set_passage(passage),
            Progress::Answered(local) => {
                tail.set_passage(passage);
                return Begin::Decided(answer::local(local, protocol));
            }
            Progress::Waits(step) => {
                let waiting =
                    filters::wait((connected, routes.clone()), request, (route, passage), step);
                return Begin::Filtering(Box::pin(waiting), answer);
            }
        }
    }
    if let Some(answer) = answer {
        return Begin::Decided(answer::without_plan(answer, protocol));
    }
    tail.hand_over(&mut request);
    Begin::Ready(request)
}

/// How long the caller says that it waits.
fn patience(headers: &HeaderMap, protocol: Protocol) -> Result<Option<Duration>, Malformed> {
    match (protocol, headers.get(GRPC_TIMEOUT)) {
        (Protocol::Grpc, Some(value)) => {
            mesh_core::deadline::parse(value.as_bytes()).map(Some).ok_or(Malformed::GrpcTimeout)
        }
        (Protocol::Grpc, None) => Ok(None),
        (Protocol::Http | _, _) => Ok(inherited::expected(headers)),
    }
}

impl<S, B> Future for Call<S, S::Future>
where
    S: Service<Request<ServerBody>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<Outgoing<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let done = match this.state.as_mut().project() {
                StateProjection::Decided { response } => match response.take() {
                    Some(response) => Poll::Ready(Err(response)),
                    None => Poll::Pending,
                },
                StateProjection::Filtering { filtered, answer, service } => {
                    match filtered.as_mut().poll(cx) {
                        Poll::Pending => Poll::Pending,
                        Poll::Ready((passage, result)) => {
                            let (Some(tail), Some(service)) = (this.tail.as_mut(), service.take())
                            else {
                                return Poll::Pending;
                            };
                            tail.set_passage(passage);
                            match (result, answer.take()) {
                                (Ok(_), Some(answer)) => {
                                    Poll::Ready(Err(answer::without_plan(answer, tail.protocol)))
                                }
                                (Ok(mut request), None) => {
                                    tail.hand_over(&mut request);
                                    let request = Some(request);
                                    this.state.set(State::Ready { service, request });
                                    continue;
                                }
                                (Err(local), _) => {
                                    Poll::Ready(Err(answer::local(local, tail.protocol)))
                                }
                            }
                        }
                    }
                }
                StateProjection::Ready { service, request } => match service.poll_ready(cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(())) => {
                        let Some(request) = request.take() else { return Poll::Pending };
                        let future = match this.tail.as_ref() {
                            Some(tail) => tail.within(|| service.call(request)),
                            None => return Poll::Pending,
                        };
                        this.state.set(State::Busy { future });
                        continue;
                    }
                    Poll::Ready(Err(error)) => {
                        Poll::Ready(Err(failed(&error.into(), this.tail.as_ref())))
                    }
                },
                StateProjection::Busy { future } => match within(this.tail.as_ref(), future, cx) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
                    Poll::Ready(Err(error)) => {
                        Poll::Ready(Err(failed(&error.into(), this.tail.as_ref())))
                    }
                },
            };
            let done = match done {
                Poll::Pending => match this.tail.as_mut().map(|tail| (tail.is_late(cx), tail)) {
                    Some((true, tail)) => Poll::Ready(Err(answer::late(tail.protocol))),
                    Some((false, _)) | None => Poll::Pending,
                },
                done => done,
            };
            let done = ready!(done);
            // The service's future ends here, also where the deadline has ended it.
            this.state.set(State::Decided { response: None });
            let Some(tail) = this.tail.take() else { return Poll::Pending };
            return Poll::Ready(Ok(match done {
                Ok(response) => tail.forward(response),
                Err(response) => tail.answer(response),
            }));
        }
    }
}

/// Polls the service within the request that it answers.
fn within<F: Future>(
    tail: Option<&Tail>,
    future: Pin<&mut F>,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    match tail {
        Some(tail) => tail.within(|| future.poll(cx)),
        None => Poll::Pending,
    }
}

fn failed(error: &BoxError, tail: Option<&Tail>) -> Response<Bytes> {
    tracing::warn!(%error, "the service has failed a request");
    answer::failed(tail.map_or(Protocol::Http, |tail| tail.protocol))
}
