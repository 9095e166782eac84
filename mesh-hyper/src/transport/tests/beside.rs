//! Attempts that start beside others, by policies from code: when, and what is paid for them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::{HeaderValue, Method, Request, Response};
use mesh_core::hedge::{self, Delay, Safe};
use mesh_core::retry::{self, Conditions, Spacing};
use mesh_core::route::Forward;
use tokio::time::Instant;

use super::again::{lab, limited};
use super::kit::{Lab, SECOND, eventually, fed, post};
use crate::body::{Body, empty, full};
use crate::client::Options;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn get() -> Request<Body> {
    Request::builder().method(Method::GET).uri("/x").body(empty()).unwrap()
}

/// Answers like a gRPC server, with nothing but this status.
fn status(code: &'static str, mut respond: SendResponse<Bytes>) {
    let mut head = Response::new(());
    head.headers_mut().insert("grpc-status", HeaderValue::from_static(code));
    respond.send_response(head, true).ok();
}

/// A retry of gRPC calls, after a second, give or take a fifth.
fn retry_later() -> retry::Policy {
    let mut policy = retry::Policy::new(Conditions::UNAVAILABLE).num_retries(1);
    policy.spacing = Spacing { base: SECOND, max: SECOND };
    policy
}

/// A gRPC call that may be hedged, and how often it was sent and how long it took.
async fn grpc(lab: &Lab) -> (u32, Duration) {
    let mut request = post(empty());
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    request.extensions_mut().insert(Safe);
    let start = Instant::now();
    let response = lab.target.call(request, Options::default()).await.unwrap();
    (response.body().attempts(), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_retry_has_as_long_alone_as_the_first_attempt() {
    let answer = async |number: u32, respond: SendResponse<Bytes>| {
        tokio::time::sleep(millis(40)).await;
        status(if number == 0 { "14" } else { "0" }, respond);
    };
    let policies = |forward: &mut Forward| {
        forward.retry = Some(Arc::new(retry_later()));
        forward.hedge = Some(hedge::Policy::new(Delay::After(millis(50))));
    };
    let lab = lab(policies, answer);
    // The retry is answered before another attempt is due beside it.
    let (attempts, took) = grpc(&lab).await;
    assert_eq!(attempts, 2);
    assert!((millis(880)..=millis(1_280)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn none_starts_beside_an_attempt_that_is_still_to_come() {
    let answer = async |number: u32, respond: SendResponse<Bytes>| {
        match number {
            0 => tokio::time::sleep(millis(15)).await,
            1 => tokio::time::sleep(millis(2)).await,
            _ => {}
        }
        status(if number < 2 { "14" } else { "0" }, respond);
    };
    let policies = |forward: &mut Forward| {
        forward.retry = Some(Arc::new(retry_later()));
        let mut policy = hedge::Policy::new(Delay::After(millis(10)));
        policy.most = 3;
        forward.hedge = Some(policy);
    };
    let lab = lab(policies, answer);
    let (attempts, took) = grpc(&lab).await;
    assert_eq!(attempts, 3);
    assert!((millis(800)..=millis(1_230)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_time_of_an_attempt_runs_on_when_another_starts_beside_it() {
    let hedge = hedge::Policy::new(Delay::After(millis(50)));
    // The first says nothing. The second breaks when the first should be over.
    let answer = async |number: u32, mut respond: SendResponse<Bytes>| {
        tokio::time::sleep(if number == 0 { SECOND } else { millis(70) }).await;
        respond.send_reset(Reason::INTERNAL_ERROR);
    };
    for (limit, idle) in [(Some(millis(100)), None), (None, Some(millis(100)))] {
        let policy = |forward: &mut Forward| {
            let mut policy = retry::Policy::new(Conditions::NONE);
            (policy.per_try_timeout, policy.per_try_idle_timeout) = (limit, idle);
            (forward.retry, forward.hedge) = (Some(Arc::new(policy)), Some(hedge));
        };
        let lab = lab(policy, answer);
        let start = Instant::now();
        let error = lab.target.call(get(), Options::default()).await.unwrap_err();
        assert_eq!((error.attempts(), start.elapsed().as_millis()), (2, 120));
        eventually!(lab.is_at_rest());
    }
}

/// How many hedges the calls so far have left to be paid for; none are afterwards.
fn left(lab: &Lab) -> usize {
    let allowance = &lab.pool().hedging().allowance;
    std::iter::repeat_with(|| allowance.spend()).take_while(|paid| *paid).count()
}

#[tokio::test(start_paused = true)]
async fn hedges_that_cannot_start_are_not_paid_for() {
    let answer = async |_: u32, mut respond: SendResponse<Bytes>| {
        tokio::time::sleep(millis(30)).await;
        respond.send_response(Response::new(()), true).ok();
    };
    let mut several = hedge::Policy::new(Delay::Never);
    several.initial = 3;
    let later = hedge::Policy::new(Delay::After(millis(10)));
    for policy in [several, later] {
        let hedge = |forward: &mut Forward| forward.hedge = Some(policy);
        // A body that is still coming when the others would start.
        let lab = lab(hedge, answer);
        for _ in 0..9 {
            let (_feed, body) = fed();
            let mut request = post(body);
            request.extensions_mut().insert(Safe);
            let response = lab.target.call(request, Options::default()).await.unwrap();
            assert_eq!(response.body().attempts(), 1);
        }
        assert_eq!(left(&lab), 10);
        // A cluster that has no room for them.
        let lab = limited(1, hedge, answer);
        for _ in 0..9 {
            let response = lab.target.call(get(), Options::default()).await.unwrap();
            assert_eq!(response.body().attempts(), 1);
        }
        assert_eq!(left(&lab), 10);
    }
    // A call that is given up before it has been looked at.
    let lab = lab(|forward| forward.hedge = Some(several), answer);
    lab.target.call(post(full("x")), Options::default()).await.unwrap();
    drop(lab.target.call(get(), Options::default()));
    assert_eq!(left(&lab), 10);
    // What was sent is paid for.
    let lab = self::lab(|forward| forward.hedge = Some(several), answer);
    lab.target.call(get(), Options::default()).await.unwrap();
    assert_eq!(left(&lab), 8);
}
