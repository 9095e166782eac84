use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

use super::*;
use crate::classify::{Failure, Outcome};
use crate::matcher::{HeaderMatcher, ValueMatcher};
use crate::request::RequestHead;
use crate::testing::{SequenceRng, at, at_millis};

mod budget;

fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(*name, HeaderValue::from_static(value));
    }
    map
}

fn call(policy: &Policy, start: Start) -> Retries {
    call_with(policy, start, &HeaderMap::new())
}

fn call_with(policy: &Policy, start: Start, headers: &HeaderMap) -> Retries {
    let (method, uri) = (Method::GET, Uri::from_static("/"));
    Retries::new(policy, &RequestHead::from_pieces(&method, &uri, headers, "a"), start)
}

fn grpc() -> Start {
    Start { dialect: Dialect::Grpc, ..Start::default() }
}

/// The conditions that are met, or why not.
fn said(next: &Next) -> String {
    match next {
        Next::Again { why, .. } => why.to_string(),
        Next::Commit => "commit".into(),
        Next::Stop(stop) => stop.as_str().into(),
    }
}

fn rng() -> SequenceRng {
    SequenceRng::new([1 << 31])
}

fn after(policy: &Policy, start: Start, outcome: &Outcome<'_>) -> String {
    said(&call(policy, start).after(&Context::new(policy), outcome, at(0), &mut rng()))
}

#[test]
fn answers_are_judged_as_in_envoy() {
    let mut policy = Policy::new(Conditions::NONE);
    policy.status_codes = vec![StatusCode::IM_A_TEAPOT];
    policy.headers = vec![HeaderMatcher::new("x-again", ValueMatcher::Present(true)).unwrap()];
    for (retry_on, status, headers, expect) in [
        ("5xx", 500, &[][..], "5xx"),
        ("5xx", 404, &[], "commit"),
        ("5xx", 503, &[("x-envoy-overloaded", "true")], "commit"),
        ("5xx", 503, &[("x-envoy-ratelimited", "true")], "commit"),
        ("5xx,envoy-ratelimited", 429, &[("x-envoy-ratelimited", "true")], "envoy-ratelimited"),
        ("gateway-error", 500, &[], "commit"),
        ("gateway-error", 503, &[], "gateway-error"),
        ("retriable-4xx", 409, &[], "retriable-4xx"),
        ("retriable-4xx", 404, &[], "commit"),
        ("retriable-status-codes", 418, &[], "retriable-status-codes"),
        ("5xx", 418, &[], "commit"),
        ("retriable-headers", 200, &[("x-again", "1")], "retriable-headers"),
        ("5xx", 200, &[("x-again", "1")], "commit"),
        ("unavailable", 200, &[("grpc-status", "14")], "unavailable"),
        ("unavailable", 200, &[("grpc-status", "13")], "commit"),
        ("unavailable", 503, &[], "commit"),
        ("", 503, &[], "commit"),
    ] {
        policy.conditions = Conditions::parse(retry_on);
        let headers = fields(headers);
        let outcome = Outcome::answer(StatusCode::from_u16(status).unwrap(), &headers);
        assert_eq!(after(&policy, Start::default(), &outcome), expect, "{retry_on} {status}");
    }
}

#[test]
fn failures_are_judged_as_in_envoy() {
    use Failure::{Connect, Overflow, Refused, Reset, ResetBeforeRequest, TimedOut};
    for (retry_on, failures) in [
        ("5xx", &[Connect, ResetBeforeRequest, Reset, Refused, TimedOut][..]),
        ("gateway-error", &[Connect, ResetBeforeRequest, Reset, Refused, TimedOut]),
        ("reset", &[Connect, ResetBeforeRequest, Reset, Refused, TimedOut]),
        ("reset-before-request", &[Connect, ResetBeforeRequest]),
        ("connect-failure", &[Connect]),
        ("refused-stream", &[Refused]),
        ("http3-post-connect-failure", &[]),
        ("unavailable", &[]),
    ] {
        let policy = Policy::new(Conditions::parse(retry_on));
        for failure in [Connect, ResetBeforeRequest, Reset, Refused, TimedOut, Overflow] {
            let expect = if failures.contains(&failure) { retry_on } else { "commit" };
            let found = after(&policy, Start::default(), &Outcome::Failed(failure));
            assert_eq!(found, expect, "{retry_on} {failure:?}");
        }
    }
}

#[test]
fn grpc_goes_by_status_codes_alone() {
    let none = HeaderMap::new();
    let code = |code| fields(&[("grpc-status", code)]);
    for (retry_on, headers, expect) in [
        ("unavailable,5xx", code("14"), "unavailable"),
        ("cancelled", code("1"), "cancelled"),
        ("deadline-exceeded", code("4"), "deadline-exceeded"),
        ("internal", code("13"), "internal"),
        ("resource-exhausted", code("8"), "resource-exhausted"),
        ("unavailable", code("0"), "commit"),
        ("unavailable", none.clone(), "commit"),
    ] {
        let policy = Policy::new(Conditions::parse(retry_on));
        let found = after(&policy, grpc(), &Outcome::answer(StatusCode::OK, &headers));
        assert_eq!(found, expect, "{retry_on} {headers:?}");
    }
    let policy = Policy::new(Conditions::parse("5xx,unavailable"));
    let failed = |failure| after(&policy, grpc(), &Outcome::Failed(failure));
    assert_eq!(failed(Failure::Reset), "unavailable");
    assert_eq!(failed(Failure::Overflow), "commit");
    let unavailable = Outcome::answer(StatusCode::SERVICE_UNAVAILABLE, &none);
    assert_eq!(after(&policy, grpc(), &unavailable), "unavailable");
    let policy = Policy::new(Conditions::parse("5xx"));
    assert_eq!(after(&policy, grpc(), &Outcome::Failed(Failure::Reset)), "commit");
}

/// The waits in milliseconds before all retries of a call that fails by `outcome` every time.
fn waits(policy: &Policy, start: Start, outcome: &Outcome<'_>) -> Vec<u128> {
    let mut retries = call(policy, start);
    let mut waits = Vec::new();
    let context = Context { wall: 1_000, ..Context::new(policy) };
    while let Next::Again { at: then, .. } = retries.after(&context, outcome, at(0), &mut rng()) {
        waits.push((then - at(0)).as_millis());
    }
    waits
}

#[test]
fn waits_are_those_of_the_dialect() {
    let policy = Policy::new(Conditions::parse("5xx,unavailable")).num_retries(6);
    let reset = Outcome::Failed(Failure::Reset);
    // Half of 25, 75, 175 and of the bound of 250 ms.
    assert_eq!(waits(&policy, Start::default(), &reset), [12, 37, 87, 125, 125, 125]);
    assert_eq!(waits(&policy, grpc(), &reset), [25, 50, 100, 200]);
}

#[test]
fn servers_say_when_to_come_again() {
    let header = |name: &'static str, format| ResetHeader { name: name.parse().unwrap(), format };
    let mut policy = Policy::new(Conditions::parse("5xx"));
    policy.rate_limited = Some(RateLimited {
        headers: vec![
            header("retry-after", ResetFormat::Seconds),
            header("x-ratelimit-reset", ResetFormat::UnixTimestamp),
        ],
        max: RateLimited::MAX,
    });
    for (headers, expect) in [
        (&[("retry-after", "4")][..], 5_000),
        (&[("retry-after", "301"), ("x-ratelimit-reset", "1008")], 10_000),
        (&[("x-ratelimit-reset", "999")], 12),
        (&[("retry-after", "soon")], 12),
        (&[("retry-after", "0")], 12),
        (&[], 12),
    ] {
        let headers = fields(headers);
        let outcome = Outcome::answer(StatusCode::SERVICE_UNAVAILABLE, &headers);
        assert_eq!(waits(&policy, Start::default(), &outcome), [expect], "{headers:?}");
    }
}

#[test]
fn pushback_is_obeyed() {
    let policy = Policy::new(Conditions::UNAVAILABLE).num_retries(4);
    let context = Context::new(&policy);
    let mut retries = call(&policy, grpc());
    let mut next = |pushback: Option<&'static str>| {
        let mut headers = fields(&[("grpc-status", "14")]);
        if let Some(pushback) = pushback {
            headers.insert("grpc-retry-pushback-ms", HeaderValue::from_static(pushback));
        }
        let outcome = Outcome::answer(StatusCode::OK, &headers);
        match retries.after(&context, &outcome, at(0), &mut rng()) {
            Next::Again { at: then, .. } => format!("{} ms", (then - at(0)).as_millis()),
            next @ (Next::Commit | Next::Stop(_)) => said(&next),
        }
    };
    assert_eq!(next(None), "25 ms");
    assert_eq!(next(Some("7")), "7 ms");
    // The waits grow from the start again.
    assert_eq!(next(None), "25 ms");
    assert_eq!(next(Some("-1")), "pushback");
    assert_eq!(next(Some("x")), "pushback");
}

#[test]
fn a_server_holds_no_call_for_longer_than_its_deadline_or_five_minutes() {
    let policy = Policy::new(Conditions::UNAVAILABLE).num_retries(4);
    let context = Context::new(&policy);
    let hour = Start { deadline: Some(at(3_600)), ..grpc() };
    for (start, pushback, expect) in [
        (grpc(), "300000", Ok(300_000)),
        (grpc(), "300001", Err("pushback")),
        (grpc(), "2147483647", Err("pushback")),
        (hour, "300001", Ok(300_001)),
        (hour, "3599999", Ok(3_599_999)),
        (hour, "3600000", Err("deadline")),
        // Above 32 bits it is no such number.
        (hour, "2147483648", Err("pushback")),
        (hour, "18446744073709551615", Err("pushback")),
    ] {
        let fields = fields(&[("grpc-status", "14"), ("grpc-retry-pushback-ms", pushback)]);
        let outcome = Outcome::answer(StatusCode::OK, &fields);
        let next = call(&policy, start).after(&context, &outcome, at(0), &mut rng());
        let found = match &next {
            Next::Again { at: then, .. } => Ok((*then - at(0)).as_millis()),
            Next::Commit | Next::Stop(_) => Err(said(&next)),
        };
        assert_eq!(found, expect.map_err(str::to_owned), "{pushback}");
    }
}

#[test]
fn there_is_an_end() {
    let reset = Outcome::Failed(Failure::Reset);
    let count = |policy: &Policy, start| waits(policy, start, &reset).len();
    let policy = |times| Policy::new(Conditions::parse("reset,unavailable")).num_retries(times);
    assert_eq!(count(&Policy::new(Conditions::RESET), Start::default()), 1);
    assert_eq!(count(&policy(0), Start::default()), 0);
    assert_eq!(count(&policy(9), Start::default()), 9);
    assert_eq!(count(&policy(9), grpc()), 4);
    let late = Start { deadline: Some(at_millis(40)), ..Start::default() };
    let found = waits(&policy(9), late, &reset);
    assert_eq!(found, [12, 37]);
    let mut retries = call(&policy(1), Start::default());
    assert!(retries.may_retry());
    retries.commit();
    assert!(!retries.may_retry());
    let next = retries.after(&Context::new(&policy(1)), &reset, at(0), &mut rng());
    assert_eq!(said(&next), "committed");
}

#[test]
fn only_some_requests_are_sent_again() {
    let mut policy = Policy::new(Conditions::RESET);
    let matcher = HeaderMatcher::new("x-idempotent", ValueMatcher::Present(true)).unwrap();
    policy.request_headers = vec![matcher];
    let retries = |headers| call_with(&policy, Start::default(), &fields(headers)).may_retry();
    assert!(retries(&[("x-idempotent", "1")]));
    assert!(!retries(&[]));
}

#[test]
fn what_is_not_idempotent_is_sent_again_only_untouched() {
    use Failure::{Connect, Refused, Reset, ResetBeforeRequest, TimedOut};
    let retried = |retry_on, methods, method| {
        let mut policy = Policy::new(Conditions::parse(retry_on));
        policy.methods = methods;
        let (uri, headers) = (Uri::from_static("/"), HeaderMap::new());
        let head = RequestHead::from_pieces(&method, &uri, &headers, "a");
        let is_again = |failure: &Failure| {
            let mut retries = Retries::new(&policy, &head, Start::default());
            let outcome = Outcome::Failed(*failure);
            let next = retries.after(&Context::new(&policy), &outcome, at(0), &mut rng());
            matches!(next, Next::Again { .. })
        };
        let all = [Connect, ResetBeforeRequest, Refused, Reset, TimedOut];
        all.into_iter().filter(is_again).collect::<Vec<_>>()
    };
    let all = retried("gateway-error", Methods::All, Method::POST);
    assert_eq!(all.len(), 5);
    assert_eq!(retried("gateway-error", Methods::Idempotent, Method::PUT), all);
    let untouched = retried("gateway-error", Methods::Idempotent, Method::POST);
    assert_eq!(untouched, [Connect, ResetBeforeRequest, Refused]);
    assert_eq!(retried("refused-stream", Methods::Idempotent, Method::PATCH), [Refused]);
    // Nor beside an attempt that may be carrying it out.
    let beside = |method| {
        let mut policy = Policy::new(Conditions::parse("gateway-error"));
        policy.methods = Methods::Idempotent;
        let (uri, headers) = (Uri::from_static("/"), HeaderMap::new());
        let head = RequestHead::from_pieces(&method, &uri, &headers, "a");
        let mut retries = Retries::new(&policy, &head, Start::default());
        said(&retries.beside(&Context::new(&policy), at(0)))
    };
    assert_eq!([beside(Method::GET), beside(Method::POST)], ["reset", "commit"]);
}

#[test]
fn a_retry_is_not_retried_where_the_policy_says_so() {
    let reset = Outcome::Failed(Failure::Reset);
    let mut policy = Policy::new(Conditions::RESET);
    let start = Start { inherited: 1, ..Start::default() };
    assert_eq!(after(&policy, start, &reset), "reset");
    policy.of_retries = OfRetries::Once;
    assert_eq!(after(&policy, start, &reset), "inherited");
    assert!(!call(&policy, start).may_retry());
    assert_eq!(after(&policy, Start::default(), &reset), "reset");
    // The next service is told.
    let mut headers = HeaderMap::new();
    call(&policy, start).stamp(Counted::Plain, &mut headers);
    assert_eq!(crate::inherited::retries(&headers), 1);
}

#[test]
fn attempts_are_counted_in_header_fields() {
    let policy = Policy::new(Conditions::parse("reset,unavailable")).num_retries(2);
    let reset = Outcome::Failed(Failure::Reset);
    let stamped = |start: Start, counted| {
        let mut retries = call(&policy, start);
        let mut headers = HeaderMap::new();
        let mut seen = Vec::new();
        loop {
            retries.stamp(counted, &mut headers);
            let text = |name: &str| headers.get(name).map_or("-", |v| v.to_str().unwrap());
            seen.push([text("grpc-previous-rpc-attempts"), text("x-envoy-attempt-count")].concat());
            let next = retries.after(&Context::new(&policy), &reset, at(0), &mut rng());
            if !matches!(next, Next::Again { .. }) {
                return seen;
            }
        }
    };
    assert_eq!(stamped(grpc(), Counted::Plain), ["--", "1-", "2-"]);
    assert_eq!(stamped(Start::default(), Counted::Plain), ["--", "--", "--"]);
    assert_eq!(stamped(Start::default(), Counted::Included), ["-1", "-2", "-3"]);
    assert_eq!(stamped(grpc(), Counted::Included), ["-1", "12", "23"]);
}

#[test]
fn retries_that_are_not_to_be_retried_are_counted_in_any_case() {
    let mut policy = Policy::new(Conditions::RESET).num_retries(1);
    policy.of_retries = OfRetries::Once;
    let mut retries = call(&policy, Start::default());
    let mut headers = HeaderMap::new();
    retries.stamp(Counted::Plain, &mut headers);
    assert!(headers.is_empty());
    let reset = Outcome::Failed(Failure::Reset);
    let next = retries.after(&Context::new(&policy), &reset, at(0), &mut rng());
    assert!(matches!(next, Next::Again { .. }));
    retries.stamp(Counted::Plain, &mut headers);
    assert_eq!(headers, fields(&[("x-envoy-attempt-count", "2")]));
}

#[test]
fn callers_ask_by_header_fields() {
    let mut headers = fields(&[
        ("x-envoy-retry-on", "5xx,unavailable"),
        ("x-envoy-retry-grpc-on", "cancelled,reset"),
        ("x-envoy-max-retries", "3"),
        ("x-envoy-upstream-rq-timeout-ms", "1500"),
        ("x-envoy-upstream-rq-per-try-timeout-ms", "0"),
        ("x-envoy-hedge-on-per-try-timeout", "true"),
        ("x-other", "stays"),
    ]);
    let asked = Asked::take(&mut headers);
    assert_eq!(headers, fields(&[("x-other", "stays")]));
    assert_eq!(asked.conditions, Conditions::SERVER_ERROR | Conditions::CANCELLED);
    assert_eq!((asked.num_retries, asked.hedge_on_per_try_timeout), (Some(3), Some(true)));
    let second = Some(Duration::from_secs(1));
    assert_eq!(asked.limit(second), Some(Duration::from_millis(1_500)));
    assert_eq!(Asked::default().limit(second), second);
    assert_eq!(Asked::default().limit(Some(Duration::ZERO)), None);
    let mut policy = Policy::new(Conditions::RESET);
    policy.per_try_timeout = second;
    let own = call(&policy, Start::default());
    let asking = call(&policy, Start { asked, ..Start::default() });
    assert_eq!(own.attempt_deadline(at(1)), Some(at(2)));
    assert_eq!(asking.attempt_deadline(at(1)), None);
    let reset = Outcome::Failed(Failure::Reset);
    assert_eq!(waits(&policy, Start { asked, ..Start::default() }, &reset).len(), 3);
    let nonsense = [("x-envoy-max-retries", "-1"), ("x-envoy-hedge-on-per-try-timeout", "yes")];
    assert_eq!(Asked::take(&mut fields(&nonsense)), Asked::default());
}

#[test]
fn an_attempt_ends_with_the_call() {
    let mut policy = Policy::new(Conditions::RESET);
    policy.per_try_timeout = Some(Duration::from_secs(5));
    let start = Start { deadline: Some(at(3)), ..Start::default() };
    assert_eq!(call(&policy, start).attempt_deadline(at(0)), Some(at(3)));
    assert_eq!(call(&policy, Start::default()).attempt_deadline(at(0)), Some(at(5)));
}

#[test]
fn a_throttle_closes_and_opens() {
    let policy = Policy::new(Conditions::UNAVAILABLE).num_retries(4);
    let throttle = Throttle::new(4, 500);
    let context = Context { throttle: Some(&throttle), ..Context::new(&policy) };
    let reset = Outcome::Failed(Failure::Reset);
    let fails = || said(&call(&policy, grpc()).after(&context, &reset, at(0), &mut rng()));
    let ok = HeaderMap::new();
    let succeeds = || {
        let ok = Outcome::answer(StatusCode::OK, &ok);
        said(&call(&policy, grpc()).after(&context, &ok, at(0), &mut rng()))
    };
    assert_eq!([fails(), fails()], ["unavailable", "throttled"]);
    assert!(!throttle.allows());
    // Two tokens are left; more than two must be there after the failure.
    assert_eq!([succeeds(), succeeds(), succeeds()], ["commit", "commit", "commit"]);
    assert_eq!(fails(), "unavailable");
}

#[test]
fn an_attempt_beside_a_slow_one_is_a_retry() {
    let policy = Policy::new(Conditions::RESET);
    let mut retries = call(&policy, Start::default());
    let context = Context::new(&policy);
    assert!(
        matches!(retries.beside(&context, at(2)), Next::Again { at: then, .. } if then == at(2))
    );
    assert_eq!(said(&retries.beside(&context, at(3))), "attempts");
    let none = Policy::default();
    assert_eq!(said(&call(&none, Start::default()).beside(&Context::new(&none), at(0))), "commit");
}

#[test]
fn other_hosts_are_looked_for() {
    let labels = |host: &u32, name: &str| (*host == 7 && name == "canary").then_some("true");
    let choose = |hosts: &Hosts, picks: &[u32]| {
        let mut picks = picks.iter().copied();
        hosts.choose(&[1, 2], || picks.next(), labels)
    };
    let mut hosts = Hosts::default();
    assert!(hosts.is_empty());
    assert_eq!(choose(&hosts, &[1, 3]), Some(1));
    hosts.avoid_previous = true;
    assert_eq!(choose(&hosts, &[1, 3]), Some(3));
    assert_eq!(choose(&hosts, &[1, 2, 3]), Some(2));
    hosts.attempts = 2;
    assert_eq!(choose(&hosts, &[1, 2, 3]), Some(3));
    assert_eq!(choose(&hosts, &[7, 3]), Some(7));
    hosts.omit = vec![vec![("canary".into(), "true".into())]];
    assert_eq!(choose(&hosts, &[7, 3]), Some(3));
    assert_eq!(choose(&hosts, &[]), None);
}

#[test]
fn priorities_are_left_when_they_were_asked() {
    let after = |every: u32, asked: &[u32], able: &[u32]| {
        let asked: Vec<_> = asked.iter().map(|one| (*one < 9).then_some(*one)).collect();
        Priorities { update_frequency: every.try_into().unwrap() }.excluded(&asked, able)
    };
    assert_eq!(after(1, &[], &[0, 1]), [0; 0]);
    assert_eq!(after(1, &[0], &[0, 1, 2]), [0]);
    assert_eq!(after(1, &[1, 0, 1], &[0, 1, 2]), [0, 1]);
    // All were asked: from the beginning.
    assert_eq!(after(1, &[0, 1], &[0, 1]), [0; 0]);
    assert_eq!(after(1, &[0, 1, 0], &[0, 1]), [0]);
    assert_eq!(after(1, &[0], &[0]), [0; 0]);
    // Of those that can take calls, all were.
    assert_eq!(after(1, &[0, 1], &[0, 1, 3]), [0, 1]);
    assert_eq!(after(1, &[1], &[1]), [0; 0]);
    assert_eq!(after(1, &[1], &[]), [0; 0]);
    // Every other attempt changes something.
    assert_eq!(after(2, &[0], &[0, 1]), [0; 0]);
    assert_eq!(after(2, &[0, 0], &[0, 1]), [0]);
    assert_eq!(after(2, &[0, 0, 1], &[0, 1]), [0]);
    assert_eq!(after(2, &[0, 0, 1, 1], &[0, 1]), [0; 0]);
    assert_eq!(after(2, &[0, 0, 1, 1, 0], &[0, 1]), [0; 0]);
    assert_eq!(after(2, &[0, 0, 1, 1, 0, 1], &[0, 1, 2]), [0, 1]);
    // An endpoint that has left the cluster counts, and stands for no priority.
    assert_eq!(after(1, &[0, 9], &[0, 1]), [0]);
}
