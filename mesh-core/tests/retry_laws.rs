//! What holds for retries and hedging whatever comes.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode, Uri};
use mesh_core::classify::{Class, Failure, Outcome};
use mesh_core::hedge::{self, Allowance, Delay, Hedges, Latencies};
use mesh_core::matcher::Fraction;
use mesh_core::request::RequestHead;
use mesh_core::retry::{
    Budget, Conditions, Context, Dialect, Limit, Next, OfRetries, Policy, Priorities, Retries,
    Spacing, Start, Throttle,
};
use mesh_core::rng::{Rng, XorShift};
use mesh_core::testing::{at, at_millis};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

const ALL: &str = "5xx,gateway-error,reset,reset-before-request,connect-failure,envoy-ratelimited,\
    retriable-4xx,refused-stream,retriable-status-codes,cancelled,deadline-exceeded,internal,\
    resource-exhausted,unavailable";

fn start(policy: &Policy, start: Start) -> Retries {
    let (method, uri, headers) = (Method::GET, Uri::from_static("/"), HeaderMap::new());
    Retries::new(policy, &RequestHead::from_pieces(&method, &uri, &headers, "a"), start)
}

fn dialects() -> impl Strategy<Value = Dialect> {
    any::<bool>().prop_map(|grpc| if grpc { Dialect::Grpc } else { Dialect::Envoy })
}

fn policies() -> impl Strategy<Value = Policy> {
    (0u32..8, 1u64..200, 1u64..20).prop_map(|(times, base, factor)| {
        let mut policy = Policy::new(Conditions::parse(ALL)).num_retries(times);
        let base = Duration::from_millis(base);
        policy.spacing = Spacing { base, max: base * u32::try_from(factor).unwrap() };
        policy
    })
}

/// A way to fail.
fn failures() -> impl Strategy<Value = Failure> {
    use Failure::{Connect, Overflow, Refused, Reset, ResetBeforeRequest, TimedOut};
    prop::sample::select(vec![Connect, ResetBeforeRequest, Reset, Refused, TimedOut, Overflow])
}

/// Makes the call go on as long as it wants to; the times of its retries.
fn times(
    policy: &Policy,
    first: Start,
    outcomes: &[Failure],
    rng: &mut dyn Rng,
) -> Vec<(Instant, Duration)> {
    let mut retries = start(policy, first);
    let (mut now, mut times) = (at(0), Vec::new());
    for failure in outcomes.iter().cycle() {
        let outcome = Outcome::Failed(*failure);
        let Next::Again { at: then, .. } = retries.after(&Context::new(policy), &outcome, now, rng)
        else {
            break;
        };
        times.push((then, then - now));
        now = then;
    }
    times
}

proptest! {
    #[test]
    fn attempts_are_never_above_what_is_allowed(
        policy in policies(),
        dialect in dialects(),
        outcomes in prop::collection::vec(failures(), 1..9),
        seed in any::<u64>(),
    ) {
        let first = Start { dialect, ..Start::default() };
        let made = times(&policy, first, &outcomes, &mut XorShift::new(seed)).len();
        let allowed = usize::try_from(policy.num_retries.unwrap()).unwrap();
        prop_assert!(made <= allowed);
        prop_assert!(dialect == Dialect::Envoy || made <= 4);
    }

    #[test]
    fn waits_stay_within_their_bounds(
        policy in policies(),
        dialect in dialects(),
        seed in any::<u64>(),
    ) {
        let first = Start { dialect, ..Start::default() };
        let all = times(&policy, first, &[Failure::Reset], &mut XorShift::new(seed));
        let Spacing { base, max } = policy.spacing;
        for (at, (_, wait)) in (0u32..).zip(all) {
            match dialect {
                Dialect::Envoy => {
                    let most = (base * (2u32.pow(at + 1) - 1)).min(max);
                    prop_assert!(wait <= most, "{wait:?} > {most:?}");
                }
                Dialect::Grpc => {
                    let middle = (base * 2u32.pow(at)).min(max);
                    let near = middle.mul_f64(0.799)..middle.mul_f64(1.201);
                    prop_assert!(near.contains(&wait), "{wait:?} is not near {middle:?}");
                }
            }
        }
    }

    #[test]
    fn no_attempt_starts_after_the_deadline(
        policy in policies(),
        dialect in dialects(),
        deadline in 0u64..2_000,
        seed in any::<u64>(),
    ) {
        let deadline = at(0) + Duration::from_millis(deadline);
        let first = Start { dialect, deadline: Some(deadline), ..Start::default() };
        for (then, _) in times(&policy, first, &[Failure::Connect], &mut XorShift::new(seed)) {
            prop_assert!(then < deadline);
        }
    }

    #[test]
    fn nothing_is_sent_again_after_commit(
        policy in policies(),
        dialect in dialects(),
        outcomes in prop::collection::vec(failures(), 1..9),
        seed in any::<u64>(),
    ) {
        let mut retries = start(&policy, Start { dialect, ..Start::default() });
        retries.commit();
        let (context, mut rng) = (Context::new(&policy), XorShift::new(seed));
        for failure in outcomes {
            let next = retries.after(&context, &Outcome::Failed(failure), at(0), &mut rng);
            let beside = retries.beside(&context, at(0));
            let is_again = [next, beside].iter().any(|next| matches!(next, Next::Again { .. }));
            prop_assert!(!is_again);
        }
        prop_assert_eq!(retries.made(), 0);
    }

    /// Calls come, fail, are sent again and end in any order.
    #[test]
    fn a_budget_is_never_exceeded_and_ends_at_nothing(
        steps in prop::collection::vec((0u8..4, any::<u8>()), 1..300),
        percent in 0u32..100,
        min in 0u32..4,
    ) {
        let budget = Arc::new(Budget::default());
        let limit = Limit::Share { ratio: Fraction::per_million(percent * 10_000), min };
        let policy = Policy::new(Conditions::RESET).num_retries(1_000);
        let mut rng = XorShift::new(1);
        let (mut calls, mut permits) = (Vec::new(), Vec::new());
        for (step, which) in steps {
            let which = usize::from(which);
            match step {
                0 => calls.push(start(&policy, Start::default()).enter(&budget, limit)),
                1 if !permits.is_empty() => drop(permits.swap_remove(which % permits.len())),
                2 if calls.len() > permits.len() => drop(calls.swap_remove(which % calls.len())),
                3 if calls.len() > permits.len() => {
                    let context = Context::new(&policy).budget(&budget, limit);
                    let mut retries = start(&policy, Start::default());
                    let reset = Outcome::Failed(Failure::Reset);
                    let next = retries.after(&context, &reset, at(0), &mut rng);
                    if let Next::Again { permit, .. } = next {
                        permits.push(permit.unwrap());
                        let (all, again) = (calls.len(), permits.len());
                        let share = (all - again) * usize::try_from(percent).unwrap() / 100;
                        prop_assert!(again <= share.max(usize::try_from(min).unwrap()));
                    }
                }
                _ => {}
            }
            prop_assert_eq!(usize::try_from(budget.calls()).unwrap(), calls.len());
            prop_assert_eq!(usize::try_from(budget.retries()).unwrap(), permits.len());
        }
        drop((calls, permits));
        prop_assert_eq!((budget.calls(), budget.retries()), (0, 0));
    }

    /// Calls of less than five seconds come, some of them because others have sent a request again,
    /// and all fail, as do all retries at once.
    #[test]
    fn a_budget_is_a_share_of_all_first_calls(
        calls in prop::collection::vec((0u8..10, 0u64..4_000), 1..300),
        percent in 0u32..100,
        under_way in 1usize..20,
    ) {
        let budget = Arc::new(Budget::default());
        let limit = Limit::Share { ratio: Fraction::per_million(percent * 10_000), min: 0 };
        let mut policy = Policy::new(Conditions::RESET).num_retries(1_000);
        policy.of_retries = OfRetries::Once;
        let mut rng = XorShift::new(1);
        let (mut firsts, mut own, mut now) = (0, 0, 0);
        let mut others = VecDeque::new();
        for (kind, wait) in calls {
            now += wait / (u64::try_from(under_way).unwrap() + 1);
            let is_again = kind == 0;
            let inherited = u32::from(is_again);
            let mut retries = start(&policy, Start { inherited, ..Start::default() });
            others.push_back(retries.enter(&budget, limit));
            firsts += u32::from(!is_again);
            let context = Context::new(&policy).budget(&budget, limit);
            let reset = Outcome::Failed(Failure::Reset);
            let now = at_millis(now);
            while let Next::Again { .. } = retries.after(&context, &reset, now, &mut rng) {
                prop_assert!(!is_again);
                own += 1;
                prop_assert!(own * 100 <= firsts * percent);
            }
            if others.len() > under_way {
                others.pop_front();
            }
        }
    }

    /// A throttle is a bucket that cannot be overdrawn or overfilled.
    #[test]
    fn a_throttle_allows_what_its_tokens_allow(
        max in 1u16..20,
        ratio in 0u16..1_500,
        outcomes in prop::collection::vec(any::<bool>(), 0..200),
    ) {
        let throttle = Throttle::new(max, ratio);
        let (full, mut tokens) = (i64::from(max) * 1_000, i64::from(max) * 1_000);
        for is_good in outcomes {
            if is_good {
                throttle.succeeded();
                tokens = (tokens + i64::from(ratio)).min(full);
            } else {
                tokens = (tokens - 1_000).max(0);
                prop_assert_eq!(throttle.failed(), tokens > full / 2);
            }
            prop_assert_eq!(throttle.allows(), tokens > full / 2);
        }
    }

    #[test]
    fn hedges_stay_within_their_allowance(
        calls in prop::collection::vec((1u32..4, any::<u64>(), 0u32..3), 1..200),
        share in 0u32..1_000_000,
        burst in 0u32..20,
    ) {
        let allowance = Allowance::new(Fraction::per_million(share), burst);
        let latencies = Latencies::new(Duration::from_secs(60), at(0));
        let (mut made, mut extra) = (0u64, 0u64);
        for (initial, seed, timeouts) in calls {
            let mut policy = hedge::Policy::new(Delay::After(Duration::from_millis(1)));
            policy.initial = initial;
            policy.most = 4;
            policy.additional = Fraction::per_million(500_000);
            let mut hedges = Hedges::new(&policy, &Method::GET, None);
            let mut rng = XorShift::new(seed);
            let mut running = hedges.begin(&policy, &allowance, &latencies, at(0), &mut rng);
            for _ in 0..timeouts {
                running += u32::from(hedges.handle_timeout(&allowance, at(1)));
            }
            made += 1;
            extra += u64::from(running - 1);
            prop_assert!(running <= policy.most.max(initial + 1));
            prop_assert!(extra <= u64::from(burst) + made * u64::from(share) / 1_000_000);
            // One outcome for each attempt, and one winner.
            for _ in 1..running {
                prop_assert_eq!(hedges.after(Class::Bad), hedge::Next::Wait);
            }
            prop_assert_eq!(hedges.after(Class::Bad), hedge::Next::Last);
        }
    }

    #[test]
    fn priorities_are_excluded_as_one_attempt_after_the_other_says(
        asked in prop::collection::vec(prop::option::weighted(0.9, 0u32..4), 0..24),
        able in prop::collection::btree_set(0u32..4, 0..4),
        every in 1u32..5,
    ) {
        let able: Vec<u32> = able.into_iter().collect();
        let priorities = Priorities { update_frequency: every.try_into().unwrap() };
        // What a call that remembers the attempts since it last began anew would do.
        let (mut since, mut excluded) = (Vec::new(), Vec::new());
        for (at, one) in asked.iter().enumerate() {
            since.push(*one);
            if since.len() % usize::try_from(every).unwrap() == 0 {
                excluded = (0..4).filter(|p| since.contains(&Some(*p))).collect();
                if able.iter().all(|priority| excluded.contains(priority)) {
                    since.clear();
                    excluded.clear();
                }
            }
            let found = priorities.excluded(&asked[..=at], &able);
            prop_assert_eq!(&found, &excluded);
            prop_assert!(able.is_empty() || able.iter().any(|one| !found.contains(one)));
        }
        prop_assert_eq!(priorities.excluded(&[], &able), [0; 0]);
    }

    #[test]
    fn any_list_of_conditions_can_be_read(list in ".{0,60}") {
        let read = Conditions::parse(&list);
        prop_assert_eq!(Conditions::parse(&read.to_string()), read);
    }
}

#[test]
fn good_answers_are_never_sent_again() {
    let policy = Policy::new(Conditions::parse(ALL)).num_retries(3);
    let headers = HeaderMap::new();
    for status in 200..400 {
        let outcome = Outcome::answer(StatusCode::from_u16(status).unwrap(), &headers);
        let mut retries = start(&policy, Start::default());
        let next = retries.after(&Context::new(&policy), &outcome, at(0), &mut XorShift::new(1));
        assert!(matches!(next, Next::Commit), "{status}");
    }
}
