use std::time::Duration;

use http::{Request, StatusCode};
use mesh_core::concurrency::Shares;
use tokio::task::JoinHandle;
use tower::ServiceExt;
use tower_layer::Layer;

use super::BulkheadLayer;
use crate::error::{BoxError, Error};
use crate::layer::contract::{self, Play, Strict};
use crate::runtime;

const SECOND: Duration = Duration::from_secs(1);

type Asked = JoinHandle<(http::Response<String>, u64)>;

/// Asks in a task of its own; the response and the second when it came.
fn ask(layer: &BulkheadLayer, strict: &Strict, criticality: &str) -> Asked {
    let request = Request::builder().header("x-mesh-criticality", criticality);
    let request = request.header("content-type", "application/grpc").body(String::new()).unwrap();
    let (service, start) = (layer.layer(strict.clone()), runtime::now());
    tokio::spawn(async move {
        let response = service.oneshot(request).await.unwrap();
        (response, (runtime::now() - start).as_secs())
    })
}

/// The second of an answer, or nothing of a refusal.
async fn second(asked: Asked) -> Option<u64> {
    let (response, second) = asked.await.unwrap();
    match response.headers().get("grpc-status") {
        Some(code) => {
            assert_eq!(code, "8");
            None
        }
        None => Some(second),
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_run_so_many_wait_and_the_others_are_refused_at_once() {
    let layer = BulkheadLayer::new(2).queue(2, SECOND * 9);
    let strict = Strict::slow(SECOND);
    let asked: Vec<_> = (0..5).map(|_| ask(&layer, &strict, "")).collect();
    tokio::task::yield_now().await;
    assert_eq!((layer.in_flight(), strict.running()), (2, 2));
    let mut seconds = Vec::new();
    for asked in asked {
        seconds.push(second(asked).await);
    }
    assert_eq!(seconds, [Some(1), Some(1), Some(2), Some(2), None]);
    assert_eq!(layer.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_he_should() {
    let layer = BulkheadLayer::new(1).queue(5, SECOND * 2);
    let strict = Strict::slow(SECOND * 3);
    let first = ask(&layer, &strict, "");
    let second = ask(&layer, &strict, "");
    let (response, waited) = second.await.unwrap();
    assert_eq!((response.headers()["grpc-status"].to_str().unwrap(), waited), ("8", 2));
    // Nobody stands in its place.
    assert_eq!(ask(&layer, &strict, "").await.unwrap().1, 4);
    assert_eq!(first.await.unwrap().1, 3);
    assert_eq!(layer.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn places_of_those_who_have_left_are_free() {
    let layer = BulkheadLayer::new(1).queue(1, SECOND * 9);
    let strict = Strict::slow(SECOND);
    let first = ask(&layer, &strict, "");
    let left = ask(&layer, &strict, "");
    tokio::task::yield_now().await;
    assert_eq!(second(ask(&layer, &strict, "")).await, None);
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    assert_eq!(second(ask(&layer, &strict, "")).await, Some(2));
    assert_eq!(second(first).await, Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_nobody_takes_goes_to_the_next() {
    let layer = BulkheadLayer::new(1).queue(2, SECOND * 9);
    let strict = Strict::slow(SECOND);
    let first = ask(&layer, &strict, "");
    tokio::task::yield_now().await;
    let request = || Request::new(String::new());
    let mut left = Box::pin(layer.layer(strict.clone()).oneshot(request()));
    assert!(tokio::time::timeout(SECOND / 2, &mut left).await.is_err());
    let last = ask(&layer, &strict, "");
    assert_eq!(second(first).await, Some(1));
    // It has a place now, and does not know yet.
    assert_eq!((layer.in_flight(), strict.running()), (1, 0));
    drop(left);
    assert_eq!(second(last).await, Some(1));
    assert_eq!(layer.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_most_critical_go_first_and_the_least_use_a_part() {
    let layer = BulkheadLayer::new(2).queue(9, SECOND * 99).shed(Shares::default()).obey_callers();
    let strict = Strict::slow(SECOND);
    let mut asked = Vec::new();
    for criticality in ["critical", "sheddable", "critical_plus", "sheddable", "critical"] {
        asked.push(ask(&layer, &strict, criticality));
        tokio::task::yield_now().await;
    }
    let mut seconds = Vec::new();
    for asked in asked {
        seconds.push(second(asked).await.unwrap());
    }
    // Half of two is one: it waits until nothing else is under way.
    assert_eq!(seconds, [1, 3, 1, 4, 2]);
}

#[tokio::test(start_paused = true)]
async fn requests_that_fail_give_their_place_back() {
    let layer = BulkheadLayer::new(1).or_error();
    let service = layer.layer(Strict::new([Play::broken()]));
    for _ in 0..3 {
        let error: BoxError =
            service.clone().oneshot(Request::new(String::new())).await.unwrap_err();
        assert_eq!(error.to_string(), "broken");
    }
    assert_eq!(layer.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_errors_where_that_is_wanted() {
    let layer = BulkheadLayer::new(0).or_error();
    let service = layer.layer(Strict::slow(SECOND));
    let error = service.oneshot(Request::new(String::new())).await.unwrap_err();
    let error = error.downcast_ref::<Error>().unwrap();
    assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn services_are_called_ready_and_dropped_requests_are_gone() {
    contract::check(|strict| BulkheadLayer::new(9).layer(strict)).await;
}

#[tokio::test(start_paused = true)]
async fn services_are_called_ready_after_a_wait() {
    let strict = Strict::slow(SECOND);
    let mut service = BulkheadLayer::new(1).queue(9, SECOND * 99).layer(strict.clone());
    let mut asked = Vec::new();
    for _ in 0..3 {
        let ready = ServiceExt::<Request<String>>::ready(&mut service).await.unwrap();
        asked.push(tokio::spawn(tower_service::Service::call(ready, Request::new(String::new()))));
    }
    for asked in asked {
        assert_eq!(asked.await.unwrap().unwrap().status(), StatusCode::OK);
    }
}
