use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::*;
use crate::backoff::Backoff;
use crate::classify::Class::{self, Bad, Good};
use crate::testing::{SequenceRng, at, at_millis};

/// One request that is let through, and what its outcome changes.
fn send(breaker: &Breaker, class: Class, now: Instant) -> Change {
    let pass = breaker.admit(now).pass().unwrap();
    pass.done(class, None, now, &mut SequenceRng::new([1 << 31]))
}

fn opened(millis: u64) -> Change {
    Change::Opened(Duration::from_millis(millis))
}

#[test]
fn failures_in_a_row_open_and_a_good_answer_starts_over() {
    let breaker = Breaker::new(Config::consecutive(3).unwrap());
    for class in [Bad, Bad, Good, Bad, Bad] {
        assert_eq!(send(&breaker, class, at(0)), Change::None);
    }
    assert_eq!(send(&breaker, Bad, at(0)), opened(1_000));
    let Admission::Refuse { wait } = breaker.admit(at_millis(400)) else { unreachable!() };
    assert_eq!(wait, Duration::from_millis(601));
}

#[test]
fn one_probe_at_a_time_decides_and_waits_grow() {
    let breaker = Breaker::new(Config::consecutive(1).unwrap());
    assert_eq!(send(&breaker, Bad, at(0)), opened(1_000));
    assert!(breaker.admit(at(1)).is_refused());
    let probe = breaker.admit(at(2));
    assert!(matches!(probe, Admission::Probe(_)));
    assert!(breaker.admit(at(9)).is_refused());
    let rng = &mut SequenceRng::new([1 << 31]);
    assert_eq!(probe.pass().unwrap().done(Bad, None, at(2), rng), opened(1_600));
    assert!(breaker.admit(at(3)).is_refused());
    assert_eq!(send(&breaker, Good, at(4)), Change::Closed);
    assert!(matches!(breaker.admit(at(4)), Admission::Pass(_)));
    assert_eq!(send(&breaker, Bad, at(5)), opened(1_000));
}

#[test]
fn a_dropped_probe_makes_the_next_request_one() {
    let breaker = Breaker::new(Config::consecutive(1).unwrap());
    send(&breaker, Bad, at(0));
    drop(breaker.admit(at(2)));
    assert!(matches!(breaker.admit(at(2)), Admission::Probe(_)));
}

#[test]
fn a_probe_that_is_never_answered_is_followed_by_another() {
    let breaker = Breaker::new(Config::consecutive(1).unwrap());
    send(&breaker, Bad, at(0));
    let first = breaker.admit(at(2));
    assert!(breaker.admit(at(61)).is_refused());
    let second = breaker.admit(at(62));
    assert!(matches!(second, Admission::Probe(_)));
    let rng = &mut SequenceRng::new([1 << 31]);
    assert_eq!(first.pass().unwrap().done(Bad, None, at(63), rng), Change::None);
    assert_eq!(second.pass().unwrap().done(Good, None, at(63), rng), Change::Closed);
}

#[test]
fn outcomes_of_the_time_before_do_not_count() {
    let breaker = Breaker::new(Config::consecutive(1).unwrap());
    let rng = &mut SequenceRng::new([1 << 31]);
    let [first, second, third] = [(); 3].map(|()| breaker.admit(at(0)).pass().unwrap());
    assert_eq!(first.done(Bad, None, at(0), rng), opened(1_000));
    assert_eq!(second.done(Bad, None, at(0), rng), Change::None);
    assert_eq!(send(&breaker, Good, at(2)), Change::Closed);
    assert_eq!(third.done(Bad, None, at(2), rng), Change::None);
    assert!(!breaker.admit(at(2)).is_refused());
}

#[test]
fn a_server_says_how_long_to_leave_it_alone_up_to_a_bound() {
    for (told, wait) in [(0, 1), (7, 7), (9_000, 20)] {
        let config = Config::consecutive(1).unwrap();
        let breaker = Breaker::new(config.longest_retry_after(Duration::from_secs(20)));
        let rng = &mut SequenceRng::new([1 << 31]);
        let pass = breaker.admit(at(0)).pass().unwrap();
        let change = pass.done(Bad, Some(Duration::from_secs(told)), at(0), rng);
        assert_eq!(change, opened(wait * 1_000));
    }
}

#[test]
fn a_share_of_failures_opens_within_one_window() {
    let ratio = Ratio {
        failures: 0.5,
        requests: NonZeroU32::new(4).unwrap(),
        window: Duration::from_secs(10),
    };
    let breaker = Breaker::new(Config::ratio(ratio).unwrap());
    for class in [Bad, Bad, Bad] {
        assert_eq!(send(&breaker, class, at(0)), Change::None);
    }
    for class in [Good, Good, Bad] {
        assert_eq!(send(&breaker, class, at(10)), Change::None);
    }
    assert_eq!(send(&breaker, Bad, at(19)), opened(1_000));
}

#[test]
fn what_makes_no_sense_is_not_accepted() {
    assert_eq!(Config::consecutive(0), Err(Invalid::Consecutive));
    let ratio = Ratio { failures: 0.5, requests: NonZeroU32::MIN, window: Duration::from_secs(1) };
    for failures in [0.0, -1.0, 1.1, f64::NAN] {
        assert_eq!(Config::ratio(Ratio { failures, ..ratio }), Err(Invalid::Failures));
    }
    let requests = NonZeroU32::new(500_001).unwrap();
    assert_eq!(Config::ratio(Ratio { requests, ..ratio }), Err(Invalid::Requests));
    assert_eq!(Config::ratio(Ratio { window: Duration::ZERO, ..ratio }), Err(Invalid::Window));
    let shrinking = Backoff { factor: 0.5, ..Backoff::CONNECTION };
    assert_eq!(Config::ratio(ratio).unwrap().backoff(shrinking), Err(Invalid::Backoff));
}
