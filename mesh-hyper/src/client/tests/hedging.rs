use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Request;

use super::kit::{Config, MS, Slow, URI, after, at_once, never, script};
use crate::client::Options;
use crate::error::Kind;
use crate::testing::{Mesh, Seen};

/// A mesh with these policies: for hedging, and of retries.
fn hedging(hedge: &str, retry: &str) -> Mesh {
    let retry = if retry.is_empty() { "retry_on: 5xx" } else { retry };
    let route = format!("timeout: 5s, hedge_policy: {{ {hedge} }}, retry_policy: {{ {retry} }}");
    Config { route: &route, ..Config::default() }.mesh()
}

/// The HTTP status of the only answer, how often it was sent and how long it took.
fn only(seen: &Seen) -> (u16, u32, u128) {
    let [answer] = seen.answers() else { panic!("{seen:?}") };
    let status = answer.status().map_or(0, |status| status.as_u16());
    (status, answer.attempts(), answer.elapsed().as_millis())
}

const SOFT: &str = "hedge_on_per_try_timeout: true";

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_its_time_goes_on_beside_the_next() {
    let retry = "retry_on: 5xx, num_retries: 1, per_try_timeout: 0.2s";
    for (first, second, expect) in [
        // Whichever answers first wins.
        (after(MS * 250, 200), never(), (200, 2, 250)),
        (never(), after(MS * 30, 200), (200, 2, 230)),
        // A bad answer is not the last word while another may come.
        (after(MS * 210, 503), after(MS * 100, 200), (200, 2, 300)),
        (after(MS * 400, 200), after(MS * 100, 503), (200, 2, 400)),
        (after(MS * 210, 503), after(MS * 100, 502), (502, 2, 300)),
        // Before the time is up there is only one.
        (after(MS * 190, 200), never(), (200, 1, 190)),
    ] {
        let mesh = hedging(SOFT, retry);
        let log = script(&mesh.backend("shop"), [first, second]);
        let seen = mesh.post(URI).body("content").await;
        assert_eq!(only(&seen), expect);
        let (attempts, status) = (usize::try_from(expect.1).unwrap(), expect.0);
        assert_eq!(log.times(), &[0, 200][..attempts]);
        assert!(log.see(|all| all.iter().all(|got| got.body == "content")));
        // The loser is reset.
        let losers = if status == 200 && expect.2 < 300 { attempts - 1 } else { 0 };
        assert_eq!(log.given_up().await, losers, "{expect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_beside_others_are_retries() {
    let retry = "retry_on: 5xx, num_retries: 3, per_try_timeout: 0.2s";
    let mesh = hedging(SOFT, retry);
    let log = script(&mesh.backend("shop"), (0..9).map(|_| never()));
    // Until the call's own time is over.
    assert_eq!(only(&mesh.get(URI).await), (0, 4, 5_000));
    assert_eq!(log.times(), [0, 200, 400, 600]);
    assert_eq!(log.given_up().await, 4);

    // A bad answer is followed by a retry as ever, if one is left.
    let log = script(&mesh.backend("shop"), [never(), at_once(503), at_once(200)]);
    let seen = mesh.get(URI).seed(7).await;
    assert_eq!((only(&seen).0, only(&seen).1), (200, 3));
    assert_eq!(log.times(), [0, 200, 211]);

    // Without a reason to send again there is none to do it beside.
    let mesh = hedging(SOFT, "retry_on: '', per_try_timeout: 0.2s");
    let log = script(&mesh.backend("shop"), [after(MS * 300, 200)]);
    assert_eq!(only(&mesh.get(URI).await), (200, 1, 300));
    assert_eq!(log.times(), [0]);
}

#[tokio::test(start_paused = true)]
async fn the_budget_of_retries_bounds_attempts_beside_others() {
    let route = "timeout: 5s, hedge_policy: { hedge_on_per_try_timeout: true }, \
         retry_policy: { retry_on: 5xx, num_retries: 1, per_try_timeout: 0.2s }";
    let cluster = "circuit_breakers: { thresholds: [{ max_retries: 2 }] }";
    let mesh = Config { route, cluster, ..Config::default() }.mesh();
    let backend = mesh.backend("shop");
    backend.delay(MS * 300);
    let seen = mesh.get(URI).times(20).concurrency(20).await;
    assert_eq!((seen.failures(), backend.requests()), (0, 22));
}

#[tokio::test(start_paused = true)]
async fn callers_ask_for_it_by_a_field() {
    let route = "timeout: 5s, retry_policy: { retry_on: 5xx, per_try_timeout: 0.2s }";
    let mesh = Config { route, ..Config::default() }.mesh();
    for (asked, times) in [("true", &[0, 200][..]), ("false", &[0, 211])] {
        let log = script(&mesh.backend("shop"), [never(), at_once(200)]);
        let seen = mesh.get(URI).header("x-envoy-hedge-on-per-try-timeout", asked).seed(7).await;
        assert_eq!((seen.failures(), log.times()), (0, times.to_vec()), "{asked}");
        assert_eq!(log.fields("x-envoy-hedge-on-per-try-timeout"), [None, None]);
    }
}

#[tokio::test(start_paused = true)]
async fn several_attempts_start_at_once() {
    let mesh = hedging("initial_requests: 3", "");
    let log = script(&mesh.backend("shop"), [never(), after(MS * 20, 200), after(MS * 30, 200)]);
    assert_eq!(only(&mesh.get(URI).await), (200, 3, 20));
    assert_eq!((log.times(), log.given_up().await), (vec![0, 0, 0], 2));

    let chance = "additional_request_chance: { numerator: 100 }";
    let mesh = hedging(chance, "");
    let log = script(&mesh.backend("shop"), [never(), after(MS * 20, 200)]);
    assert_eq!(only(&mesh.get(URI).await), (200, 2, 20));
    assert_eq!(log.times(), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn more_attempts_are_a_small_share_of_the_calls() {
    let mesh = hedging("initial_requests: 2", "");
    let backend = mesh.backend("shop");
    assert_eq!(mesh.get(URI).times(400).await.failures(), 0);
    // Ten saved up, and a twentieth.
    assert_eq!(backend.requests(), 400 + 10 + 20 - 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_still_coming_is_made_once_at_a_time() {
    for retry in ["per_try_timeout: 0.2s", "per_try_idle_timeout: 0.2s"] {
        let mesh = hedging(SOFT, &format!("retry_on: 5xx, {retry}"));
        let log = script(&mesh.backend("shop"), [after(MS * 500, 200)]);
        let request = Request::post(URI).body(Slow::new(10, 300)).unwrap();
        let response = mesh.client().send(request, Options::default()).await.unwrap();
        assert_eq!((response.status().as_u16(), log.see(<[_]>::len)), (200, 1), "{retry}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_over_when_it_has_been_silent_for_too_long() {
    let mesh = hedging("initial_requests: 2", "per_try_idle_timeout: 0.4s");
    let log = script(&mesh.backend("shop"), [never(), never()]);
    assert_eq!(only(&mesh.get(URI).await), (0, 2, 400));
    assert_eq!(log.given_up().await, 2);
    // The one that wins may not fall silent afterwards either.
    let mesh = hedging(
        SOFT,
        "retry_on: 5xx, num_retries: 1, per_try_timeout: 0.2s, per_try_idle_timeout: 0.4s",
    );
    let first = Arc::new(AtomicBool::new(true));
    mesh.backend("shop").serve(tower::service_fn(move |_| {
        let is_first = first.swap(false, Ordering::SeqCst);
        async move {
            if is_first {
                std::future::pending::<()>().await;
            }
            let body = Slow::new(10, 1).then_silence();
            Ok::<_, std::convert::Infallible>(http::Response::new(body))
        }
    }));
    let seen = mesh.get(URI).await;
    assert_eq!(seen.answers()[0].error().unwrap().kind(), Kind::Deadline);
    assert_eq!((seen.answers()[0].attempts(), seen.elapsed().as_millis()), (2, 600));
}

#[tokio::test(start_paused = true)]
async fn attempts_at_once_go_to_different_endpoints() {
    let route = "hedge_policy: { initial_requests: 3 }";
    let endpoints = &["", "", ""];
    let cluster = "lb_policy: RANDOM";
    let mesh = Config { route, endpoints, cluster, ..Config::default() }.mesh();
    for address in ["127.0.0.1:2", "127.0.0.1:3"] {
        mesh.backend(address).delay(MS * 100);
    }
    for seed in 0..4 {
        assert_eq!(only(&mesh.get(URI).seed(seed).await), (200, 3, 0), "{seed}");
        tokio::time::sleep(MS * 200).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_beside_others_is_told_the_time_that_is_left_when_it_is_sent() {
    let waits = "retry_back_off: { base_interval: 40s, max_interval: 40s }";
    let route = format!(
        "timeout: 60s, hedge_policy: {{ initial_requests: 2 }}, retry_policy: {{ retry_on: 5xx, num_retries: 1, {waits} }}"
    );
    let mesh = Config { route: &route, ..Config::default() }.mesh();
    let log = script(&mesh.backend("shop"), [after(MS, 503), after(MS * 2, 503)]);
    mesh.get(URI).seed(3).await;
    let times = log.times();
    let left = times.iter().map(|at| Some((60_000 - at).to_string()));
    assert_eq!(log.fields("x-envoy-expected-rq-timeout-ms"), left.collect::<Vec<_>>());
    assert!(times.len() == 3 && times[2] > 1_000, "{times:?}");
}
