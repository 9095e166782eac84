use http::Request;

use super::kit::{Config, MS, Slow, URI, after, at_once, never, retrying, script};
use crate::client::Options;
use crate::error::Kind;
use crate::testing::{Mesh, Reply, Seen};

fn route(route: &str) -> Mesh {
    Config { route, ..Config::default() }.mesh()
}

/// Why the only request failed, how often it was sent and how long that took, in milliseconds.
fn failed(seen: &Seen) -> (Kind, u32, u128) {
    let [answer] = seen.answers() else { panic!("{seen:?}") };
    let error = answer.error().unwrap_or_else(|| panic!("{answer:?}"));
    (error.kind(), answer.attempts(), answer.elapsed().as_millis())
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_a_reason() {
    let mesh = retrying("retry_on: 5xx, num_retries: 2, per_try_timeout: 0.4s");
    let log = script(&mesh.backend("shop"), [never(), never()]);
    let seen = mesh.get(URI).seed(7).await;
    assert_eq!((seen.statuses()[&200], seen.answers()[0].attempts()), (1, 3));
    assert_eq!(log.times(), [0, 411, 875]);
    // Upstreams know, as far as they speak HTTP.
    let said = log.fields("x-envoy-expected-rq-timeout-ms");
    assert_eq!(said, ["400", "400", "400"].map(|millis| Some(millis.to_owned())));

    let log = script(&mesh.backend("shop"), [never(), never(), never()]);
    assert_eq!(failed(&mesh.get(URI).seed(7).await), (Kind::Deadline, 3, 1_275));
    assert_eq!(log.see(<[_]>::len), 3);
    let seen = mesh.get(URI).timeout(MS * 700).seed(7).await;
    assert_eq!(seen.failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_time_for_an_attempt_ends_with_the_head_of_its_response() {
    let mesh = retrying("retry_on: 5xx, per_try_timeout: 0.4s");
    let backend = mesh.backend("shop");
    backend.serve(tower::service_fn(async |_| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Slow::new(10, 1_000)))
    }));
    let seen = mesh.get(URI).await;
    assert_eq!((seen.failures(), backend.requests()), (0, 1));
    assert!(seen.elapsed() > MS * 900, "{:?}", seen.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_whole_call_goes_before_that_of_an_attempt() {
    let mesh = route(
        "timeout: 1s, retry_policy: { retry_on: 5xx, num_retries: 9, per_try_timeout: 0.4s }",
    );
    let log = script(&mesh.backend("shop"), (0..9).map(|_| never()));
    assert_eq!(failed(&mesh.get(URI).seed(7).await), (Kind::Deadline, 3, 1_000));
    assert_eq!(log.see(<[_]>::len), 3);
    // Also where nothing is sent again.
    let mesh = route("timeout: 1s, retry_policy: { per_try_timeout: 0.4s }");
    script(&mesh.backend("shop"), [never()]);
    assert_eq!(failed(&mesh.get(URI).await), (Kind::Deadline, 1, 400));
}

#[tokio::test(start_paused = true)]
async fn a_route_bounds_http_calls_and_streams_everything() {
    for (limits, http, grpc) in [
        ("timeout: 1s", 1_000, 60_000),
        ("timeout: 9s, max_stream_duration: { max_stream_duration: 2s }", 2_000, 2_000),
        (
            "timeout: 0s, max_stream_duration: { max_stream_duration: 2s, grpc_timeout_header_max: 3s }",
            2_000,
            3_000,
        ),
        (
            "max_stream_duration: { grpc_timeout_header_max: 0s, grpc_timeout_header_offset: 9s }",
            15_000,
            51_000,
        ),
        ("timeout: 0s, max_stream_duration: { max_stream_duration: 0s }", 60_000, 60_000),
        ("", 15_000, 60_000),
    ] {
        let mesh = route(limits);
        script(&mesh.backend("shop"), [never(), never()]);
        let bound = MS * 60_000;
        let seen = mesh.get(URI).timeout(bound).await;
        assert_eq!(failed(&seen), (Kind::Deadline, 1, http), "{limits}");
        let seen = mesh.grpc("http://shop/a.B/C").timeout(bound).await;
        assert_eq!(failed(&seen), (Kind::Deadline, 1, grpc), "{limits}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_an_offset_uses_up_ends_the_call_at_once() {
    let mesh = route(
        "max_stream_duration: { grpc_timeout_header_max: 0s, grpc_timeout_header_offset: 1s }",
    );
    let log = script(&mesh.backend("shop"), [at_once(200)]);
    let seen = mesh.grpc("http://shop/a.B/C").timeout(MS * 1_000).await;
    assert_eq!(failed(&seen), (Kind::Deadline, 0, 0));
    // What is left is what the upstream is told.
    mesh.grpc("http://shop/a.B/C").timeout(MS * 1_500).await;
    assert_eq!(log.fields("grpc-timeout"), [Some("500m".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn an_http_request_that_carries_a_grpc_timeout_has_none() {
    let mesh = retrying("retry_on: 5xx");
    let log = script(&mesh.backend("shop"), [at_once(503), after(MS * 100, 200)]);
    let get = mesh.get(URI).header("grpc-timeout", "50m");
    assert_eq!(get.timeout(MS * 1_000).seed(7).await.statuses()[&200], 1);
    let said = |all: [&str; 2]| all.map(|one| Some(one.to_owned()));
    assert_eq!(log.fields("x-envoy-expected-rq-timeout-ms"), said(["1000", "989"]));
    assert_eq!(log.fields("grpc-timeout"), said(["50m", "50m"]));
}

#[tokio::test(start_paused = true)]
async fn silence_ends_an_http_call() {
    let mesh = route("timeout: 0s, idle_timeout: 1s");
    let log = script(&mesh.backend("shop"), [never(), after(MS * 900, 200), never()]);
    assert_eq!(failed(&mesh.get(URI).await), (Kind::Deadline, 1, 1_000));
    assert_eq!(mesh.get(URI).await.failures(), 0);
    let text = mesh.get(URI).await.answers()[0].error().unwrap().to_string();
    assert_eq!(
        text,
        "xds:///shop: it was silent for too long before the answer of 127.0.0.1:1 of cluster shop"
    );
    assert_eq!(log.see(<[_]>::len), 3);
    // gRPC knows no such bound (gRFC A31).
    script(&mesh.backend("shop"), [after(MS * 5_000, Reply::message(""))]);
    assert_eq!(mesh.grpc("http://shop/a.B/C").await.failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_an_http_call_that_is_not_sent_yet() {
    let mesh = route("timeout: 0s, idle_timeout: 1s");
    let backend = mesh.backend("shop");
    backend.refuse_connections();
    let start = tokio::time::Instant::now();
    let request = http::Request::get(URI).body(crate::empty()).unwrap();
    let patient = crate::client::Options { wait_for_ready: true, ..Default::default() };
    let error = mesh.client().send(request, patient).await.unwrap_err();
    assert_eq!((error.kind(), start.elapsed().as_millis()), (Kind::Deadline, 1_000));
    assert_eq!(backend.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn silence_ends_a_response_and_bytes_put_it_off() {
    let mesh = route("timeout: 0s, idle_timeout: 0.5s");
    // Chunks a millisecond apart, for longer than the bound.
    mesh.backend("shop").serve(tower::service_fn(async |_| {
        Ok::<_, std::convert::Infallible>(http::Response::new(Slow::new(10, 1_000)))
    }));
    let seen = mesh.get(URI).await;
    assert_eq!((seen.failures(), seen.answers()[0].content().len()), (0, 10_000));
    assert!(seen.elapsed() > MS * 900);
    // Then for ever nothing.
    mesh.backend("shop").recover().serve(tower::service_fn(async |_| {
        let body = Slow::new(10, 100).then_silence();
        Ok::<_, std::convert::Infallible>(http::Response::new(body))
    }));
    let (kind, attempts, elapsed) = failed(&mesh.get(URI).await);
    assert_eq!((kind, attempts), (Kind::Deadline, 1));
    assert!((599..=601).contains(&elapsed), "{elapsed}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_being_sent_is_not_silent() {
    let mesh = route("timeout: 0s, idle_timeout: 0.5s");
    let log = script(&mesh.backend("shop"), [at_once(200)]);
    let request = Request::post(URI).body(Slow::new(10, 2_000)).unwrap();
    let response = mesh.client().send(request, Options::default()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(log.see(|all| all[0].body.len()), 20_000);
    // Until it pauses.
    let request = Request::post(URI).body(Slow::new(10, 100).then_silence()).unwrap();
    let start = tokio::time::Instant::now();
    let error = mesh.client().send(request, Options::default()).await.unwrap_err();
    let elapsed = start.elapsed().as_millis();
    assert_eq!(error.kind(), Kind::Deadline);
    assert!((598..=601).contains(&elapsed), "{elapsed}");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_falls_silent_is_a_reason() {
    let mesh = retrying("retry_on: 5xx, per_try_idle_timeout: 0.4s");
    let log = script(&mesh.backend("shop"), [never()]);
    assert_eq!(mesh.get(URI).seed(7).await.failures(), 0);
    assert_eq!(log.times(), [0, 411]);
    // Once its response has begun, that ends the call.
    mesh.backend("shop").recover().serve(tower::service_fn(async |_| {
        let body = Slow::new(10, 1).then_silence();
        Ok::<_, std::convert::Infallible>(http::Response::new(body))
    }));
    assert_eq!(failed(&mesh.get(URI).await), (Kind::Deadline, 1, 400));
}

#[tokio::test(start_paused = true)]
async fn silence_covers_the_waits_between_attempts() {
    let mesh = route(
        "timeout: 0s, idle_timeout: 1s, retry_policy: { retry_on: 5xx, retry_back_off: { base_interval: 100s } }",
    );
    mesh.backend("shop").fail_always(503);
    assert_eq!(failed(&mesh.get(URI).seed(7).await), (Kind::Deadline, 1, 1_000));
}
