//! Filters against too much to do, from their configuration to what callers see.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use mesh_hyper::testing::{Mesh, Reply};

const MS: Duration = Duration::from_millis(1);

/// A target `shop` with a filter of clients, and one endpoint.
fn mesh(filter: &str) -> Mesh {
    let yaml = SHOP.replace("$FILTER", &filter.trim().replace('\n', "\n        "));
    Mesh::from_yaml(&yaml).unwrap()
}

const SHOP: &str = "
---
'@type': type.googleapis.com/envoy.config.listener.v3.Listener
name: shop
api_listener:
  api_listener:
    '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
    rds: { config_source: { ads: {}, resource_api_version: V3 }, route_config_name: shop }
    http_filters:
    - name: guard
      typed_config:
        $FILTER
    - name: router
      typed_config:
        '@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
---
'@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration
name: shop
virtual_hosts:
- { name: shop, domains: ['*'], routes: [{ match: { prefix: / }, route: { cluster: shop } }] }
---
'@type': type.googleapis.com/envoy.config.cluster.v3.Cluster
name: shop
type: STATIC
load_assignment:
  cluster_name: shop
  endpoints:
  - lb_endpoints:
    - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 80 } } }
";

const ADAPTIVE: &str = "
'@type': type.googleapis.com/envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency
concurrency_limit_exceeded_status: { code: TooManyRequests }
gradient_controller_config:
  concurrency_limit_params: { concurrency_update_interval: 1s, max_concurrency_limit: 8 }
  min_rtt_calc_params: { fixed_value: 0.1s, min_concurrency: 3 }
";

#[tokio::test(start_paused = true)]
async fn as_many_calls_are_under_way_as_the_controller_says() {
    let mesh = mesh(ADAPTIVE);
    let backend = mesh.backend("shop");
    backend.delay(MS * 10);
    let ask = || mesh.grpc("http://shop/a.B/C").times(20).concurrency(20);
    let counts = |seen: mesh_hyper::testing::Seen| {
        let all = seen.grpc_statuses();
        (all.get(&0).copied().unwrap_or(0), all.get(&14).copied().unwrap_or(0))
    };
    assert_eq!(counts(ask().await), (3, 17));
    // Requests take less than at an idle server: twice as many, and the root of that.
    tokio::time::sleep(MS * 1_000).await;
    assert_eq!(counts(ask().await), (8, 12));
    // And now they take far longer: half as many, and the root of that.
    backend.delay(MS * 900);
    tokio::time::sleep(MS * 1_000).await;
    assert_eq!(counts(ask().await), (8, 12));
    tokio::time::sleep(MS * 1_000).await;
    assert_eq!(counts(ask().await), (6, 14));
    assert_eq!(backend.requests(), 25);
}

#[tokio::test(start_paused = true)]
async fn http_callers_are_told_what_is_configured_and_dropped_calls_give_their_place_back() {
    let mesh = mesh(ADAPTIVE);
    mesh.backend("shop").delay(MS * 500);
    for _ in 0..3 {
        let ask = mesh.get("http://shop/").times(5).concurrency(5);
        drop(tokio::time::timeout(MS * 100, ask).await);
    }
    let seen = mesh.get("http://shop/").times(5).concurrency(5).await;
    assert_eq!(seen.statuses(), [(200, 3), (429, 2)].into());
    let refused = seen.answers().iter().find(|answer| answer.status().unwrap() == 429);
    assert_eq!(refused.unwrap().text(), "reached concurrency limit");
}

const ADMISSION: &str = "
'@type': type.googleapis.com/envoy.extensions.filters.http.admission_control.v3.AdmissionControl
success_criteria: {}
sampling_window: 10s
sr_threshold: { default_value: { value: 100 }, runtime_key: x }
aggression: { default_value: 1000000000, runtime_key: y }
max_rejection_probability: { default_value: { value: 100 }, runtime_key: z }
";

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_left_alone_while_its_failures_count() {
    let mesh = mesh(ADMISSION);
    let backend = mesh.backend("shop");
    assert_eq!(mesh.get("http://shop/").times(9).await.failures(), 0);
    backend.fail_always(500);
    assert_eq!(mesh.get("http://shop/").times(9).await.statuses(), [(500, 1), (503, 8)].into());
    backend.recover();
    assert_eq!(mesh.get("http://shop/").times(9).await.statuses(), [(503, 9)].into());
    assert_eq!(backend.requests(), 10);
    tokio::time::sleep(MS * 11_000).await;
    assert_eq!(mesh.get("http://shop/").times(9).await.failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_codes_of_grpc_calls_count_wherever_they_are() {
    let only = |code: &str| {
        let criteria = format!("{{ grpc_criteria: {{ grpc_success_status: [{code}] }} }}");
        ADMISSION.replace("success_criteria: {}", &format!("success_criteria: {criteria}"))
    };
    for (filter, reply, is_refused) in [
        (ADMISSION.to_owned(), Reply::grpc(14, "away"), true),
        (ADMISSION.to_owned(), Reply::grpc(5, "not here"), false),
        (ADMISSION.to_owned(), Reply::message(b""), false),
        (ADMISSION.to_owned(), Reply::reset(2), true),
        (only("14"), Reply::grpc(14, "away"), false),
        (only("14"), Reply::reset(2), false),
        // Its code is in the trailers.
        (only("14"), Reply::message(b""), true),
        (only("0"), Reply::message(b""), false),
    ] {
        let mesh = mesh(&filter);
        let backend = mesh.backend("shop");
        backend.fail_always(reply.clone());
        mesh.grpc("http://shop/a.B/C").await;
        mesh.grpc("http://shop/a.B/C").await;
        assert_eq!(backend.requests() == 1, is_refused, "{filter} {reply:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_of_the_short_form_leaves_its_endpoint_alone() {
    let yaml = "
version: mesh/v1
defaults: { breaker: { consecutive: 5, wait: 2s } }
services:
  shop: { retry: { on: 5xx }, versions: { v1: '127.0.0.1:80' } }
  other: { breaker: { consecutive: 2 }, versions: { v1: '127.0.0.1:81' } }
";
    let mesh = Mesh::from_yaml(yaml).unwrap();
    let backend = mesh.backend("shop/v1");
    backend.fail_always(500);
    let post = |times| mesh.post("http://shop/").times(times);
    let seen = post(20).await;
    assert_eq!((seen.statuses(), backend.requests()), ([(500, 5)].into(), 5));
    let why = "cluster shop/v1: the breakers of all endpoints are open";
    assert_eq!(seen.errors(), [(why.to_owned(), 15)].into());
    // The wait is 2 s, and a fifth more or less.
    backend.recover();
    tokio::time::sleep(MS * 1_500).await;
    assert_eq!(post(5).await.errors(), [(why.to_owned(), 5)].into());
    tokio::time::sleep(MS * 1_000).await;
    assert_eq!(post(5).await.failures(), 0);

    // A retry finds nobody who may be asked: it is not made, and nor is another.
    let (shop, other) = (mesh.backend("shop/v1"), mesh.backend("other/v1"));
    shop.fail_always(503);
    other.fail_always(503);
    assert_eq!(mesh.get("http://other/").times(5).await.statuses(), [(503, 2)].into());
    let seen = mesh.get("http://shop/").times(3).await;
    assert_eq!((seen.errors(), shop.requests()), ([(why.to_owned(), 1)].into(), 10 + 5));
    assert_eq!(seen.answers().last().unwrap().attempts(), 1);
}
