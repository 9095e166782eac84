use std::time::{Duration, Instant};

use super::*;
use crate::classify::Class;
use crate::rng::XorShift;
use crate::testing::{SequenceRng, at, at_millis};

type Machine = Outlier<&'static str>;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// So many endpoints of one group, and settings that `change` makes of settings under which nothing
/// limits ejections.
fn machine(endpoints: usize, change: impl FnOnce(&mut Config)) -> Machine {
    let mut config = Config { max_ejection_percent: Percent::ALL, ..Config::default() };
    change(&mut config);
    let mut outlier = Outlier::new(config, at(0));
    outlier.set_endpoints(NAMES.into_iter().take(endpoints).map(|name| (name, 0)));
    outlier
}

fn answers(outlier: &Machine, endpoint: &'static str, all: &[(u16, usize)]) -> usize {
    let counter = outlier.counter(&endpoint).unwrap();
    let statuses = all.iter().flat_map(|(status, times)| std::iter::repeat_n(*status, *times));
    statuses.filter(|status| counter.answered(*status)).count()
}

fn calls(outlier: &Machine, endpoint: &'static str, good: usize, bad: usize) {
    let counter = outlier.counter(&endpoint).unwrap();
    (0..good).for_each(|_| counter.ended(Class::Good));
    (0..bad).for_each(|_| counter.ended(Class::Bad));
}

/// What has happened, in words.
fn told(outlier: &mut Machine) -> Vec<String> {
    let start = at(0);
    std::iter::from_fn(|| outlier.poll_event())
        .map(|event| match event {
            Event::Eject { endpoint, why, until, .. } => {
                format!("{endpoint} {} until {}", why.as_str(), (until - start).as_secs_f64())
            }
            Event::Restore { endpoint } => format!("{endpoint} restored"),
            Event::Spared { endpoint, why, because } => {
                format!("{endpoint} {} spared: {}", why.as_str(), because.as_str())
            }
        })
        .collect()
}

fn tripped(outlier: &mut Machine, now: Instant) -> Vec<String> {
    outlier.handle_tripped(now, &mut XorShift::new(1));
    told(outlier)
}

fn swept(outlier: &mut Machine, now: Instant) -> Vec<String> {
    assert_eq!(outlier.poll_timeout().map(|due| due <= now), Some(true), "it is not time");
    outlier.handle_timeout(now, &mut XorShift::new(1));
    told(outlier)
}

#[test]
fn five_failures_in_a_row_eject_and_a_success_between_does_not() {
    let mut outlier = machine(3, |_| {});
    assert_eq!(answers(&outlier, "a", &[(500, 4), (404, 1), (500, 4)]), 0);
    assert_eq!(tripped(&mut outlier, at(1)), [""; 0]);
    assert_eq!(answers(&outlier, "a", &[(500, 1)]), 1);
    assert_eq!(tripped(&mut outlier, at(1)), ["a consecutive_5xx until 31"]);
    assert!(outlier.is_ejected(&"a") && !outlier.is_ejected(&"b"));
}

#[test]
fn gateway_failures_are_a_row_of_their_own() {
    let mut outlier = machine(3, |config| {
        config.consecutive_5xx.threshold = 6;
        config.consecutive_gateway_failure = Consecutive { threshold: 3, enforcing: Percent::ALL };
    });
    answers(&outlier, "a", &[(502, 2), (500, 1), (504, 2)]);
    answers(&outlier, "b", &[(502, 1), (503, 1), (504, 1)]);
    assert_eq!(tripped(&mut outlier, at(0)), ["b consecutive_gateway_failure until 30"]);
    answers(&outlier, "a", &[(500, 1)]);
    assert_eq!(tripped(&mut outlier, at(0)), ["a consecutive_5xx until 30"]);
}

#[test]
fn failures_of_our_own_are_gateway_failures_unless_they_are_split() {
    let fail = |outlier: &Machine| {
        let counter = outlier.counter(&"a").unwrap();
        let kinds = [Local::Broke, Local::TimedOut, Local::Broke, Local::Broke, Local::TimedOut];
        kinds.into_iter().filter(|kind| counter.failed(*kind)).count()
    };
    let mut outlier = machine(2, |_| {});
    assert_eq!(fail(&outlier), 1);
    assert_eq!(
        tripped(&mut outlier, at(0)),
        [
            "a consecutive_gateway_failure spared: enforcement_percentage",
            "a consecutive_5xx until 30"
        ]
    );
    let mut outlier = machine(2, |config| config.split_local_origin = true);
    assert_eq!((fail(&outlier), answers(&outlier, "b", &[(503, 4)])), (1, 0));
    assert_eq!(tripped(&mut outlier, at(0)), ["a consecutive_local_origin_failure until 30"]);
    let mut outlier = machine(2, |config| config.split_local_origin = true);
    let counter = outlier.counter(&"a").unwrap();
    for _ in 0..9 {
        counter.failed(Local::Broke);
        counter.sent();
    }
    assert_eq!(tripped(&mut outlier, at(0)), [""; 0]);
}

#[test]
fn attempts_to_connect_count_for_http_only() {
    let outlier = machine(2, |_| {});
    let counter = outlier.counter(&"a").unwrap();
    counter.ended(Class::Bad);
    assert!(!(0..9).any(|_| counter.unreachable()));
    counter.sent();
    assert_eq!((0..9).filter(|_| counter.unreachable()).count(), 1);
}

#[test]
fn ejections_become_longer_up_to_a_bound_and_shorter_with_time() {
    let mut outlier = machine(2, |config| config.max_ejection_time = Duration::from_secs(60));
    let mut now = 0;
    for long in [30, 60, 60] {
        answers(&outlier, "a", &[(500, 5)]);
        let found = tripped(&mut outlier, at(now));
        assert_eq!(found, [format!("a consecutive_5xx until {}", now + long)]);
        let end = now + long;
        while now + 10 < end {
            now += 10;
            assert_eq!(swept(&mut outlier, at(now)), [""; 0]);
        }
        now += 10;
        assert_eq!(swept(&mut outlier, at(now)), ["a restored"]);
    }
    // Three times, less two for two intervals.
    for _ in 0..2 {
        now += 10;
        assert_eq!(swept(&mut outlier, at(now)), [""; 0]);
    }
    answers(&outlier, "a", &[(500, 5)]);
    let until = now + 60;
    assert_eq!(tripped(&mut outlier, at(now)), [format!("a consecutive_5xx until {until}")]);
}

#[test]
fn jitter_makes_ejections_longer() {
    let mut outlier =
        machine(2, |config| config.max_ejection_time_jitter = Duration::from_millis(1_500));
    answers(&outlier, "a", &[(500, 5)]);
    outlier.handle_tripped(at(0), &mut SequenceRng::new([1_500]));
    assert_eq!(told(&mut outlier), ["a consecutive_5xx until 31.5"]);
    for now in [10, 20, 30] {
        assert_eq!(swept(&mut outlier, at(now)), [""; 0]);
    }
    assert_eq!(swept(&mut outlier, at(40)), ["a restored"]);
}

#[test]
fn no_more_are_ejected_than_may_be() {
    // (percent, always one, endpoints) to how many of them are ejected when all fail.
    for (percent, always, endpoints, expect) in [
        (10, false, 5, 0),
        (10, true, 5, 1),
        (20, false, 5, 1),
        (50, true, 5, 2),
        (0, false, 5, 0),
        (0, true, 5, 1),
        (100, false, 5, 5),
    ] {
        let mut outlier = machine(endpoints, |config| {
            config.max_ejection_percent = Percent::new(percent).unwrap();
            config.always_eject_one = always;
        });
        for name in &NAMES[..endpoints] {
            answers(&outlier, name, &[(500, 5)]);
        }
        tripped(&mut outlier, at(0));
        assert_eq!(outlier.ejected(), expect, "{percent} {always} {endpoints}");
    }
}

#[test]
fn enforcement_is_a_share() {
    let mut outlier = machine(2, |config| {
        config.consecutive_5xx.enforcing = Percent::new(40).unwrap();
    });
    for (drawn, expect) in [(40, false), (39, true)] {
        answers(&outlier, "a", &[(500, 5)]);
        outlier.handle_tripped(at(0), &mut SequenceRng::new([drawn]));
        assert_eq!(outlier.is_ejected(&"a"), expect);
    }
}

#[test]
fn rates_far_below_the_mean_eject() {
    // Rates 50, 100, 100, 100, 100: the mean is 90, the deviation 20, the bound 90 - 1.9 * 20.
    let mut outlier = machine(5, |config| config.consecutive_5xx.threshold = 0);
    answers(&outlier, "a", &[(200, 51), (500, 49)]);
    for name in &NAMES[1..5] {
        answers(&outlier, name, &[(200, 100)]);
    }
    assert_eq!(swept(&mut outlier, at(10)), ["a success_rate until 40"]);
    // What was counted before does not count again.
    assert_eq!(swept(&mut outlier, at(20)), [""; 0]);
    // Too few endpoints, and too few requests.
    for (endpoints, requests) in [(4, 100), (5, 99)] {
        let mut outlier = machine(endpoints, |config| config.consecutive_5xx.threshold = 0);
        answers(&outlier, "a", &[(500, requests / 2), (200, requests - requests / 2)]);
        let others = &NAMES[1..endpoints];
        for name in others {
            answers(&outlier, name, &[(200, requests)]);
        }
        assert_eq!(swept(&mut outlier, at(10)), [""; 0]);
    }
}

#[test]
fn shares_of_failures_eject_at_the_threshold_in_one_dialect_and_above_it_in_the_other() {
    let change = |config: &mut Config| {
        config.consecutive_5xx.threshold = 0;
        config.success_rate.enforcing = Percent::NONE;
        config.success_rate.minimum_hosts = 9;
        config.failure_percentage.enforcing = Percent::ALL;
    };
    let mut outlier = machine(5, change);
    answers(&outlier, "a", &[(200, 15), (500, 85)]);
    answers(&outlier, "b", &[(200, 16), (500, 84)]);
    for name in &NAMES[2..5] {
        answers(&outlier, name, &[(200, 50)]);
    }
    assert_eq!(swept(&mut outlier, at(10)), ["a failure_percentage until 40"]);

    let mut outlier = machine(5, change);
    calls(&outlier, "a", 14, 86);
    calls(&outlier, "b", 15, 85);
    NAMES[2..5].iter().for_each(|name| calls(&outlier, name, 50, 0));
    assert_eq!(swept(&mut outlier, at(10)), ["a failure_percentage until 40"]);
}

#[test]
fn failures_of_our_own_have_rates_of_their_own() {
    let mut outlier = machine(5, |config| {
        config.split_local_origin = true;
        config.consecutive_local_origin_failure.threshold = 0;
        config.failure_percentage.enforcing_local_origin = Percent::ALL;
    });
    let counter = outlier.counter(&"a").unwrap();
    for _ in 0..100 {
        counter.failed(Local::Broke);
    }
    NAMES[1..5].iter().for_each(|name| {
        let counter = outlier.counter(name).unwrap();
        (0..100).for_each(|_| counter.sent());
    });
    assert_eq!(swept(&mut outlier, at(10)), ["a local_origin_success_rate until 40"]);
    let mut outlier = machine(5, |config| {
        config.split_local_origin = true;
        config.consecutive_local_origin_failure.threshold = 0;
        config.success_rate.stdev_factor = 9_000;
        config.failure_percentage.enforcing_local_origin = Percent::ALL;
    });
    let counter = outlier.counter(&"a").unwrap();
    for _ in 0..100 {
        counter.failed(Local::TimedOut);
    }
    NAMES[1..5].iter().for_each(|name| {
        let counter = outlier.counter(name).unwrap();
        (0..100).for_each(|_| counter.sent());
    });
    assert_eq!(swept(&mut outlier, at(10)), ["a local_origin_failure_percentage until 40"]);
}

/// Settings of gRFC A50's test vectors: three endpoints, five calls to each, one fails all.
fn vectors(change: impl FnOnce(&mut Config)) -> Vec<String> {
    let mut outlier = machine(3, |config| {
        config.success_rate.enforcing = Percent::NONE;
        config.failure_percentage = FailurePercentage {
            threshold: Percent::new(50).unwrap(),
            enforcing: Percent::ALL,
            minimum_hosts: 3,
            request_volume: 3,
            ..FailurePercentage::default()
        };
        change(config);
    });
    calls(&outlier, "a", 0, 5);
    calls(&outlier, "b", 5, 0);
    calls(&outlier, "c", 5, 0);
    swept(&mut outlier, at(10))
}

#[test]
fn grpc_ejects_one_more_as_long_as_the_share_is_not_reached() {
    assert_eq!(vectors(|_| ()), ["a failure_percentage until 40"]);
    let one = Percent::new(1).unwrap();
    assert_eq!(vectors(|c| c.max_ejection_percent = one), ["a failure_percentage until 40"]);
    assert_eq!(
        vectors(|c| c.max_ejection_percent = Percent::NONE),
        ["a failure_percentage spared: max_ejection_overflow"]
    );
    assert_eq!(vectors(|c| c.failure_percentage.enforcing = Percent::NONE), [""; 0]);
    let rate = SuccessRate {
        minimum_hosts: 3,
        request_volume: 3,
        stdev_factor: 500,
        ..SuccessRate::default()
    };
    assert_eq!(vectors(|c| c.success_rate = rate), ["a success_rate until 40"]);
}

#[test]
fn grpc_calls_are_not_counted_in_rows() {
    let mut outlier = machine(3, |_| {});
    calls(&outlier, "a", 0, 50);
    assert_eq!(tripped(&mut outlier, at(1)), [""; 0]);
    assert_eq!(swept(&mut outlier, at(10)), [""; 0]);
}

#[test]
fn groups_are_judged_apart_in_grpc() {
    let mut outlier = machine(0, |config| {
        config.max_ejection_percent = Percent::new(1).unwrap();
        config.success_rate.enforcing = Percent::NONE;
        config.failure_percentage.enforcing = Percent::ALL;
        config.failure_percentage.minimum_hosts = 3;
    });
    outlier.set_endpoints(NAMES.into_iter().zip([0, 0, 0, 1, 1, 1]));
    for bad in ["a", "d"] {
        calls(&outlier, bad, 0, 50);
    }
    for good in ["b", "c", "e", "f"] {
        calls(&outlier, good, 50, 0);
    }
    let expect = ["a failure_percentage until 40", "d failure_percentage until 40"];
    assert_eq!(swept(&mut outlier, at(10)), expect);
    // In gRPC an endpoint returns when its time is over, not when it is reached.
    for now in [20, 30] {
        assert_eq!(swept(&mut outlier, at(now)), [""; 0]);
    }
    outlier.handle_timeout(at(40), &mut XorShift::new(1));
    assert_eq!(told(&mut outlier), [""; 0]);
    outlier.handle_timeout(at_millis(50_001), &mut XorShift::new(1));
    assert_eq!(told(&mut outlier), ["a restored", "d restored"]);
}

#[test]
fn what_is_known_of_an_endpoint_outlives_settings_and_others() {
    let mut outlier = machine(3, |_| {});
    answers(&outlier, "a", &[(500, 5)]);
    answers(&outlier, "b", &[(500, 4)]);
    assert_eq!(tripped(&mut outlier, at(0)).len(), 1);
    let mut config = outlier.config.clone().unwrap();
    config.interval = Duration::from_secs(4);
    outlier.reconfigure(Some(config), at(3));
    outlier.set_endpoints([("c", 0), ("b", 0), ("a", 1)]);
    assert_eq!((told(&mut outlier), outlier.poll_timeout()), (Vec::new(), Some(at(4))));
    assert!(outlier.is_ejected(&"a"));
    assert_eq!(answers(&outlier, "b", &[(500, 1)]), 1);
    assert_eq!(tripped(&mut outlier, at(3)), ["b consecutive_5xx until 33"]);
    outlier.set_endpoints([("b", 0)]);
    assert_eq!(told(&mut outlier), ["a restored"]);
    assert_eq!((outlier.ejected(), outlier.counter(&"a").is_some()), (1, false));
}

#[test]
fn who_has_failed_more_often_than_is_enough_now_is_ejected_at_the_next_failure() {
    let mut outlier = machine(3, |_| {});
    assert_eq!(answers(&outlier, "a", &[(500, 4)]), 0);
    assert_eq!(answers(&outlier, "b", &[(500, 1)]), 0);
    let mut config = outlier.config.clone().unwrap();
    config.consecutive_5xx.threshold = 2;
    outlier.reconfigure(Some(config.clone()), at(1));
    assert_eq!(tripped(&mut outlier, at(1)), [""; 0]);
    // A row that a success ends is none.
    assert_eq!(answers(&outlier, "a", &[(200, 1), (500, 1)]), 0);
    assert_eq!(answers(&outlier, "b", &[(500, 1)]), 1);
    assert_eq!(tripped(&mut outlier, at(1)), ["b consecutive_5xx until 31"]);
    config.consecutive_5xx.threshold = 1;
    outlier.reconfigure(Some(config.clone()), at(2));
    assert_eq!(answers(&outlier, "a", &[(500, 1)]), 1);
    assert_eq!(tripped(&mut outlier, at(2)), ["a consecutive_5xx until 32"]);
    // Without a threshold nothing is a row.
    config.consecutive_5xx.threshold = 0;
    outlier.reconfigure(Some(config), at(3));
    assert_eq!(answers(&outlier, "c", &[(500, 100)]), 0);
}

#[test]
fn without_settings_all_return_and_nothing_is_counted() {
    let mut outlier = machine(3, |_| {});
    let counter = outlier.counter(&"a").unwrap().clone();
    answers(&outlier, "a", &[(500, 5)]);
    tripped(&mut outlier, at(0));
    outlier.reconfigure(None, at(1));
    assert_eq!((told(&mut outlier), outlier.poll_timeout()), (vec!["a restored".into()], None));
    assert!(!counter.is_on() && answers(&outlier, "a", &[(500, 9)]) == 0);
    outlier.reconfigure(Some(Config::default()), at(7));
    assert_eq!(outlier.poll_timeout(), Some(at(17)));
    assert!(counter.is_on() && answers(&outlier, "a", &[(500, 4)]) == 0);
}

#[test]
fn endpoints_that_grpc_has_ejected_return_when_both_its_detectors_are_off() {
    let mut outlier = machine(3, |config| {
        config.failure_percentage.enforcing = Percent::ALL;
        config.failure_percentage.minimum_hosts = 3;
    });
    calls(&outlier, "a", 0, 50);
    calls(&outlier, "b", 50, 0);
    calls(&outlier, "c", 50, 0);
    assert_eq!(swept(&mut outlier, at(10)).len(), 1);
    let mut config = outlier.config.clone().unwrap();
    config.failure_percentage.enforcing = Percent::NONE;
    outlier.reconfigure(Some(config.clone()), at(11));
    assert_eq!(told(&mut outlier), [""; 0]);
    config.success_rate.enforcing = Percent::NONE;
    outlier.reconfigure(Some(config), at(12));
    assert_eq!(told(&mut outlier), ["a restored"]);
}
