//! Limits on rates, and faults, from their configuration to what callers see.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_hyper::testing::{Mesh, RateLimiter};

const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters.http";

/// `reviews` behind `filters`, with `limits` on its route; and a cluster `limiter`.
fn yaml(filters: &str, limits: &str) -> String {
    format!(
        r#"---
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: reviews
api_listener:
  api_listener:
    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
    http_filters:
      - {{ {filters} }}
      - name: router
        typed_config: {{ "@type": {FILTERS}.router.v3.Router }}
    route_config:
      virtual_hosts:
        - name: reviews
          domains: ["*"]
          routes: [{{ match: {{ prefix: "" }}, route: {{ cluster: reviews, rate_limits: [{limits}] }} }}]
{}{}"#,
        cluster("reviews", 9081),
        cluster("limiter", 9082)
    )
}

fn cluster(name: &str, port: u16) -> String {
    format!(
        r#"---
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: {name}
type: STATIC
load_assignment:
  cluster_name: {name}
  endpoints:
    - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}
"#
    )
}

fn filter(kind: &str, config: &str) -> String {
    format!(r#"name: it, typed_config: {{ "@type": {FILTERS}.{kind}, {config} }}"#)
}

fn mesh(filters: &str, limits: &str) -> Mesh {
    Mesh::from_yaml(&yaml(filters, limits)).unwrap()
}

fn statuses(expect: &[(u16, usize)]) -> BTreeMap<u16, usize> {
    expect.iter().copied().collect()
}

const SHARES: &str = "filter_enabled: { default_value: { numerator: 100 } }, \
                      filter_enforced: { default_value: { numerator: 100 } }";

#[tokio::test(start_paused = true)]
async fn local_limits_hold_back_what_is_too_much() {
    let bucket = "stat_prefix: a, token_bucket: { max_tokens: 3, fill_interval: 1s }";
    let mesh =
        mesh(&filter("local_ratelimit.v3.LocalRateLimit", &format!("{bucket}, {SHARES}")), "");
    let seen = mesh.get("http://reviews/1").times(5).await;
    assert_eq!(seen.statuses(), statuses(&[(200, 3), (429, 2)]));
    assert_eq!(seen.answers()[4].text(), "local_rate_limited");
    tokio::time::advance(Duration::from_secs(2)).await;
    let seen = mesh.grpc("http://reviews/a.B/C").times(5).await;
    assert_eq!(seen.grpc_statuses(), statuses(&[(0, 2), (14, 3)]));
}

#[tokio::test(start_paused = true)]
async fn descriptors_come_from_the_route_and_know_the_cluster() {
    let config = format!(
        "stat_prefix: a, token_bucket: {{ max_tokens: 9, fill_interval: 1s }}, {SHARES}, \
         enable_x_ratelimit_headers: DRAFT_VERSION_03, descriptors: [{{ entries: [\
         {{ key: destination_cluster, value: reviews }}, {{ key: user, value: gold }}], \
         token_bucket: {{ max_tokens: 1, fill_interval: 1s }} }}]"
    );
    let limits = "{ actions: [{ destination_cluster: {} }, \
                  { request_headers: { header_name: x-user, descriptor_key: user } }] }";
    let mesh = mesh(&filter("local_ratelimit.v3.LocalRateLimit", &config), limits);
    let gold = mesh.get("http://reviews/1").header("x-user", "gold").times(3).await;
    assert_eq!(gold.statuses(), statuses(&[(200, 1), (429, 2)]));
    assert_eq!(gold.answers()[0].header("x-ratelimit-limit"), Some("1"));
    let others = mesh.get("http://reviews/1").times(10).await;
    assert_eq!(others.statuses(), statuses(&[(200, 8), (429, 2)]));
    assert_eq!(others.answers()[0].header("x-ratelimit-remaining"), Some("7"));
}

#[tokio::test(start_paused = true)]
async fn a_service_is_asked_what_may_pass() {
    let config = "domain: shop, failure_mode_deny: true, rate_limit_service: { \
                  transport_api_version: V3, grpc_service: { envoy_grpc: { cluster_name: limiter } } }";
    let limits =
        "{ actions: [{ request_headers: { header_name: x-user, descriptor_key: user } }] }";
    let mesh = mesh(&filter("ratelimit.v3.RateLimit", config), limits);
    let limiter = RateLimiter::new();
    limiter.limit([("user", "gold")], 2);
    mesh.backend("limiter").serve(limiter.clone());
    let get = |user: &str| mesh.get("http://reviews/1").header("x-user", user);
    assert_eq!(get("gold").times(3).await.statuses(), statuses(&[(200, 2), (429, 1)]));
    assert_eq!(get("other").times(3).await.statuses(), statuses(&[(200, 3)]));
    assert_eq!(mesh.get("http://reviews/1").await.statuses(), statuses(&[(200, 1)]));
    let asked = limiter.requests();
    assert_eq!(asked.len(), 6, "not about the request that counts as nothing");
    assert_eq!((&*asked[0].domain, asked[0].hits.len()), ("shop", 1));
    assert_eq!(asked[0].descriptors, [[("user".to_owned(), "gold".to_owned())]]);
    limiter.fail_always();
    assert_eq!(get("other").await.statuses(), statuses(&[(500, 1)]));
    limiter.recover();
    assert_eq!(get("other").await.statuses(), statuses(&[(200, 1)]));
    // Nobody answers within 20 ms.
    mesh.backend("limiter").delay(Duration::from_secs(1));
    let late = get("other").await;
    assert_eq!((late.statuses(), late.elapsed().as_millis()), (statuses(&[(500, 1)]), 20));
}

#[tokio::test(start_paused = true)]
async fn faults_delay_and_abort_and_slow_down() {
    let all = "percentage: { numerator: 100 }";
    let config = format!(
        "upstream_cluster: reviews, delay: {{ fixed_delay: 2s, {all} }}, \
         abort: {{ http_status: 503, {all} }}"
    );
    let aborted = mesh(&filter("fault.v3.HTTPFault", &config), "");
    let seen = aborted.get("http://reviews/1").times(2).await;
    assert_eq!(seen.statuses(), statuses(&[(503, 2)]));
    assert_eq!(
        (seen.answers()[0].text(), seen.elapsed().as_secs()),
        ("fault filter abort".into(), 4)
    );
    let seen = aborted.grpc("http://reviews/a.B/C").await;
    assert_eq!(seen.grpc_statuses(), statuses(&[(14, 1)]));
    assert_eq!(aborted.backend("reviews").requests(), 0);

    let late = aborted.get("http://reviews/1").timeout(Duration::from_secs(1)).await;
    assert_eq!(
        (late.failures(), late.elapsed().as_secs()),
        (1, 1),
        "the deadline counts in a delay"
    );

    let elsewhere =
        mesh(&filter("fault.v3.HTTPFault", &config.replace(": reviews", ": other")), "");
    assert_eq!(elsewhere.get("http://reviews/1").await.statuses(), statuses(&[(200, 1)]));

    let config = format!("response_rate_limit: {{ fixed_limit: {{ limit_kbps: 16 }}, {all} }}");
    let slow = mesh(&filter("fault.v3.HTTPFault", &config), "");
    slow.backend("reviews").respond_with(|_| mesh_hyper::testing::Reply::ok("x".repeat(16 << 10)));
    let seen = slow.get("http://reviews/1").await;
    assert_eq!(seen.answers()[0].content().len(), 16 << 10);
    let millis = seen.elapsed().as_millis();
    assert!((900..1_050).contains(&millis), "{millis}");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_is_refused_with_its_place() {
    let config = "stat_prefix: a, token_bucket: { max_tokens: 3, fill_interval: 0.01s }";
    let yaml = yaml(&filter("local_ratelimit.v3.LocalRateLimit", config), "");
    let why = Mesh::from_yaml(&yaml).unwrap_err().to_string();
    assert!(why.contains("token_bucket.fill_interval: is below 50 ms"), "{why}");
}
