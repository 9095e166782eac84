use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use mesh_core::classify::Classifier;
use mesh_core::hedge::{Allowance, Safe};
use mesh_core::matcher::Fraction;
use mesh_core::retry::Throttle;
use tower::ServiceExt;
use tower_layer::Layer;
use tower_service::Service;

use super::*;
use crate::layer::contract::{self, Play, Strict};
use crate::layer::{Replay, RetryLayer};
use crate::runtime;

const MILLI: Duration = Duration::from_millis(1);

fn get() -> Request<String> {
    Request::new("body".into())
}

/// The status of the response, `None` for an error, how long it took in ms, and how often the
/// request was sent.
async fn sent(
    layer: &HedgeLayer,
    request: Request<String>,
    plays: impl IntoIterator<Item = Play>,
) -> (Option<u16>, u128, usize) {
    let strict = Strict::new(plays);
    let start = runtime::now();
    let done = layer.layer(strict.clone()).oneshot(request).await;
    assert_eq!(strict.running(), 0);
    let took = (runtime::now() - start).as_millis();
    (done.ok().map(|response| response.status().as_u16()), took, strict.seen().len())
}

#[tokio::test(start_paused = true)]
async fn the_first_good_answer_wins() {
    let layer = HedgeLayer::after(MILLI * 10);
    let slow = |status| Play::status(status).after(MILLI * 100);
    let quick = |status| Play::status(status).after(MILLI);
    for (plays, expect) in [
        ([quick(200), quick(201)], (Some(200), 1, 1)),
        ([slow(200), quick(201)], (Some(201), 11, 2)),
        ([slow(200), slow(201)], (Some(200), 100, 2)),
        // A bad answer has to wait for the other one.
        ([slow(200), quick(500)], (Some(200), 100, 2)),
        ([slow(502), quick(500)], (Some(502), 100, 2)),
        ([quick(500), quick(201)], (Some(500), 1, 1)),
        ([slow(200), Play::broken().after(MILLI)], (Some(200), 100, 2)),
        ([Play::broken().after(MILLI * 100), Play::broken()], (None, 100, 2)),
    ] {
        assert_eq!(sent(&layer, get(), plays).await, expect, "{plays:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_safe_requests_are_sent_twice() {
    let layer = HedgeLayer::after(MILLI * 10).classify(Classifier::Grpc);
    let plays = [Play::status(200).after(MILLI * 100), Play::status(200)];
    let mut post = Request::post("http://a/s/M").body("body".to_owned()).unwrap();
    assert_eq!(sent(&layer, post.clone(), plays).await, (Some(200), 100, 1));
    post.extensions_mut().insert(Safe);
    assert_eq!(sent(&layer, post, plays).await, (Some(200), 10, 2));
}

#[tokio::test(start_paused = true)]
async fn there_are_no_more_than_the_allowance_pays_for() {
    let allowance = Allowance::new(Fraction::per_million(0), 1);
    let layer = HedgeLayer::after(MILLI).allowance(allowance);
    let plays = [Play::status(200).after(MILLI * 9)];
    assert_eq!(sent(&layer, get(), plays).await.2, 2);
    assert_eq!(sent(&layer, get(), plays).await.2, 1);
}

/// Ready for one call; its clones never are.
struct Single(Strict, bool);

impl Clone for Single {
    fn clone(&self) -> Self {
        Self(self.0.clone(), false)
    }
}

impl Service<Request<Replay<String>>> for Single {
    type Response = <Strict as Service<Request<Replay<String>>>>::Response;
    type Error = <Strict as Service<Request<Replay<String>>>>::Error;
    type Future = <Strict as Service<Request<Replay<String>>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        match self.1 {
            true => Service::<Request<Replay<String>>>::poll_ready(&mut self.0, cx),
            false => Poll::Pending,
        }
    }

    fn call(&mut self, request: Request<Replay<String>>) -> Self::Future {
        self.0.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_sent_after_all_is_not_paid_for() {
    let allowance = Allowance::new(Fraction::per_million(0), 1);
    let layer = HedgeLayer::after(MILLI).allowance(allowance);
    let slow = Play::status(200).after(MILLI * 9);
    for _ in 0..3 {
        let strict = Strict::new([slow]);
        layer.layer(Single(strict.clone(), true)).oneshot(get()).await.unwrap();
        assert_eq!(strict.seen().len(), 1);
    }
    // What was saved is there still.
    assert_eq!(sent(&layer, get(), [slow]).await.2, 2);
}

#[tokio::test(start_paused = true)]
async fn there_are_none_while_retries_are_throttled() {
    let throttle = Arc::new(Throttle::new(2, 1_000));
    let allowance = Allowance::default().throttled(throttle.clone());
    let hedges = HedgeLayer::after(MILLI).allowance(allowance);
    let retries = RetryLayer::http(1).throttle(throttle);
    let slow = [Play::status(200).after(MILLI * 9)];
    assert_eq!(sent(&hedges, get(), slow).await.2, 2);
    let failing = Strict::new([Play::status(503)]);
    retries.layer(failing.clone()).oneshot(get()).await.unwrap();
    assert_eq!(failing.seen().len(), 1);
    assert_eq!(sent(&hedges, get(), slow).await.2, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_usual_is_learnt() {
    let layer = HedgeLayer::percentile(0.95);
    let strict = Strict::new((0..60).map(|_| Play::status(200).after(MILLI * 8)));
    let service = layer.layer(strict.clone());
    for _ in 0..60 {
        service.clone().oneshot(get()).await.unwrap();
    }
    assert_eq!(strict.seen().len(), 60);
    let plays = [Play::status(200).after(MILLI * 100), Play::status(201)];
    // 8 ms, to the next bound.
    assert_eq!(sent(&layer, get(), plays).await, (Some(201), 9, 2));
}

#[tokio::test(start_paused = true)]
async fn services_are_called_ready_and_dropped_requests_are_gone() {
    contract::check(|strict| HedgeLayer::after(MILLI * 10).layer(strict)).await;
    // All attempts go with their caller.
    let strict = Strict::slow(MILLI * 100);
    let call = HedgeLayer::after(MILLI).layer(strict.clone()).oneshot(get());
    assert!(tokio::time::timeout(MILLI * 50, call).await.is_err());
    assert_eq!((strict.seen().len(), strict.running()), (2, 0));
}
