use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use mesh_core::inherited::{Caller, Inherited};

use super::kit::{Config, MS, Slow, URI, after, at_once, get, never, retrying, script};
use crate::client::Options;
use crate::error::Kind;
use crate::inherit;
use crate::testing::{Answer, Mesh, Reply, Seen};

/// The HTTP status and the number of attempts of the only answer.
fn only(seen: &Seen) -> (u16, u32) {
    let [answer] = seen.answers() else { panic!("{seen:?}") };
    (status(answer), answer.attempts())
}

fn status(answer: &Answer) -> u16 {
    answer.status().map_or(0, |status| status.as_u16())
}

#[tokio::test(start_paused = true)]
async fn a_request_is_sent_again_until_it_succeeds() {
    let mesh = retrying("retry_on: 5xx, num_retries: 3");
    let log = script(&mesh.backend("shop"), [at_once(503), at_once(500), at_once(200)]);
    let seen = mesh.post(URI).body("content").seed(7).await;
    assert_eq!(only(&seen), (200, 3));
    // Waits of 0 to 25 and of 0 to 75 ms.
    assert_eq!(log.times(), [0, 11, 75]);
    assert!(log.see(|all| all.iter().all(|got| got.body == "content")));
    assert_eq!(log.fields("x-envoy-attempt-count"), [const { None::<String> }; 3]);
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_the_callers_when_no_retry_is_left() {
    for (num_retries, attempts) in [(1, 2), (3, 4)] {
        let mesh = retrying(&format!("retry_on: 5xx, num_retries: {num_retries}"));
        mesh.backend("shop").fail_always(503);
        assert_eq!(only(&mesh.get(URI).await), (503, attempts));
        assert_eq!(mesh.backend("shop").requests(), u64::from(attempts));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_policy_does_not_name_is_not_sent_again() {
    for (retry_on, reply, attempts) in [
        ("gateway-error", 500, 1),
        ("gateway-error", 502, 2),
        ("retriable-4xx", 409, 2),
        ("retriable-4xx", 404, 1),
        ("reset", 503, 1),
        ("connect-failure,refused-stream", 503, 1),
        ("", 503, 1),
    ] {
        let mesh = retrying(&format!("retry_on: '{retry_on}'"));
        mesh.backend("shop").fail_always(reply);
        assert_eq!(only(&mesh.get(URI).await), (reply, attempts), "{retry_on} {reply}");
    }
}

#[tokio::test(start_paused = true)]
async fn listed_statuses_and_header_fields_are_reasons() {
    let mesh = retrying(
        "retry_on: 'retriable-status-codes,retriable-headers', retriable_status_codes: [418], \
         retriable_headers: [{ name: x-again, present_match: true }]",
    );
    for (reply, attempts) in [
        (Reply::status(418), 2),
        (Reply::status(400), 1),
        (Reply::status(200).header("x-again", "1"), 2),
    ] {
        mesh.backend("shop").recover().fail_always(reply.clone());
        assert_eq!(mesh.get(URI).await.answers()[0].attempts(), attempts, "{reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_requests_that_the_policy_describes_are_sent_again() {
    let mesh = retrying(
        "retry_on: 5xx, retriable_request_headers: [{ name: x-safe, string_match: { exact: 'yes' } }]",
    );
    mesh.backend("shop").fail_always(503);
    assert_eq!(only(&mesh.get(URI).await), (503, 1));
    assert_eq!(only(&mesh.get(URI).header("x-safe", "yes").await), (503, 2));
}

#[tokio::test(start_paused = true)]
async fn http_1_requests_are_sent_again() {
    let http1 = "typed_extension_protocol_options: { envoy.extensions.upstreams.http.v3.HttpProtocolOptions: { '@type': type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: { http_protocol_options: {} } } }";
    let route = "retry_policy: { retry_on: '5xx,reset', num_retries: 3 }";
    let mesh = Config { route, cluster: http1, ..Config::default() }.mesh();
    let failures = [at_once(503), at_once(Reply::reset(2)), at_once(503)];
    let log = script(&mesh.backend("shop"), failures);
    assert_eq!(only(&mesh.post(URI).body("content").await), (200, 4));
    assert!(log.see(|all| all.len() == 4 && all.iter().all(|got| got.body == "content")));
}

#[tokio::test(start_paused = true)]
async fn grpc_calls_say_how_often_they_were_sent() {
    let mesh = retrying("retry_on: 'unavailable,5xx', num_retries: 9");
    let unavailable = || at_once(Reply::grpc(14, "not now"));
    let log = script(&mesh.backend("shop"), (0..9).map(|_| unavailable()));
    let seen = mesh.grpc("http://shop/a.B/C").seed(7).await;
    assert_eq!((seen.answers()[0].grpc_status(), seen.answers()[0].attempts()), (Some(14), 5));
    let said = ["1", "2", "3", "4"].map(|n| Some(n.to_owned()));
    assert_eq!(log.fields("grpc-previous-rpc-attempts")[..], [&[None], &said[..]].concat());
    // 25, 50, 100 and 200 ms, give or take a fifth.
    assert_eq!(log.times(), [0, 25, 83, 178, 382]);
}

#[tokio::test(start_paused = true)]
async fn grpc_servers_say_when_to_come_again_or_not_to() {
    for (pushback, times) in
        [("70", &[0, 70][..]), ("0", &[0, 0]), ("-1", &[0]), ("soon", &[0]), ("300001", &[0])]
    {
        let mesh = retrying("retry_on: unavailable, num_retries: 2");
        let refusal = Reply::grpc(14, "busy").header("grpc-retry-pushback-ms", pushback);
        let message = at_once(Reply::message(""));
        let log = script(&mesh.backend("shop"), [at_once(refusal), message]);
        let seen = mesh.grpc("http://shop/a.B/C").await;
        assert_eq!(log.times(), times, "{pushback}");
        assert_eq!(seen.failures(), 2 - times.len(), "{pushback}");
    }
}

#[tokio::test(start_paused = true)]
async fn limited_rates_say_when_to_come_again() {
    let mesh = retrying(
        "retry_on: '5xx,envoy-ratelimited', rate_limited_retry_back_off: { reset_headers: [{ name: retry-after, format: SECONDS }] }",
    );
    let limited =
        Reply::status(429).header("x-envoy-ratelimited", "true").header("retry-after", "2");
    let log = script(&mesh.backend("shop"), [at_once(limited)]);
    assert_eq!(only(&mesh.get(URI).seed(7).await), (200, 2));
    // 2 s, and up to a half of it more.
    assert_eq!(log.times(), [0, 2_417]);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_has_begun_is_not_asked_for_again() {
    let mesh = retrying("retry_on: '5xx,unavailable,reset', num_retries: 3");
    // The status is in the trailers, after the head.
    let backend = mesh.backend("shop");
    backend.respond_with(|_| Reply::message("hello"));
    let seen = mesh.grpc("http://shop/a.B/C").await;
    assert_eq!((seen.answers()[0].grpc_status(), backend.requests()), (Some(0), 1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_a_reason() {
    for (retry_on, code, status, attempts) in
        [("reset", 2, 200, 2), ("5xx", 2, 200, 2), ("connect-failure", 2, 0, 1)]
    {
        let mesh = retrying(&format!("retry_on: '{retry_on}'"));
        script(&mesh.backend("shop"), [at_once(Reply::reset(code))]);
        assert_eq!(only(&mesh.get(URI).await), (status, attempts), "{retry_on}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_a_reason() {
    let mesh = retrying("retry_on: reset, num_retries: 2");
    let log = script(&mesh.backend("shop"), [never()]);
    let call = tokio::spawn(get(&mesh));
    tokio::time::sleep(MS * 100).await;
    mesh.backend("shop").break_connections();
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
    assert_eq!(log.see(<[_]>::len), 2);
}

#[tokio::test(start_paused = true)]
async fn the_first_refusal_costs_no_retry() {
    for (retry_on, refusals, status, attempts) in [
        ("connect-failure", 1, 200, 2),
        ("connect-failure", 2, 0, 2),
        ("refused-stream", 3, 200, 4),
        ("refused-stream", 8, 0, 4),
    ] {
        let mesh = retrying(&format!("retry_on: '{retry_on}', num_retries: 2"));
        let backend = mesh.backend("shop");
        script(&backend, (0..refusals).map(|_| at_once(Reply::reset(7))));
        let seen = mesh.get(URI).await;
        assert_eq!(only(&seen), (status, attempts), "{retry_on} {refusals}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_cannot_be_reached_is_asked_for_again() {
    let mesh = retrying(
        "retry_on: connect-failure, num_retries: 2, retry_back_off: { base_interval: 10s, max_interval: 10s }",
    );
    mesh.backend("shop").refuse_connections();
    let call = tokio::spawn(get(&mesh));
    tokio::time::sleep(MS).await;
    mesh.backend("shop").accept_connections();
    assert_eq!(call.await.unwrap().unwrap().status(), 200);

    mesh.backend("shop").break_connections().refuse_connections();
    tokio::time::sleep(MS).await;
    let seen = mesh.get(URI).await;
    assert_eq!(seen.answers()[0].error().unwrap().kind(), Kind::NoEndpoint);
    // Without a wait in between, the call would have failed at once.
    assert!(seen.elapsed() > MS * 1_000, "{:?}", seen.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_retry_goes_to_another_endpoint() {
    let predicate = "retry_host_predicate: [{ name: envoy.retry_host_predicates.previous_hosts }], host_selection_retry_max_attempts: 50";
    for (predicate, other) in [(predicate, 207), ("", 135)] {
        let route = format!("retry_policy: {{ retry_on: 5xx, {predicate} }}");
        let endpoints = &["", "", ""];
        let cluster = "lb_policy: RANDOM";
        let mesh = Config { route: &route, cluster, endpoints, ..Config::default() }.mesh();
        mesh.backend("127.0.0.1:1").fail_always(503);
        let seen = mesh.get(URI).times(600).seed(7).await;
        let first: Vec<_> = seen.answers().iter().filter(|it| it.attempts() == 2).collect();
        let elsewhere = first.iter().filter(|it| status(it) == 200).count();
        assert_eq!((first.len(), elsewhere), (207, other), "{predicate}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_refuses_has_been_asked() {
    let predicate = "retry_host_predicate: [{ name: envoy.retry_host_predicates.previous_hosts }], host_selection_retry_max_attempts: 50";
    let route = format!("retry_policy: {{ retry_on: refused-stream, {predicate} }}");
    let endpoints = &["", "", ""];
    let cluster = "lb_policy: RANDOM";
    let mesh = Config { route: &route, cluster, endpoints, ..Config::default() }.mesh();
    mesh.backend("127.0.0.1:1").fail_always(Reply::reset(7));
    let seen = mesh.get(URI).times(600).seed(7).await;
    assert!(seen.answers().iter().any(|it| it.attempts() > 1));
    assert_eq!(seen.failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn endpoints_with_certain_metadata_get_no_retries() {
    let predicate = "retry_host_predicate: [{ name: envoy.retry_host_predicates.omit_canary_hosts }], host_selection_retry_max_attempts: 50";
    let route = format!("retry_policy: {{ retry_on: 5xx, {predicate} }}");
    let canary = "metadata: { filter_metadata: { envoy.lb: { canary: true } } }";
    let cluster = "lb_policy: RANDOM";
    let endpoints = &[canary, ""];
    let mesh = Config { route: &route, cluster, endpoints, ..Config::default() }.mesh();
    mesh.backend("shop").fail_always(503);
    let seen = mesh.get(URI).times(100).seed(7).await;
    let last = |address: &str| {
        seen.answers().iter().filter(|it| it.upstream().unwrap().to_string() == address).count()
    };
    assert_eq!((last("127.0.0.1:1"), last("127.0.0.1:2")), (0, 100));
    assert!(mesh.backend("127.0.0.1:1").requests() > 30);
}

#[tokio::test(start_paused = true)]
async fn bodies_are_kept_up_to_a_bound() {
    let mesh = retrying("retry_on: 5xx");
    let backend = mesh.backend("shop");
    for (length, attempts) in [(64 * 1024, 2), (64 * 1024 + 1, 1)] {
        let body: Bytes = (0..length).map(|at| (at % 251) as u8).collect();
        let log = script(&backend, [at_once(503), at_once(503)]);
        assert_eq!(only(&mesh.post(URI).body(body.clone()).await), (503, attempts));
        assert!(log.see(|all| all.iter().all(|got| got.body == body)));
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_still_coming_are_kept_as_far_as_they_have_come() {
    let mesh = retrying("retry_on: 5xx");
    for (chunk, status) in [(10, 200), (60_000, 503)] {
        let log = script(&mesh.backend("shop"), [at_once(503)]);
        let request = http::Request::post(URI).body(Slow::new(chunk, 3)).unwrap();
        let response = mesh.client().send(request, Options::default()).await.unwrap();
        assert_eq!(response.status(), status, "{chunk}");
        let lengths: Vec<_> = log.see(|all| all.iter().map(|got| got.body.len()).collect());
        assert!(lengths.iter().all(|length| *length == 3 * chunk), "{lengths:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn callers_ask_for_retries_by_fields_that_are_not_passed_on() {
    let mesh = Config::default().mesh();
    mesh.backend("shop").fail_always(503);
    let asked = || mesh.get(URI).header("x-envoy-retry-on", "5xx");
    assert_eq!(only(&mesh.get(URI).await), (503, 1));
    assert_eq!(only(&asked().await), (503, 2));
    assert_eq!(only(&asked().header("x-envoy-max-retries", "2").await), (503, 3));
    let log = script(mesh.backend("shop").recover(), [at_once(503), never()]);
    let seen = asked()
        .header("x-envoy-upstream-rq-timeout-ms", "500")
        .header("x-envoy-upstream-rq-per-try-timeout-ms", "400")
        .await;
    assert_eq!(seen.answers()[0].error().unwrap().kind(), Kind::Deadline);
    assert_eq!((log.see(<[_]>::len), seen.elapsed().as_millis()), (2, 409));
    for name in ["x-envoy-retry-on", "x-envoy-max-retries", "x-envoy-upstream-rq-timeout-ms"] {
        assert_eq!(log.fields(name), [None, None]);
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_numbered_where_the_virtual_host_says_so() {
    let route = "retry_policy: { retry_on: 5xx, num_retries: 3 }";
    let host = "include_request_attempt_count: true, include_attempt_count_in_response: true";
    let mesh = Config { route, host, ..Config::default() }.mesh();
    let log = script(&mesh.backend("shop"), [at_once(503), at_once(503)]);
    let seen = mesh.get(URI).header("x-envoy-attempt-count", "7").await;
    let said = ["1", "2", "3"].map(|n| Some(n.to_owned()));
    assert_eq!(log.fields("x-envoy-attempt-count"), said);
    assert_eq!(seen.answers()[0].header("x-envoy-attempt-count"), Some("3"));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_told_the_time_that_is_left() {
    let mesh = retrying("retry_on: 5xx, num_retries: 2");
    let slow = || after(MS * 300, 503);
    let log = script(&mesh.backend("shop"), [slow(), slow()]);
    assert_eq!(only(&mesh.get(URI).timeout(MS * 1_000).seed(7).await), (200, 3));
    let said = ["1000", "689", "325"].map(|n| Some(n.to_owned()));
    assert_eq!(log.fields("x-envoy-expected-rq-timeout-ms"), said);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_would_come_too_late_is_not_waited_for() {
    let mesh = retrying("retry_on: 5xx, retry_back_off: { base_interval: 60s }");
    mesh.backend("shop").fail_always(503);
    let seen = mesh.get(URI).timeout(MS * 100).seed(7).await;
    assert_eq!((only(&seen), seen.elapsed().as_millis()), ((503, 1), 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_made_for_a_retry_is_sent_once_where_the_route_says_so() {
    let mesh = |of_retries: &str| {
        let yaml = format!(
            "{{ version: mesh/v1, services: {{ shop: {{ retry: {{ on: 5xx, of_retries: {of_retries} }}, versions: {{ v1: 127.0.0.1:1 }} }} }} }}"
        );
        let mesh = Mesh::from_yaml(&yaml).unwrap();
        mesh.backend("shop/v1").fail_always(503);
        mesh
    };
    let fields = HeaderMap::from_iter([(
        http::HeaderName::from_static("x-envoy-attempt-count"),
        http::HeaderValue::from_static("2"),
    )]);
    let retried = Arc::new(Inherited::of(&fields, Caller::Trusted, None));
    for (of_retries, attempts) in [("retry", 2), ("once", 1)] {
        let mesh = mesh(of_retries);
        assert_eq!(get(&mesh).await.unwrap().body().attempts(), 2);
        let call = inherit::within(Some(&retried), || get(&mesh));
        assert_eq!(call.await.unwrap().body().attempts(), attempts, "{of_retries}");
    }
}

/// A mesh is needed for its types only.
#[test]
fn calls_with_policies_can_be_made_anywhere() {
    fn is_send<T: Send>() {}
    is_send::<Mesh>();
    is_send::<crate::client::ResponseFuture>();
}
