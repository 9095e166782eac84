//! What holds for outlier detection whatever comes.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use mesh_core::classify::Class;
use mesh_core::outlier::{
    Config, Consecutive, Event, FailurePercentage, Local, Outlier, Percent, SuccessRate,
};
use mesh_core::rng::{Rng, XorShift};
use mesh_core::testing::{at, at_millis};
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, proptest};

fn class(is_bad: bool) -> Class {
    if is_bad { Class::Bad } else { Class::Good }
}

fn percents() -> impl Strategy<Value = Percent> {
    (0u32..=100).prop_map(|percent| Percent::new(percent).unwrap())
}

fn configs() -> impl Strategy<Value = Config> {
    let rows = || {
        (0u32..8, percents())
            .prop_map(|(threshold, enforcing)| Consecutive { threshold, enforcing })
    };
    let rates = (0u32..5, 0u32..30, 0u32..3_000, percents(), percents()).prop_map(
        |(minimum_hosts, request_volume, stdev_factor, enforcing, enforcing_local_origin)| {
            SuccessRate {
                minimum_hosts,
                request_volume,
                stdev_factor,
                enforcing,
                enforcing_local_origin,
            }
        },
    );
    let shares = (percents(), 0u32..5, 0u32..30, percents(), percents()).prop_map(
        |(threshold, minimum_hosts, request_volume, enforcing, enforcing_local_origin)| {
            FailurePercentage {
                threshold,
                minimum_hosts,
                request_volume,
                enforcing,
                enforcing_local_origin,
            }
        },
    );
    let times = (1u64..20, 1u64..60, 1u64..200, 0u64..5_000);
    (times, percents(), any::<[bool; 2]>(), [rows(), rows(), rows()], rates, shares).prop_map(
        |(times, most, [always, split], rows, success_rate, failure_percentage)| Config {
            interval: Duration::from_secs(times.0),
            base_ejection_time: Duration::from_secs(times.1),
            max_ejection_time: Duration::from_secs(times.2),
            max_ejection_time_jitter: Duration::from_millis(times.3),
            max_ejection_percent: most,
            always_eject_one: always,
            consecutive_5xx: rows[0],
            consecutive_gateway_failure: rows[1],
            consecutive_local_origin_failure: rows[2],
            split_local_origin: split,
            success_rate,
            failure_percentage,
        },
    )
}

/// Sends so many requests of every kind to random endpoints, bad ones more often to the first.
fn traffic(outlier: &Outlier<u32>, endpoints: u32, requests: u32, rng: &mut dyn Rng) {
    for _ in 0..requests {
        let endpoint = rng.below(endpoints);
        let is_bad = rng.below(endpoints + 2) > endpoint + 1;
        let counter = outlier.counter(&endpoint).unwrap();
        match rng.below(4) {
            0 => counter.ended(class(is_bad)),
            1 if is_bad => {
                counter.failed(Local::Broke);
            }
            _ => {
                counter.sent();
                counter.answered(if is_bad { 503 } else { 200 });
            }
        }
    }
}

proptest! {
    #[test]
    fn no_more_are_ejected_than_may_be_and_all_of_them_return(
        config in configs(),
        endpoints in 1u32..12,
        requests in prop::collection::vec(0u32..400, 1..20),
        seed in any::<u64>(),
    ) {
        let mut rng = XorShift::new(seed);
        let mut outlier = Outlier::new(config.clone(), at(0));
        outlier.set_endpoints((0..endpoints).map(|key| (key, 0)));
        let all = f64::from(endpoints);
        // In gRPC's dialect the one that reaches the share may lead above it.
        let share = f64::from(config.max_ejection_percent.value()) / 100.0 * all;
        let one = f64::from(u32::from(config.always_eject_one));
        let most = if config.max_ejection_percent == Percent::NONE { one } else { share.ceil().max(one) };
        let mut last = 0;
        for (turn, requests) in requests.into_iter().enumerate() {
            traffic(&outlier, endpoints, requests, &mut rng);
            last = u64::try_from(turn).unwrap() * 3_000;
            outlier.handle_tripped(at_millis(last), &mut rng);
            outlier.handle_timeout(at_millis(last), &mut rng);
            let ejected = u32::try_from(outlier.ejected()).unwrap();
            prop_assert!(f64::from(ejected) <= most, "{ejected} of {endpoints}, {most} allowed");
        }
        let mut out = std::collections::BTreeSet::new();
        let mut take = |outlier: &mut Outlier<u32>| {
            while let Some(event) = outlier.poll_event() {
                match event {
                    Event::Eject { endpoint, .. } => assert!(out.insert(endpoint)),
                    Event::Restore { endpoint } => assert!(out.remove(&endpoint)),
                    Event::Spared { .. } => {}
                }
            }
            out.len()
        };
        prop_assert_eq!(take(&mut outlier), outlier.ejected());
        // Nobody fails any more: whoever is out returns, after the longest ejection and a sweep.
        let longest = config.max_ejection_time.max(config.base_ejection_time)
            + config.max_ejection_time_jitter;
        let end = at_millis(last) + longest + config.interval * 2;
        while let Some(due) = outlier.poll_timeout().filter(|due| *due <= end) {
            outlier.handle_timeout(due, &mut rng);
        }
        prop_assert_eq!((take(&mut outlier), outlier.ejected()), (0, 0));
    }
}

/// An hour of 20 endpoints of which each fails 1 % of its requests, of both kinds; how often one
/// was ejected.
fn in_an_hour(stdev_factor: u32) -> usize {
    let failure_percentage =
        FailurePercentage { enforcing: Percent::ALL, ..FailurePercentage::default() };
    let success_rate = SuccessRate { stdev_factor, ..SuccessRate::default() };
    let config = Config { failure_percentage, success_rate, ..Config::default() };
    let mut outlier = Outlier::new(config, at(0));
    outlier.set_endpoints((0..20u32).map(|key| (key, 0)));
    let mut rng = XorShift::new(7);
    for second in 1..=3_600 {
        for _ in 0..1_000 {
            let counter = outlier.counter(&rng.below(20)).unwrap();
            let is_bad = rng.below(100) == 0;
            if rng.below(2) == 0 {
                counter.ended(class(is_bad));
            } else {
                counter.answered(if is_bad { 500 } else { 200 });
            }
        }
        outlier.handle_tripped(at(second), &mut rng);
        outlier.handle_timeout(at(second), &mut rng);
    }
    let events = std::iter::from_fn(|| outlier.poll_event());
    events.filter(|event| matches!(event, Event::Eject { .. })).count()
}

/// The default of 1.9 deviations is what Envoy and gRPC have, and is below what chance makes of the
/// worst of twenty equals: those are ejected as they are there.
#[test]
fn a_healthy_fleet_keeps_all_its_endpoints_at_four_deviations() {
    assert_eq!(in_an_hour(4_000), 0);
    assert!(in_an_hour(SuccessRate::default().stdev_factor) > 0);
}

#[test]
fn at_four_deviations_one_that_fails_everything_is_found() {
    let success_rate = SuccessRate { stdev_factor: 4_000, ..SuccessRate::default() };
    let mut outlier = Outlier::new(Config { success_rate, ..Config::default() }, at(0));
    outlier.set_endpoints((0..20u32).map(|key| (key, 0)));
    for endpoint in 0..20 {
        let counter = outlier.counter(&endpoint).unwrap();
        (0..200).for_each(|call| counter.ended(class(endpoint == 3 || call % 100 == endpoint)));
    }
    outlier.handle_timeout(at(10), &mut XorShift::new(1));
    assert!(outlier.is_ejected(&3) && outlier.ejected() == 1);
}

/// Ten endpoints in turn, one request each 10 ms; the first fails all of its from 3 s on.
#[test]
fn an_endpoint_that_fails_everything_is_found_in_time() {
    let row = Config::default();
    let mut sweep = Config::default();
    sweep.consecutive_5xx.threshold = 0;
    for (config, calls, millis) in [(row, 5, 450), (sweep, 700, 7_010)] {
        let config = Config {
            success_rate: SuccessRate { request_volume: 50, ..config.success_rate },
            ..config
        };
        let mut outlier = Outlier::new(config, at(0));
        outlier.set_endpoints((0..10u32).map(|key| (key, 0)));
        let mut rng = XorShift::new(1);
        let (mut failed, mut found) = (0, None);
        for millis in (0..20_000).step_by(10) {
            let endpoint = u32::try_from(millis / 10 % 10).unwrap();
            let is_bad = endpoint == 0 && millis >= 3_000;
            failed += u32::from(is_bad);
            let counter = outlier.counter(&endpoint).unwrap();
            if counter.answered(if is_bad { 500 } else { 200 }) {
                outlier.handle_tripped(at_millis(millis), &mut rng);
            }
            outlier.handle_timeout(at_millis(millis), &mut rng);
            if outlier.is_ejected(&0) {
                found = Some(millis - 3_000);
                break;
            }
        }
        assert!(failed <= calls, "{failed}");
        assert!(found.is_some_and(|found| found <= millis), "{found:?}");
    }
}
