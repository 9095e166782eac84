use std::future::Future;
use std::task::{Context, Waker};
use std::time::Duration;

use http::Request;
use http_body_util::Empty;
use mesh_core::retry::{Dialect, Limit, Policy};
use tower::ServiceExt;
use tower_layer::Layer;

use super::*;
use crate::error::{BoxError, Error};
use crate::layer::Replay;
use crate::layer::contract::{self, Play, Strict};
use crate::layer::refusal::Respond;
use crate::runtime;

const SECOND: Duration = Duration::from_secs(1);

fn get() -> Request<String> {
    Request::new("body".into())
}

fn grpc() -> Request<String> {
    Request::post("http://a/s/M")
        .header("content-type", "application/grpc")
        .body("body".into())
        .unwrap()
}

/// The status of the response to `request`, `None` for an error, and how often it was sent.
async fn sent(
    layer: &RetryLayer<Respond>,
    request: Request<String>,
    plays: impl IntoIterator<Item = Play>,
) -> (Option<u16>, usize) {
    let strict = Strict::new(plays);
    let done = layer.layer(strict.clone()).oneshot(request).await;
    assert_eq!(strict.running(), 0);
    (done.ok().map(|response| response.status().as_u16()), strict.seen().len())
}

#[tokio::test(start_paused = true)]
async fn bad_answers_are_sent_again_until_one_is_good() {
    let http = RetryLayer::http(2);
    let status = Play::status;
    for (plays, expect) in [
        (vec![status(200)], (Some(200), 1)),
        (vec![status(503), status(200)], (Some(200), 2)),
        (vec![status(503), Play::broken(), status(200)], (Some(200), 3)),
        (vec![status(503)], (Some(503), 3)),
        (vec![status(500)], (Some(500), 1)),
        (vec![Play::broken()], (None, 3)),
    ] {
        assert_eq!(sent(&http, get(), plays.clone()).await, expect, "{plays:?}");
    }
    let layer = RetryLayer::grpc(9);
    let unavailable = Play::grpc("14");
    assert_eq!(sent(&layer, grpc(), [unavailable, Play::grpc("0")]).await, (Some(200), 2));
    assert_eq!(sent(&layer, grpc(), [unavailable]).await, (Some(200), 5));
    assert_eq!(sent(&layer, grpc(), [Play::grpc("13")]).await, (Some(200), 1));
}

#[tokio::test(start_paused = true)]
async fn a_post_is_not_carried_out_twice() {
    let post = || Request::post("http://a/").body("body".to_owned()).unwrap();
    let plays = [Play::broken(), Play::status(200)];
    assert_eq!(sent(&RetryLayer::http(2), post(), plays).await, (None, 1));
    let plays = [Play::status(503), Play::status(200)];
    assert_eq!(sent(&RetryLayer::http(2), post(), plays).await, (Some(503), 1));
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_the_same_request() {
    let strict = Strict::new([Play::grpc("14")]);
    let mut request = grpc();
    request.headers_mut().insert("grpc-timeout", "10S".parse().unwrap());
    let layer = RetryLayer::grpc(1).count_attempts();
    layer.layer(strict.clone()).oneshot(request).await.unwrap();
    let [first, second] = &strict.seen()[..] else { panic!("two attempts") };
    assert_eq!((&first.body, &first.method), (&second.body, &second.method));
    assert_eq!(&first.body, "body");
    let field = |seen: &contract::Seen, name| {
        seen.headers.get(name).map(|value: &http::HeaderValue| value.to_str().unwrap().to_owned())
    };
    assert_eq!(field(first, "grpc-previous-rpc-attempts"), None);
    assert_eq!(field(second, "grpc-previous-rpc-attempts").as_deref(), Some("1"));
    assert_eq!(field(first, "x-envoy-attempt-count").as_deref(), Some("1"));
    assert_eq!(field(second, "x-envoy-attempt-count").as_deref(), Some("2"));
    // Less time is left after the wait, of 20 to 30 ms.
    assert_eq!(field(first, "grpc-timeout").as_deref(), Some("10S"));
    assert_eq!(field(second, "grpc-timeout").as_deref(), Some("9970m"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_attempt_is_given_up() {
    let mut policy = Policy::new(mesh_core::retry::Conditions::RESET);
    policy.per_try_timeout = Some(SECOND);
    let layer = RetryLayer::new(policy, Dialect::Envoy);
    let (slow, quick) = (Play::status(200).after(SECOND * 2), Play::status(200));
    assert_eq!(sent(&layer, get(), [slow, quick]).await, (Some(200), 2));
    let start = runtime::now();
    assert_eq!(sent(&layer, get(), [slow]).await, (Some(504), 2));
    assert_eq!((runtime::now() - start).as_secs(), 2);
    let strict = Strict::new([slow]);
    let error: BoxError = layer.or_error().layer(strict).oneshot(get()).await.unwrap_err();
    assert!(error.downcast_ref::<Error>().is_some_and(Error::is_deadline));
}

#[tokio::test(start_paused = true)]
async fn retries_stop_at_the_callers_deadline() {
    let mut request = grpc();
    request.headers_mut().insert("grpc-timeout", "2S".parse().unwrap());
    let start = runtime::now();
    let slow = Play::grpc("14").after(SECOND * 3 / 2);
    assert_eq!(sent(&RetryLayer::grpc(4), request, [slow]).await, (Some(200), 2));
    assert!(runtime::now() - start <= SECOND * 2);
}

#[tokio::test(start_paused = true)]
async fn callers_are_obeyed_where_that_is_wanted() {
    let mut request = get();
    request.headers_mut().insert("x-envoy-retry-on", "5xx".parse().unwrap());
    request.headers_mut().insert("x-envoy-max-retries", "3".parse().unwrap());
    request.headers_mut().insert("x-envoy-upstream-rq-timeout-ms", "1500".parse().unwrap());
    let layer = RetryLayer::http(1);
    assert_eq!(sent(&layer, request.clone(), [Play::status(500)]).await, (Some(500), 1));
    let layer = layer.obey_callers();
    assert_eq!(sent(&layer, request.clone(), [Play::status(500)]).await, (Some(500), 4));
    let start = runtime::now();
    let slow = Play::status(500).after(SECOND);
    assert_eq!(sent(&layer, request.clone(), [slow]).await, (Some(504), 2));
    assert_eq!((runtime::now() - start).as_millis(), 1_500);
    let strict = Strict::new([Play::status(200)]);
    layer.layer(strict.clone()).oneshot(request).await.unwrap();
    // The service behind is told how long it has.
    let headers = strict.seen()[0].headers.clone();
    let told = http::HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
    assert_eq!(headers, [(told, "1500".parse().unwrap())].into_iter().collect());
}

#[tokio::test(start_paused = true)]
async fn long_bodies_and_retries_of_others_are_sent_once() {
    let plays = [Play::status(503), Play::status(200)];
    let layer = RetryLayer::http(2).max_body(3);
    assert_eq!(sent(&layer, get(), plays).await, (Some(503), 1));
    let mut request = get();
    request.headers_mut().insert("x-envoy-attempt-count", "2".parse().unwrap());
    let layer = RetryLayer::http(2);
    assert_eq!(sent(&layer, request.clone(), plays).await, (Some(200), 2));
    assert_eq!(sent(&layer.once_for_retries(), request, plays).await, (Some(503), 1));
}

#[tokio::test(start_paused = true)]
async fn the_budget_is_shared_and_given_back() {
    let strict = Strict::new([Play::status(503)]);
    let service = RetryLayer::http(1).budget(Limit::AtMost(1)).layer(strict.clone());
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let mut call = Box::pin(service.clone().oneshot(get()));
            let is_waiting =
                call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
            (call, is_waiting)
        })
        .collect();
    // All have failed at once, and one of them waits to be sent again.
    assert_eq!(waiting.iter().filter(|(_, is_waiting)| *is_waiting).count(), 1);
    drop(waiting);
    let before = strict.seen().len();
    service.oneshot(get()).await.unwrap();
    assert_eq!((before, strict.seen().len()), (10, 12));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_always_fails_gets_a_fifth_more_at_the_most() {
    const CALLERS: usize = 100;
    const CALLS: usize = 20;
    let strict = Strict::new([Play::status(503).after(SECOND / 100)]);
    let service = RetryLayer::http(5).layer(strict.clone());
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let service = service.clone();
        callers.spawn(async move {
            for _ in 0..CALLS {
                let response = service.clone().oneshot(get()).await.unwrap();
                assert_eq!(response.status(), 503);
            }
        });
    }
    callers.join_all().await;
    let (attempts, offered) = (strict.seen().len(), CALLERS * CALLS);
    assert!(offered < attempts && attempts * 5 <= offered * 6, "{attempts} for {offered}");
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_a_chain_counts_retries_of_others() {
    for (firsts, agains, expect) in [(200, 0, 240), (200, 10, 230)] {
        let strict = Strict::new([Play::status(503)]);
        let service = RetryLayer::http(1).once_for_retries().layer(strict.clone());
        for number in 0..firsts + agains {
            let mut request = get();
            if (100..100 + agains).contains(&number) {
                request.headers_mut().insert("x-envoy-attempt-count", "2".parse().unwrap());
            }
            service.clone().oneshot(request).await.unwrap();
        }
        assert_eq!(strict.seen().len() - agains, expect);
    }
}

#[tokio::test(start_paused = true)]
async fn services_are_called_ready_and_dropped_requests_are_gone() {
    contract::check(|strict| RetryLayer::http(2).layer(strict)).await;
    contract::check(|strict| RetryLayer::grpc(2).layer(strict)).await;
    let strict = Strict::new([Play::status(503), Play::status(200)]);
    let layer = RetryLayer::http(1);
    let empty = Request::new(Empty::new());
    assert_eq!(layer.layer(strict).oneshot(empty).await.unwrap().status(), 200);
}

/// Answers once, and is never ready again.
#[derive(Clone)]
struct ReadyOnce(bool);

impl tower_service::Service<Request<Replay<String>>> for ReadyOnce {
    type Response = http::Response<String>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> std::task::Poll<Result<(), BoxError>> {
        if self.0 { std::task::Poll::Pending } else { std::task::Poll::Ready(Ok(())) }
    }

    fn call(&mut self, _: Request<Replay<String>>) -> Self::Future {
        self.0 = true;
        let answer = http::Response::builder().status(503).body(String::new());
        std::future::ready(Ok(answer.unwrap()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_never_ready_again_is_given_up_at_the_deadline() {
    let mut request = get();
    request.headers_mut().insert("x-envoy-expected-rq-timeout-ms", 1_000.into());
    let begun = runtime::now();
    let done = RetryLayer::http(2).layer(ReadyOnce(false)).oneshot(request).await;
    assert_eq!(
        (done.unwrap().status().as_u16(), (runtime::now() - begun).as_millis()),
        (504, 1_000)
    );
}
