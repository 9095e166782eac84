use std::time::{Duration, Instant};

use super::*;
use crate::request::Criticality::{Critical, CriticalPlus, Sheddable};
use crate::testing::{SequenceRng, at_millis};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn admit(limiter: &Limiter, now: Instant) -> Permit {
    limiter.admit(Critical, now, &mut SequenceRng::new([0])).unwrap()
}

/// `count` requests that take `takes` each, `at_once` at a time, from `from` on; when they are over.
fn run(limiter: &Limiter, (count, at_once): (usize, usize), takes: u64, from: u64) -> u64 {
    let mut now = from;
    for _ in 0..count.div_ceil(at_once) {
        let permits: Vec<_> = (0..at_once).map(|_| admit(limiter, at_millis(now))).collect();
        now += takes;
        permits.into_iter().for_each(|permit| permit.done(at_millis(now)));
    }
    now
}

#[test]
fn a_fixed_limit_is_what_may_be_under_way() {
    let limiter = Limiter::new(Fixed(2));
    let permits = [admit(&limiter, at_millis(0)), admit(&limiter, at_millis(0))];
    let refused = limiter.admit(Critical, at_millis(9), &mut SequenceRng::new([0]));
    assert_eq!(refused.map(drop), Err(Refused { in_flight: 2, limit: 2 }));
    drop(permits);
    assert_eq!((limiter.in_flight(), limiter.limit()), (0, 2));
}

#[test]
fn the_least_critical_find_no_place_first() {
    let limiter = Limiter::shedding(Fixed(4), Shares::default());
    let rng = &mut SequenceRng::new([0]);
    let mut enter = |criticality| limiter.admit(criticality, at_millis(0), rng);
    let held = [enter(Sheddable), enter(Sheddable)];
    assert_eq!(enter(Sheddable).map(drop), Err(Refused { in_flight: 2, limit: 4 }));
    let more = [enter(Critical), enter(Critical)];
    assert!(held.iter().chain(&more).all(Result::is_ok));
    assert!(enter(CriticalPlus).is_err());
    drop(held);
    assert!(enter(Sheddable).is_err() && enter(CriticalPlus).is_ok());
}

/// An interval of 100 ms that begins at `begin`: `quick` requests that take 50 ms, one of them
/// 100 ms, and `slow` ones that take 300 ms.
fn interval(limiter: &Limiter, begin: u64, (quick, slow): (usize, usize)) {
    let last = admit(limiter, at_millis(begin));
    let from = |begin, count| (0..count).map(move |_| admit(limiter, at_millis(begin)));
    let others: Vec<_> =
        from(begin.saturating_sub(250), slow).chain(from(begin, quick - 1)).collect();
    others.into_iter().for_each(|permit| permit.done(at_millis(begin + 50)));
    last.done(at_millis(begin + 100));
}

#[test]
fn aimd_grows_by_one_where_it_is_used_and_shrinks_by_a_tenth() {
    let mut config = Aimd::new(millis(200));
    config.initial = 40;
    let limiter = Limiter::new(config);
    for (at, counts, limit) in [
        (0, (20, 0), 41),
        (100, (20, 0), 41),
        (200, (21, 0), 42),
        (300, (19, 1), 42),
        (400, (18, 2), 37),
        (500, (9, 0), 37),
    ] {
        interval(&limiter, at, counts);
        assert_eq!(limiter.limit(), limit, "{at}");
    }
}

#[test]
fn requests_that_nobody_waits_for_are_slow_if_they_were_until_then() {
    let mut config = Aimd::new(millis(50));
    config.initial = 100;
    let limiter = Limiter::new(config);
    for (waited, limit) in [(49, 100), (100, 90)] {
        let permits: Vec<_> = (0..10).map(|_| admit(&limiter, at_millis(waited * 10))).collect();
        for permit in permits {
            permit.cancelled(at_millis(waited * 11));
        }
        assert_eq!(limiter.limit(), limit, "{waited}");
    }
}

#[test]
fn vegas_follows_the_queue() {
    let config = Vegas { probe: Duration::from_secs(3_600), ..Vegas::default() };
    let limiter = Limiter::new(config);
    // The first window is what requests take; the limit is halved to see whether that is so.
    let mut now = run(&limiter, (100, 10), 10, 0);
    assert_eq!(limiter.limit(), 13);
    now = run(&limiter, (50, 10), 10, now);
    assert_eq!(limiter.limit(), 27);
    // There is no queue: up by six times the logarithm.
    now = run(&limiter, (200, 20), 10, now);
    assert_eq!(limiter.limit(), 36);
    // Half of the requests wait: down, since that is more than six times the logarithm.
    now = run(&limiter, (200, 20), 20, now);
    assert_eq!(limiter.limit(), 33);
    // Three quarters of them: down by a tenth.
    run(&limiter, (60, 20), 40, now);
    assert_eq!(limiter.limit(), 30);
}

#[test]
fn a_measurement_that_nobody_answers_is_given_up() {
    let limiter = Limiter::default();
    let stuck: Vec<_> = (0..15).map(|_| admit(&limiter, at_millis(0))).collect();
    let now = run(&limiter, (10, 5), 100, 0);
    assert_eq!((limiter.limit(), limiter.in_flight()), (13, 15));
    assert!(limiter.admit(Critical, at_millis(now + 1), &mut SequenceRng::new([0])).is_err());
    drop(admit(&limiter, at_millis(now + 1_001)));
    assert_eq!(limiter.limit(), 27);
    drop(stuck);
}
