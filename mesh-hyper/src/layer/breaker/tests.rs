use std::time::Duration;

use http::Request;
use http_body_util::BodyExt;
use mesh_core::breaker::{Breaker as State, Config};
use mesh_core::classify::Class;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

use super::BreakerLayer;
use crate::error::{BoxError, Error};
use crate::layer::contract::{self, Play, Strict};
use crate::layer::frames::{Part, message, status, streams};
use crate::runtime;

const SECOND: Duration = Duration::from_secs(1);

/// Refuses after two failures in a row, for 1 s ± 20 % at first.
fn twice() -> State {
    State::new(Config::consecutive(2).unwrap())
}

fn request() -> Request<String> {
    Request::new("body".into())
}

#[tokio::test(start_paused = true)]
async fn a_failing_server_is_left_alone_and_asked_again_by_one_request() {
    let plays = [Play::status(500), Play::broken(), Play::status(200).after(SECOND)];
    let strict = Strict::new(plays);
    let service = BreakerLayer::http().breaker(twice()).layer(strict.clone());
    let ask = || service.clone().oneshot(request());
    assert_eq!(ask().await.unwrap().status(), 500);
    assert!(ask().await.is_err());
    assert_eq!(ask().await.unwrap().status(), 503);
    assert_eq!(strict.seen().len(), 2);
    tokio::time::advance(SECOND * 2).await;
    let (probe, other) = tokio::join!(ask(), ask());
    assert_eq!((probe.unwrap().status().as_u16(), other.unwrap().status().as_u16()), (200, 503));
    assert_eq!(ask().await.unwrap().status(), 200);
    assert_eq!(strict.seen().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_makes_the_next_request_one() {
    let plays = [Play::broken(), Play::broken(), Play::status(200).after(SECOND)];
    let service = BreakerLayer::http().breaker(twice()).layer(Strict::new(plays));
    let ask = || service.clone().oneshot(request());
    assert!(ask().await.is_err() && ask().await.is_err());
    tokio::time::advance(SECOND * 2).await;
    assert!(tokio::time::timeout(SECOND / 2, ask()).await.is_err());
    assert_eq!(ask().await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn refused_grpc_calls_are_told_so_in_their_way() {
    let plays = [Play::grpc("14"), Play::grpc("5"), Play::grpc("14"), Play::grpc("13")];
    let strict = Strict::new(plays);
    let service = BreakerLayer::grpc().breaker(twice()).layer(strict.clone());
    let mut codes = Vec::new();
    for _ in 0..5 {
        let mut request = request();
        request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        codes.push(response.headers()["grpc-status"].to_str().unwrap().to_owned());
    }
    assert_eq!(codes, ["14", "5", "14", "13", "14"]);
    assert_eq!(strict.seen().len(), 4);
}

/// Whether a breaker refuses that takes no failure after such an answer.
async fn refuses_after(frames: fn() -> Vec<Part>, read: bool) -> bool {
    let state = State::new(Config::consecutive(1).unwrap());
    let server = service_fn(move |_: Request<String>| {
        std::future::ready(Ok::<_, BoxError>(streams(frames())))
    });
    let service = BreakerLayer::grpc().breaker(state.clone()).layer(server);
    let response = service.oneshot(request()).await.unwrap();
    if read {
        drop(response.into_body().collect().await);
    }
    state.admit(runtime::now()).is_refused()
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_grpc_call_is_found_in_its_trailers() {
    assert!(!refuses_after(|| vec![message(), status("0")], true).await);
    assert!(!refuses_after(|| vec![message(), status("5")], true).await);
    assert!(refuses_after(|| vec![message(), status("14")], true).await);
    assert!(refuses_after(|| vec![message()], true).await);
    assert!(refuses_after(|| vec![message(), Err("broken".into())], true).await);
    assert!(!refuses_after(|| vec![message(), status("14")], false).await);
}

#[tokio::test(start_paused = true)]
async fn the_first_message_of_a_probe_is_good_enough() {
    let state = State::new(Config::consecutive(1).unwrap());
    let pass = state.admit(runtime::now()).pass().unwrap();
    runtime::with_rng(|rng| pass.done(Class::Bad, None, runtime::now(), rng));
    tokio::time::advance(SECOND * 2).await;
    let server = service_fn(async |_: Request<String>| {
        Ok::<_, BoxError>(streams(vec![message(), message(), status("0")]))
    });
    let service = BreakerLayer::grpc().breaker(state.clone()).layer(server);
    let mut body = service.oneshot(request()).await.unwrap().into_body();
    assert!(state.admit(runtime::now()).is_refused());
    drop(body.frame().await);
    assert!(!state.admit(runtime::now()).is_refused());
}

#[tokio::test(start_paused = true)]
async fn refusals_are_errors_where_that_is_wanted_and_blame_nobody_else() {
    let broken = service_fn(async |_: &'static str| Err::<usize, BoxError>("broken".into()));
    let inner = BreakerLayer::errors().breaker(twice()).or_error().layer(broken);
    let outer = BreakerLayer::errors().breaker(twice()).or_error().layer(inner.clone());
    for _ in 0..2 {
        assert!(inner.clone().oneshot("x").await.is_err());
    }
    for _ in 0..5 {
        let error = outer.clone().oneshot("x").await.unwrap_err();
        let error = error.downcast_ref::<Error>().unwrap();
        assert_eq!(error.to_string(), "the breaker refuses: the server fails");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_failure_is_may_be_said() {
    let odd = BreakerLayer::classify(|n: &u32| if n % 2 == 1 { Class::Bad } else { Class::Good });
    let echo = service_fn(async |n: u32| Ok::<_, BoxError>(n));
    let service = odd.breaker(twice()).or_error().layer(echo);
    for (n, is_ok) in [(1, true), (2, true), (3, true), (5, true), (6, false)] {
        assert_eq!(service.clone().oneshot(n).await.is_ok(), is_ok, "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn services_are_called_ready_and_dropped_requests_are_gone() {
    contract::check(|strict| BreakerLayer::http().layer(strict)).await;
}
