use super::kit::{Config, Log, MS, URI, after, at_once, get, never, script};
use crate::error::Kind;
use crate::testing::{Mesh, Reply};

/// A mesh whose cluster takes so many requests at once.
fn limited(max_requests: u32, route: &str) -> Mesh {
    let thresholds =
        format!("circuit_breakers: {{ thresholds: [{{ max_requests: {max_requests} }}] }}");
    let route = format!("timeout: 0s, {route}");
    Config { route: &route, cluster: &thresholds, ..Config::default() }.mesh()
}

const RETRY: &str = "retry_policy: { retry_on: 5xx, rate_limited_retry_back_off: { reset_headers: [{ name: retry-after, format: SECONDS }] } }";

/// An answer after which a retry waits for at least ten seconds.
fn later() -> Reply {
    Reply::status(503).header("retry-after", "10")
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_to_be_sent_again_leaves_its_place_to_others() {
    let mesh = limited(1, RETRY);
    let log = script(&mesh.backend("shop"), [at_once(later())]);
    let waiting = tokio::spawn(get(&mesh));
    tokio::time::sleep(MS * 1_000).await;
    assert_eq!(get(&mesh).await.unwrap().status(), 200);
    let response = waiting.await.unwrap().unwrap();
    assert_eq!((response.status().as_u16(), response.body().attempts()), (200, 2));
    assert_eq!(log.see(<[_]>::len), 3);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_finds_no_place_ends_the_call() {
    let mesh = limited(1, RETRY);
    let log = script(&mesh.backend("shop"), [at_once(later()), never()]);
    let waiting = tokio::spawn(get(&mesh));
    tokio::time::sleep(MS * 1_000).await;
    let other = tokio::spawn(get(&mesh));
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (Kind::Overloaded, 1));
    assert_eq!(error.to_string(), "cluster shop: 1 requests are under way");
    assert_eq!(log.see(<[_]>::len), 2);
    // What it does not have it does not give back.
    assert_eq!(get(&mesh).await.unwrap_err().kind(), Kind::Overloaded);
    other.abort();
}

/// Two calls in turn; how often each was sent, and how often each request was.
async fn hedged(mesh: &Mesh, log: &Log) -> (Vec<u32>, usize) {
    let seen = mesh.get(URI).times(2).await;
    assert_eq!(seen.failures(), 0);
    let attempts = seen.answers().iter().map(|answer| answer.attempts()).collect();
    (attempts, log.see(<[_]>::len))
}

#[tokio::test(start_paused = true)]
async fn each_attempt_beside_others_is_a_request_under_way() {
    for (max_requests, attempts) in [(1, 1), (2, 2), (3, 3), (9, 3)] {
        let mesh = limited(max_requests, "hedge_policy: { initial_requests: 3 }");
        // Those that lose give their places to the next call.
        let turns = (0..9).map(|_| after(MS * 20, 200));
        let log = script(&mesh.backend("shop"), turns);
        let sent = usize::try_from(attempts * 2).unwrap();
        assert_eq!(hedged(&mesh, &log).await, (vec![attempts; 2], sent), "{max_requests}");
    }
}
