use std::time::{Duration, Instant};

use http::StatusCode;

use super::*;
use crate::classify::Class::{Bad, Good};
use crate::testing::{SequenceRng, at, at_millis};

fn record(admission: &Admission, (good, bad): (u32, u32), now: Instant) {
    (0..good).for_each(|_| admission.record(Good, now));
    (0..bad).for_each(|_| admission.record(Bad, now));
}

fn probability(config: Config, counts: (u32, u32)) -> f64 {
    let admission = Admission::new(config);
    record(&admission, counts, at(0));
    (admission.probability(at(0)) * 1e6).round() / 1e6
}

#[test]
fn the_probability_is_what_the_formula_makes_of_it() {
    let config = Config { most: 1.0, ..Config::default() };
    for (good, bad, expect) in [
        (0, 0, 0.0),
        (95, 5, 0.0),
        (96, 4, 0.0),
        // (100 - 90 / 0.95) / 101
        (90, 10, 0.052_11),
        (50, 50, 0.468_994),
        (0, 100, 0.990_099),
        (0, 1, 0.5),
    ] {
        let found = probability(config.clone(), (good, bad));
        assert!((found - expect).abs() < 1e-6, "{good} {bad}: {found}");
    }
}

#[test]
fn aggression_threshold_and_bound_are_what_is_configured() {
    let half = Config { threshold: 0.5, most: 1.0, ..Config::default() };
    assert_eq!(probability(half.clone(), (50, 49)), 0.0);
    assert_eq!(probability(half.clone(), (25, 74)), 0.49);
    assert_eq!(probability(Config { aggression: 2.0, ..half.clone() }, (25, 74)), 0.7);
    assert_eq!(probability(Config { aggression: 0.1, ..half.clone() }, (25, 74)), 0.49);
    assert_eq!(probability(Config { aggression: 2.0, ..half.clone() }, (99, 0)), 0.0);
    assert_eq!(probability(Config { most: 0.25, ..half }, (25, 74)), 0.25);
}

#[test]
fn as_many_are_refused_as_is_probable() {
    let admission = Admission::new(Config::default());
    record(&admission, (50, 50), at(0));
    let refused = |number| admission.admit(at(0), &mut SequenceRng::new([number])).is_err();
    assert_eq!([0, 4_688, 4_689, 4_690, 9_999].map(refused), [true, true, true, false, false]);
}

#[test]
fn answers_count_for_as_long_as_the_window() {
    let admission =
        Admission::new(Config { window: Duration::from_millis(2_600), ..Config::default() });
    record(&admission, (0, 9), at(0));
    record(&admission, (0, 9), at(2));
    // 18 / 19, 9 / 10, none.
    let found = [2_999, 3_000, 4_999, 5_000].map(|now| admission.probability(at_millis(now)));
    assert_eq!(found, [0.8, 0.8, 0.8, 0.0]);
    let admission =
        Admission::new(Config { window: Duration::from_secs(600), ..Config::default() });
    record(&admission, (0, 9), at(0));
    assert!(admission.probability(at(599)) > 0.0 && admission.probability(at(600)) == 0.0);
}

#[test]
fn few_requests_are_not_refused() {
    let config = Config { rps: 2, window: Duration::from_secs(10), ..Config::default() };
    let admission = Admission::new(config);
    record(&admission, (0, 19), at(0));
    assert!(admission.admit(at(0), &mut SequenceRng::new([0])).is_ok());
    record(&admission, (0, 1), at(9));
    assert!(admission.admit(at(9), &mut SequenceRng::new([0])).is_err());
}

#[test]
fn more_answers_than_are_counted_keep_their_share() {
    let admission = Admission::new(Config { most: 1.0, ..Config::default() });
    (0..1 << 20).for_each(|_| record(&admission, (1, 1), at(0)));
    let found = admission.probability(at(0));
    assert!((0.473..0.474).contains(&found), "{found}");
}

#[test]
fn good_answers_are_those_that_less_traffic_would_not_change() {
    let criteria = Criteria::default();
    let status = |status: u16| criteria.of_status(StatusCode::from_u16(status).unwrap());
    assert_eq!([200, 404, 429, 499, 500, 503].map(status), [Good, Good, Good, Good, Bad, Bad]);
    let bad: Vec<_> = (0..20).filter(|code| criteria.of_code(Some(*code)) == Bad).collect();
    assert_eq!(bad, [4, 8, 10, 13, 14, 15, 17, 18, 19]);
    assert_eq!(criteria.of_code(None), Bad);
    let criteria = criteria.http([200..300, 503..504]).grpc([14, 40]);
    let status = |status: u16| criteria.of_status(StatusCode::from_u16(status).unwrap());
    assert_eq!([200, 300, 404, 503].map(status), [Good, Bad, Bad, Good]);
    assert_eq!([0, 14, 40].map(|code| criteria.of_code(Some(code))), [Bad, Good, Bad]);
}
