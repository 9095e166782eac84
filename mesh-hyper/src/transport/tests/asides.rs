//! Retries that wait for another priority than the active one.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use http::{Request, Response, StatusCode};
use mesh_core::cluster::Config;
use mesh_core::request::RoutingPriority;
use mesh_core::retry::{Conditions, Policy, Priorities};
use mesh_core::route::{Action, Route};
use tokio::time::Instant;

use super::kit::{Acceptor, Lab, SECOND, eventually, serve};
use crate::body::empty;
use crate::client::{Options, ResponseFuture};
use crate::error::Kind;

/// Two endpoints, each in a priority of its own. The first fails what is asked of it at `/bad`; at
/// the second connections arrive, and nobody speaks.
fn lab() -> (Lab, Acceptor) {
    let mut policy = Policy::new(Conditions::SERVER_ERROR);
    policy.spacing.max = Duration::from_millis(1);
    policy.hosts.priorities = Some(Priorities { update_frequency: 1.try_into().unwrap() });
    let route = |route: &mut Route| {
        let Action::Forward(forward) = &mut route.action else { panic!("it forwards") };
        forward.retry = Some(Arc::new(policy));
    };
    let config = |config: &mut Config| {
        config.connections.connect_timeout = SECOND * 3;
        config.limits.max_pending = 1;
    };
    let lab = Lab::with(2, config, route);
    lab.divide();
    serve(lab.listen(0), Builder::new(), |request, respond| async move {
        answer(request.uri().path() != "/bad", respond);
    });
    let silent = lab.listen(1);
    (lab, silent)
}

fn answer(is_good: bool, mut respond: SendResponse<Bytes>) {
    let mut response = Response::new(());
    *response.status_mut() = if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    respond.send_response(response, true).ok();
}

fn call(lab: &Lab, path: &str, options: Options) -> ResponseFuture {
    lab.target.call(Request::get(path).body(empty()).unwrap(), options)
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_for_a_priority_no_longer_than_a_connection_may_take() {
    let (lab, _silent) = lab();
    for bounds in [3_000..3_020, 0..20] {
        let start = Instant::now();
        let response = call(&lab, "/bad", Options::default()).await.unwrap();
        assert_eq!((response.status().as_u16(), response.body().attempts()), (503, 2));
        drop(response);
        // From then on it is known that the priority cannot be reached.
        let took = start.elapsed().as_millis();
        assert!(bounds.contains(&took), "{took}");
        eventually!(lab.is_at_rest());
    }
}

#[tokio::test(start_paused = true)]
async fn others_go_on_while_a_retry_waits_for_a_priority() {
    let (lab, mut silent) = lab();
    let waits = tokio::spawn(call(&lab, "/bad", Options::default()));
    let _connection = silent.recv().await.unwrap();
    assert_eq!(lab.cluster.usage().pending(RoutingPriority::Default), 1);
    let start = Instant::now();
    for _ in 0..10 {
        let response = call(&lab, "/good", Options::default()).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert!(start.elapsed().as_millis() < 100, "{:?}", start.elapsed());
    assert!(!waits.is_finished());
    waits.abort();
    eventually!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_the_wait_for_a_priority() {
    let (lab, _silent) = lab();
    let start = Instant::now();
    let error = call(&lab, "/bad", Options::default().timeout(SECOND)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
    let took = start.elapsed().as_millis();
    assert!((1_000..1_020).contains(&took), "{took}");
    eventually!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn calls_given_up_before_or_in_another_priority_leave_nothing() {
    let mut has_ended = false;
    for polls in 0..40 {
        let (lab, silent) = lab();
        serve(silent, Builder::new(), |_, respond| async move { answer(true, respond) });
        has_ended = polled(call(&lab, "/bad", Options::default()), polls).await;
        eventually!(lab.is_at_rest());
        let budget = lab.pool().budget(RoutingPriority::Default);
        assert_eq!((budget.calls(), budget.retries()), (0, 0), "{polls}");
        if has_ended {
            break;
        }
    }
    assert!(has_ended);
}

/// Polls a call so often, with a millisecond in between; whether the second priority has answered.
async fn polled(call: ResponseFuture, polls: u32) -> bool {
    let mut call = pin!(call);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if let Poll::Ready(response) = call.as_mut().poll(&mut cx) {
            return response.unwrap().status() == 200;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    false
}
