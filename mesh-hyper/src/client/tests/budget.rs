use super::kit::{Config, MS, URI, retrying};

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
