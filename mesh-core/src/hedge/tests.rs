use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::*;
use crate::classify::Class;
use crate::matcher::Fraction;
use crate::retry::Throttle;
use crate::testing::{SequenceRng, at, at_millis};

fn rich() -> Allowance {
    Allowance::new(Fraction::ALL, 100)
}

fn latencies() -> Latencies {
    Latencies::new(Duration::from_secs(60), at(0))
}

fn begin(policy: &Policy, allowance: &Allowance) -> (Hedges, u32) {
    let mut hedges = Hedges::new(policy, &Method::GET, None);
    let mut rng = SequenceRng::new([0]);
    let started = hedges.begin(policy, allowance, &latencies(), at(0), &mut rng);
    (hedges, started)
}

#[test]
fn another_attempt_starts_after_the_delay() {
    let policy = Policy::new(Delay::After(Duration::from_millis(10)));
    let (mut hedges, started) = begin(&policy, &rich());
    assert_eq!((started, hedges.poll_timeout()), (1, Some(at_millis(10))));
    assert!(!hedges.handle_timeout(&rich(), at_millis(9)));
    assert!(hedges.handle_timeout(&rich(), at_millis(11)));
    // Two in all.
    assert_eq!(hedges.poll_timeout(), None);
    assert!(!hedges.handle_timeout(&rich(), at(9)));
}

#[test]
fn each_attempt_has_as_long_before_the_next_one() {
    let mut policy = Policy::new(Delay::After(Duration::from_millis(10)));
    policy.most = 3;
    let (mut hedges, _) = begin(&policy, &rich());
    hedges.started(at_millis(7));
    assert_eq!(hedges.poll_timeout(), Some(at_millis(17)));
    // None is left for what cannot be paid for.
    assert!(!hedges.handle_timeout(&Allowance::new(Fraction::ALL, 0), at_millis(17)));
    hedges.started(at_millis(20));
    assert_eq!(hedges.poll_timeout(), None);
}

#[test]
fn what_did_not_start_is_not_paid_for() {
    let allowance = Allowance::new(Fraction::per_million(0), 2);
    assert!(allowance.spend() && allowance.spend() && !allowance.spend());
    (0..3).for_each(|_| allowance.refund());
    assert!(allowance.spend() && allowance.spend() && !allowance.spend());
}

#[test]
fn the_first_good_answer_wins() {
    let policy = Policy::new(Delay::After(Duration::ZERO));
    let (mut hedges, _) = begin(&policy, &rich());
    assert_eq!(hedges.after(Class::Good), Next::Win);
    let (mut hedges, _) = begin(&policy, &rich());
    assert_eq!(hedges.after(Class::Bad), Next::Last);
    let (mut hedges, _) = begin(&policy, &rich());
    assert!(hedges.handle_timeout(&rich(), at(0)));
    assert_eq!([hedges.after(Class::Bad), hedges.after(Class::Bad)], [Next::Wait, Next::Last]);
    let (mut hedges, _) = begin(&policy, &rich());
    assert!(hedges.handle_timeout(&rich(), at(0)));
    assert_eq!([hedges.after(Class::Bad), hedges.after(Class::Good)], [Next::Wait, Next::Win]);
}

#[test]
fn only_safe_calls_are_hedged() {
    let mut policy = Policy::new(Delay::After(Duration::ZERO));
    let may = |policy: &Policy, method, mark| Hedges::new(policy, &method, mark).may_hedge();
    assert!(may(&policy, Method::GET, None));
    assert!(!may(&policy, Method::POST, None));
    assert!(!may(&policy, Method::DELETE, None));
    assert!(may(&policy, Method::POST, Some(&Safe)));
    policy.safety = Safety::Any;
    assert!(may(&policy, Method::POST, None));
    for delay in [Delay::Never, Delay::PerTryTimeout] {
        policy.delay = delay;
        assert!(!may(&policy, Method::GET, None));
    }
    policy.initial = 2;
    assert!(may(&policy, Method::GET, None));
    let mut hedges = Hedges::new(&policy, &Method::GET, None);
    hedges.commit();
    let mut rng = SequenceRng::new([0]);
    assert_eq!(hedges.begin(&policy, &rich(), &latencies(), at(0), &mut rng), 1);
}

#[test]
fn several_may_start_at_once() {
    let mut policy = Policy { initial: 2, ..Policy::default() };
    assert_eq!(begin(&policy, &rich()).1, 2);
    policy.additional = Fraction::per_million(1);
    assert_eq!(begin(&policy, &rich()).1, 3);
    // One is saved and one is earned.
    assert_eq!(begin(&policy, &Allowance::new(Fraction::ALL, 1)).1, 2);
}

#[test]
fn the_allowance_is_a_share_of_calls() {
    let policy = Policy::new(Delay::After(Duration::ZERO));
    let allowance = Allowance::new(Fraction::per_million(50_000), 2);
    let hedged = (0..1_000).filter(|_| {
        let (mut hedges, _) = begin(&policy, &allowance);
        hedges.handle_timeout(&allowance, at(0))
    });
    // What was saved, less what is earned while it is full, and a twentieth.
    assert_eq!(hedged.count(), 51);
}

#[test]
fn nothing_is_paid_for_while_the_throttle_is_closed() {
    let throttle = Arc::new(Throttle::new(2, 1_000));
    let allowance = rich().throttled(throttle.clone());
    assert!(allowance.spend());
    assert!(!throttle.failed());
    assert!(!allowance.spend());
    let policy = Policy { initial: 2, ..Policy::default() };
    assert_eq!(begin(&policy, &allowance).1, 1);
    throttle.succeeded();
    assert!(allowance.spend());
}

#[test]
fn percentiles_are_waited_for_once_they_are_known() {
    let policy = Policy::new(Delay::Percentile(0.9));
    let latencies = latencies();
    assert_eq!(policy.wait(&latencies), None);
    for millis in 1..=100 {
        latencies.record(Duration::from_millis(millis), at(1));
    }
    assert_eq!(policy.wait(&latencies).map(|wait| wait.as_millis()), Some(90));
}
