//! Each part of resilience has its tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod situations;
mod table;

/// What there must be a row for.
const REQUIRED: [(&str, &[&str]); 7] = [
    (
        "Time",
        &[
            "route timeout",
            "idle_timeout",
            "max_stream_duration",
            "grpc_timeout_header_max and grpc_timeout_header_offset",
            "per_try_timeout",
            "per_try_idle_timeout",
            "one deadline through waiting, retries and backoff",
            "outgoing grpc-timeout",
            "outgoing x-envoy-expected-rq-timeout-ms",
        ],
    ),
    (
        "Context that follows the request",
        &["deadline", "priority", "tenant", "request id", "attempt", "trace context", "in_request"],
    ),
    (
        "Retries",
        &[
            "gRPC: A44 and A6",
            "HTTP: retry_on",
            "num_retries",
            "backoff with jitter",
            "Retry-After and reset headers",
            "gRPC pushback",
            "previous_hosts",
            "omit_canary_hosts",
            "previous_priorities",
            "retriable headers and request headers",
            "retry budgets",
            "A6 throttling",
            "replay cap",
            "transparent retries",
            "attempt-count headers",
            "chain-wide bound",
        ],
    ),
    (
        "Hedging",
        &[
            "on per-try timeout",
            "initial_requests",
            "delay or percentile from code",
            "budget",
            "the first good answer wins",
            "only calls marked safe",
        ],
    ),
    (
        "Protection",
        &[
            "circuit breakers: max_connections",
            "circuit breakers: max_pending_requests",
            "circuit breakers: max_requests",
            "circuit breakers: max_retries",
            "circuit breakers: max_connection_pools",
            "circuit breakers: priorities",
            "circuit breakers: track_remaining",
            "connection-pool limits",
            "bulkhead",
            "outlier detection: consecutive errors",
            "outlier detection: success rate",
            "outlier detection: failure percentage",
            "outlier detection: local origin",
            "outlier detection: A50",
            "outlier detection: A91",
            "breaker per endpoint",
            "adaptive concurrency: gradient",
            "adaptive concurrency: AIMD and Vegas",
            "admission control",
            "load shedding by criticality",
        ],
    ),
    (
        "Limits",
        &[
            "local rate limit: token bucket",
            "local rate limit: enabled and enforced",
            "local rate limit: descriptors",
            "local rate limit: per connection",
            "local rate limit: per route",
            "local rate limit: headers",
            "keyed limits",
            "global rate limit: descriptor actions",
            "global rate limit: stages",
            "global rate limit: failure mode",
        ],
    ),
    (
        "Faults",
        &[
            "delay",
            "abort with an HTTP status",
            "abort with a gRPC status",
            "controlled by headers",
            "max_active_faults",
            "response rate limit",
            "client and server side",
        ],
    ),
];

/// The layers, which have no counterpart to compare with.
const LAYERS: [&str; 9] = [
    "RateLimitLayer",
    "BreakerLayer",
    "RetryLayer",
    "HedgeLayer",
    "TimeoutLayer",
    "BulkheadLayer",
    "AdaptiveConcurrencyLayer",
    "FaultLayer",
    "OutlierLayer",
];

#[test]
fn each_feature_has_its_tests() {
    let faults = table::read().faults(&REQUIRED, &LAYERS);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_page_is_what_the_table_says() {
    let page = std::fs::read_to_string(table::root().join(table::DOCUMENT)).unwrap();
    assert!(page == table::read().document(), "cargo run -p mesh-tests --bin coverage");
}

#[test]
fn a_missing_row_is_a_fault() {
    let table = table::read();
    for (at, (part, features)) in REQUIRED.iter().enumerate() {
        let mut more: Vec<_> = features.to_vec();
        more.push("what nobody has");
        let mut required = REQUIRED;
        required[at] = (part, &more);
        let faults = table.faults(&required, &LAYERS);
        assert_eq!(faults, [format!("{part}: \"what nobody has\" has no row")]);
    }
}
