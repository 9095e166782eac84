use std::time::Duration;

use http::{Request, Response};
use tower::{BoxError, service_fn};

use super::kit::{Config, MS, URI, retrying};
use crate::{Body, empty};

#[tokio::test(start_paused = true)]
async fn a_budget_bounds_what_retries_add() {
    let route = "retry_policy: { retry_on: 5xx, num_retries: 5 }";
    let cluster =
        "circuit_breakers: { thresholds: [{ retry_budget: { budget_percent: { value: 20 } } }] }";
    let mesh = Config { route, cluster, ..Config::default() }.mesh();
    let backend = mesh.backend("shop");
    backend.delay(MS * 5).fail_always(503);
    let seen = mesh.get(URI).times(12_000).concurrency(120).seed(7).await;
    assert_eq!(seen.failures(), 12_000);
    // Each failure is an answer of the backend: what the budget stops passes on.
    assert_eq!(seen.statuses()[&503], 12_000);
    let attempts: u64 = seen.answers().iter().map(|it| u64::from(it.attempts())).sum();
    assert_eq!(backend.requests(), attempts);
    assert!(attempts <= 14_400, "{attempts}");
    assert!(attempts >= 12_100, "{attempts}");
}

/// Retries that fail at once are never many at a time; nor are they in all.
#[tokio::test(start_paused = true)]
async fn a_budget_bounds_what_retries_add_however_soon_they_fail() {
    const POLICY: &str = "retry_policy: { retry_on: 5xx, num_retries: 5, \
        retry_back_off: { base_interval: 0.001s } }";
    const BUDGET: &str = "circuit_breakers: { thresholds: [{ retry_budget: {} }] }";
    let host = "include_request_attempt_count: true";
    // One at a time come so fast that those in reserve do not matter.
    for (times, concurrency, first, most) in
        [(2_400, 120, 1_000, 480), (1_200, 100, 100, 240), (1_200, 1, 1, 240)]
    {
        let mesh = Config { route: POLICY, host, cluster: BUDGET, ..Config::default() }.mesh();
        mesh.backend("shop").serve(service_fn(move |request: Request<Body>| async move {
            if request.headers()["x-envoy-attempt-count"] == "1" {
                tokio::time::sleep(Duration::from_millis(first)).await;
            }
            Ok::<_, BoxError>(Response::builder().status(503).body(empty())?)
        }));
        let seen = mesh.get(URI).times(times).concurrency(concurrency).seed(7).await;
        assert_eq!(seen.failures(), times);
        let retries: u32 = seen.answers().iter().map(|it| it.attempts() - 1).sum();
        assert!(retries <= most, "{retries}, {concurrency} at a time");
        // And they are made as far as they may be.
        assert!(retries > most - most / 20, "{retries}, {concurrency} at a time");
    }
}

#[tokio::test(start_paused = true)]
async fn three_retries_are_under_way_where_nothing_is_said() {
    let mesh = retrying("retry_on: 5xx");
    mesh.backend("shop").delay(MS * 5).fail_always(503);
    let seen = mesh.get(URI).times(50).concurrency(50).await;
    let twice = seen.answers().iter().filter(|it| it.attempts() == 2).count();
    assert_eq!(twice, 3);

    let mesh = retrying("retry_on: unavailable");
    mesh.backend("shop").delay(MS * 5).fail_always(crate::testing::Reply::grpc(14, "no"));
    let seen = mesh.grpc("http://shop/a.B/C").times(50).concurrency(50).await;
    assert!(seen.answers().iter().all(|it| it.attempts() == 2));
}

#[tokio::test(start_paused = true)]
async fn a_number_bounds_the_retries_under_way() {
    let route = "retry_policy: { retry_on: '5xx,unavailable' }";
    let cluster = "circuit_breakers: { thresholds: [{ max_retries: 7 }] }";
    let mesh = Config { route, cluster, ..Config::default() }.mesh();
    mesh.backend("shop").delay(MS * 5).fail_always(503);
    for requests in [mesh.get(URI), mesh.grpc("http://shop/a.B/C")] {
        let seen = requests.times(50).concurrency(50).await;
        let twice = seen.answers().iter().filter(|it| it.attempts() == 2).count();
        assert_eq!(twice, 7);
    }
}
