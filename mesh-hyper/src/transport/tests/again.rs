//! Calls that are sent more than once, by policies from code.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::{Builder, SendResponse};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use mesh_core::cluster::Config;
use mesh_core::hedge::{self, Delay, Safe};
use mesh_core::inherited::{ATTEMPT_COUNT, Caller, Inherited};
use mesh_core::request::RoutingPriority;
use mesh_core::retry::{self, Conditions, OfRetries, Priorities, Spacing};
use mesh_core::rng::{Rng, XorShift};
use mesh_core::route::{Action, Forward, Route};

use super::kit::{Lab, SECOND, eventually, fed, post, serve};
use crate::body::{empty, full};
use crate::client::{Options, ResponseFuture};
use crate::inherit;

/// Changes how a route sends requests on.
fn forward(change: impl FnOnce(&mut Forward)) -> impl FnOnce(&mut Route) {
    move |route| {
        let Action::Forward(forward) = &mut route.action else { panic!("it forwards") };
        change(forward);
    }
}

fn retry(times: u32) -> retry::Policy {
    retry::Policy::new(Conditions::SERVER_ERROR).num_retries(times)
}

/// A lab with two endpoints that answer by `answer`.
pub(super) fn lab<R>(
    change: impl FnOnce(&mut Forward),
    answer: impl Fn(u32, SendResponse<Bytes>) -> R + Clone + Send + Sync + 'static,
) -> Lab
where
    R: Future<Output = ()> + Send + 'static,
{
    limited(1_024, change, answer)
}

/// The same, with a cluster that takes so many requests at once.
pub(super) fn limited<R>(
    max_requests: u32,
    change: impl FnOnce(&mut Forward),
    answer: impl Fn(u32, SendResponse<Bytes>) -> R + Clone + Send + Sync + 'static,
) -> Lab
where
    R: Future<Output = ()> + Send + 'static,
{
    let limit = |config: &mut Config| config.limits.max_requests = max_requests;
    let lab = Lab::with(2, limit, forward(change));
    let count = Arc::new(AtomicU32::new(0));
    for endpoint in 0..2 {
        let (count, answer) = (count.clone(), answer.clone());
        serve(lab.listen(endpoint), Builder::new(), move |_, respond| {
            answer(count.fetch_add(1, Ordering::SeqCst), respond)
        });
    }
    lab
}

async fn unavailable(_: u32, mut respond: SendResponse<Bytes>) {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    respond.send_response(response, true).ok();
}

#[tokio::test(start_paused = true)]
async fn a_call_for_the_sake_of_a_retry_is_sent_once_if_the_policy_says_so() {
    let fields = HeaderMap::from_iter([(ATTEMPT_COUNT, HeaderValue::from_static("2"))]);
    let retried = Arc::new(Inherited::of(&fields, Caller::Trusted, None));
    for (of_retries, attempts) in [(OfRetries::Once, 1), (OfRetries::Retry, 3)] {
        let mut policy = retry(2);
        policy.of_retries = of_retries;
        let lab = lab(|forward| forward.retry = Some(Arc::new(policy)), unavailable);
        let call = || lab.target.call(post(empty()), Options::default());
        let first = call().await.unwrap();
        assert_eq!(first.body().attempts(), 3);
        let second = inherit::within(Some(&retried), call).await.unwrap();
        assert_eq!(second.body().attempts(), attempts);
        assert!(lab.is_at_rest());
    }
}

#[tokio::test(start_paused = true)]
async fn only_calls_that_are_safe_are_hedged_from_code() {
    let policy = hedge::Policy::new(Delay::After(Duration::from_millis(50)));
    let answer = async |number: u32, mut respond: SendResponse<Bytes>| {
        // The first of each two is slow.
        tokio::time::sleep(if number.is_multiple_of(2) { SECOND } else { Duration::ZERO }).await;
        respond.send_response(Response::new(()), true).ok();
    };
    for (method, mark, attempts) in
        [(Method::GET, None, 2), (Method::POST, None, 1), (Method::POST, Some(Safe), 2)]
    {
        let lab = lab(|forward| forward.hedge = Some(policy), answer);
        let mut request = Request::builder().method(method).uri("/x").body(full("x")).unwrap();
        if let Some(mark) = mark {
            request.extensions_mut().insert(mark);
        }
        let start = tokio::time::Instant::now();
        let response = lab.target.call(request, Options::default()).await.unwrap();
        assert_eq!(response.body().attempts(), attempts);
        let millis = if attempts == 2 { 50 } else { 1_000 };
        assert_eq!(start.elapsed().as_millis(), millis);
        eventually!(lab.is_at_rest());
    }
}

#[tokio::test(start_paused = true)]
async fn a_percentile_of_recent_calls_is_what_a_call_has_before_the_next_starts() {
    let policy = hedge::Policy::new(Delay::Percentile(0.9));
    let answer = async |number: u32, mut respond: SendResponse<Bytes>| {
        let slow = number == 100;
        tokio::time::sleep(if slow { SECOND } else { SECOND / 50 }).await;
        respond.send_response(Response::new(()), true).ok();
    };
    let lab = lab(|forward| forward.hedge = Some(policy), answer);
    let mut all = Vec::new();
    for _ in 0..=100 {
        let request = Request::get("/x").body(empty()).unwrap();
        let start = tokio::time::Instant::now();
        let response = lab.target.call(request, Options::default()).await.unwrap();
        all.push((response.body().attempts(), start.elapsed().as_millis()));
    }
    let (last, others) = all.split_last().unwrap();
    assert!(others.iter().all(|(attempts, _)| *attempts == 1), "{others:?}");
    // 20 ms to the next bound, and the second attempt.
    assert_eq!(*last, (2, 41));
}

/// Calls of every kind that are given up after any number of polls.
#[tokio::test(start_paused = true)]
async fn calls_that_are_given_up_at_any_moment_give_everything_back() {
    let calls = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    let change = |forward: &mut Forward| {
        let mut policy = retry(3);
        policy.hosts.avoid_previous = true;
        policy.hosts.priorities = Some(Priorities { update_frequency: 1.try_into().unwrap() });
        policy.per_try_timeout = Some(Duration::from_millis(20));
        policy.spacing = Spacing { base: Duration::from_millis(1), max: Duration::from_millis(5) };
        forward.retry = Some(Arc::new(policy));
        let mut policy = hedge::Policy::new(Delay::After(Duration::from_millis(3)));
        policy.most = 3;
        forward.hedge = Some(policy);
        forward.counted = retry::Counted::Included;
    };
    let answer = async |number: u32, mut respond: SendResponse<Bytes>| match number % 7 {
        0 => respond.send_reset(Reason::REFUSED_STREAM),
        1 => respond.send_reset(Reason::INTERNAL_ERROR),
        2 => unavailable(0, respond).await,
        3 => {
            tokio::time::sleep(Duration::from_millis(u64::from(number % 30))).await;
            unavailable(0, respond).await;
        }
        4 => {
            tokio::time::sleep(Duration::from_millis(30)).await;
            respond.send_response(Response::new(()), true).ok();
        }
        _ => {
            respond.send_response(Response::new(()), true).ok();
        }
    };
    // One less than a call may need.
    let lab = limited(2, change, answer);
    let mut rng = XorShift::new(7);
    for at in 0..calls {
        if at == calls / 2 {
            // From here on retries want another priority.
            lab.divide();
        }
        let method = if rng.below(2) == 0 { Method::GET } else { Method::POST };
        let request = Request::builder().method(method).uri("/x");
        let options = match rng.below(4) {
            0 => Options::default().timeout(Duration::from_millis(u64::from(rng.below(40)))),
            _ => Options::default(),
        };
        let (feed, streamed) = fed();
        let call = match rng.below(3) {
            0 => lab.target.call(request.body(empty()).unwrap(), options),
            1 => lab.target.call(request.body(full("content")).unwrap(), options),
            _ => {
                feed.try_send(Ok(Frame::data(Bytes::from_static(b"part")))).ok();
                lab.target.call(request.body(streamed).unwrap(), options)
            }
        };
        given_up(call, rng.below(12), rng.below(3)).await;
    }
    eventually!(lab.is_at_rest());
    let budget = lab.pool().budget(RoutingPriority::Default);
    assert_eq!((budget.calls(), budget.retries()), (0, 0));
}

/// Polls a call so often, and lets others run or time go by in between.
async fn given_up(call: ResponseFuture, polls: u32, pause: u32) {
    let mut call = pin!(call);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if call.as_mut().poll(&mut cx).is_ready() {
            return;
        }
        match pause {
            0 => tokio::time::sleep(Duration::from_millis(1)).await,
            _ => tokio::task::yield_now().await,
        }
    }
}
