//! What holds for breakers, limits of concurrency and admission control whatever comes.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use mesh_core::admission;
use mesh_core::breaker::{self, Breaker, Change, Ratio};
use mesh_core::classify::Class;
use mesh_core::concurrency::{
    Aimd, Algorithm, Fixed, Gradient, Limiter, Measured, MinRtt, Permit, Shares, Vegas,
};
use mesh_core::request::Criticality;
use mesh_core::rng::XorShift;
use mesh_core::testing::at_millis;
use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

const SECOND: Duration = Duration::from_secs(1);

/// Something that happens to a breaker or a limit, some milliseconds later.
#[derive(Clone, Debug)]
enum Step {
    Ask(Criticality),
    /// The request that has this number among those under way ends.
    Good(u8),
    Bad(u8),
    Forget(u8),
}

fn steps() -> impl Strategy<Value = Vec<(Step, u64)>> {
    let asks = prop::sample::select(Criticality::ALL.to_vec()).prop_map(Step::Ask);
    let step = prop_oneof![
        4 => asks,
        2 => any::<u8>().prop_map(Step::Good),
        2 => any::<u8>().prop_map(Step::Bad),
        1 => any::<u8>().prop_map(Step::Forget),
    ];
    prop::collection::vec((step, 0u64..400), 1..400)
}

fn breakers() -> impl Strategy<Value = breaker::Config> {
    let ratio = (1u32..100, 1u32..9, 1u64..5_000).prop_map(|(percent, requests, window)| Ratio {
        failures: f64::from(percent) / 100.0,
        requests: NonZeroU32::new(requests).unwrap(),
        window: Duration::from_millis(window),
    });
    prop_oneof![
        (1u32..6).prop_map(|row| breaker::Config::consecutive(row).unwrap()),
        ratio.clone().prop_map(|ratio| breaker::Config::ratio(ratio).unwrap()),
        (1u32..6, ratio).prop_map(|(row, ratio)| {
            breaker::Config::consecutive(row).unwrap().or_ratio(ratio).unwrap()
        }),
    ]
}

fn gradient() -> Gradient {
    let measured = Measured::every(SECOND);
    Gradient::new(Duration::from_millis(100), MinRtt::Measured(measured))
}

/// Algorithms, with the lowest and the highest limit that they may find.
fn algorithms() -> impl Strategy<Value = (Algorithm, u32, u32)> {
    let bounds = (1u32..5, 0u32..50).prop_map(|(min, more)| (min, min + more));
    let aimd = bounds.clone().prop_map(|(min, max)| {
        let mut aimd = Aimd::new(Duration::from_millis(200));
        (aimd.min, aimd.max) = (min, max);
        (aimd.into(), min, max)
    });
    // The limit is halved to measure.
    let vegas = bounds.clone().prop_map(|(min, max)| {
        let mut vegas = Vegas::default();
        (vegas.min, vegas.max) = (min, max);
        (vegas.into(), (min / 2).max(1), max)
    });
    let gradient = bounds.prop_map(|(min, max)| {
        let mut gradient = gradient();
        (gradient.initial, gradient.max) = (min, max);
        (gradient.into(), min, max)
    });
    let fixed = (0u32..20).prop_map(|limit| (Fixed(limit).into(), limit, limit));
    prop_oneof![aimd, vegas, gradient, fixed]
}

proptest! {
    /// While it refuses, one request at a time is let through, and only after the wait.
    #[test]
    fn a_breaker_refuses_until_a_probe_is_good(
        config in breakers(),
        steps in steps(),
        seed in any::<u64>(),
    ) {
        let (breaker, mut rng) = (Breaker::new(config), XorShift::new(seed));
        let mut now = 0;
        // Requests under way with the times the breaker had changed before.
        let mut under_way: Vec<(breaker::Pass, u32, bool)> = Vec::new();
        let (mut changes, mut closed_until) = (0, None::<Instant>);
        for (step, later) in steps {
            now += later;
            let at = at_millis(now);
            let which = |all: &Vec<_>, which: u8| match all.len() {
                0 => None,
                length => Some(usize::from(which) % length),
            };
            match step {
                Step::Ask(_) => match breaker.admit(at) {
                    breaker::Admission::Pass(pass) => {
                        prop_assert!(closed_until.is_none());
                        under_way.push((pass, changes, false));
                    }
                    breaker::Admission::Probe(pass) => {
                        prop_assert!(closed_until.is_some_and(|until| until <= at));
                        prop_assert!(!under_way.iter().any(|(_, of, probe)| *probe && *of == changes));
                        under_way.push((pass, changes, true));
                    }
                    breaker::Admission::Refuse { wait } => {
                        prop_assert!(closed_until.is_some());
                        let is_probed =
                            under_way.iter().any(|(_, of, probe)| *probe && *of == changes);
                        prop_assert_eq!(wait.is_zero(), is_probed);
                    }
                },
                Step::Good(n) | Step::Bad(n) => {
                    let class = if matches!(step, Step::Good(_)) { Class::Good } else { Class::Bad };
                    let Some(at_index) = which(&under_way, n) else { continue };
                    let (pass, of, is_probe) = under_way.swap_remove(at_index);
                    match pass.done(class, None, at, &mut rng) {
                        Change::None => prop_assert!(!is_probe || of != changes),
                        Change::Opened(wait) => {
                            prop_assert!(class == Class::Bad && of == changes);
                            prop_assert!(wait >= SECOND.mul_f64(0.799) && wait <= SECOND * 37);
                            (changes, closed_until) = (changes + 1, Some(at + wait));
                        }
                        Change::Closed => {
                            prop_assert!(class == Class::Good && is_probe && of == changes);
                            (changes, closed_until) = (changes + 1, None);
                        }
                    }
                }
                Step::Forget(n) => {
                    if let Some(at_index) = which(&under_way, n) {
                        drop(under_way.swap_remove(at_index));
                    }
                }
            }
        }
        // Whatever happened, it lets something through some time.
        drop(under_way);
        let later = at_millis(now) + SECOND * 400;
        prop_assert!(!breaker.admit(later).is_refused());
    }

    #[test]
    fn a_limit_is_never_exceeded_nor_out_of_its_bounds(
        (algorithm, min, max) in algorithms(),
        sheds in any::<bool>(),
        steps in steps(),
        seed in any::<u64>(),
    ) {
        let limiter = match sheds {
            true => Limiter::shedding(algorithm, Shares::default()),
            false => Limiter::new(algorithm),
        };
        let (mut rng, mut now) = (XorShift::new(seed), 0);
        let mut under_way: Vec<Permit> = Vec::new();
        for (step, later) in steps {
            now += later;
            let at = at_millis(now);
            let taken = u32::try_from(under_way.len()).unwrap();
            match step {
                Step::Ask(criticality) => match limiter.admit(criticality, at, &mut rng) {
                    Ok(permit) => {
                        under_way.push(permit);
                        prop_assert!(taken < limiter.limit());
                    }
                    Err(refused) => {
                        prop_assert_eq!(refused.in_flight, taken);
                        let share = match sheds {
                            true => Shares::default().of(criticality, limiter.limit()),
                            false => limiter.limit(),
                        };
                        prop_assert!(taken >= share);
                    }
                },
                Step::Good(n) | Step::Bad(n) | Step::Forget(n) if !under_way.is_empty() => {
                    let permit = under_way.swap_remove(usize::from(n) % under_way.len());
                    match step {
                        Step::Good(_) => permit.done(at),
                        Step::Bad(_) => permit.cancelled(at),
                        Step::Ask(_) | Step::Forget(_) => drop(permit),
                    }
                }
                Step::Good(_) | Step::Bad(_) | Step::Forget(_) => {}
            }
            prop_assert!((min..=max).contains(&limiter.limit()), "{}", limiter.limit());
            prop_assert_eq!(usize::try_from(limiter.in_flight()).unwrap(), under_way.len());
        }
        drop(under_way);
        prop_assert_eq!(limiter.in_flight(), 0);
        // Nobody is shut out for ever.
        if max > 0 {
            let later = at_millis(now) + SECOND * 100;
            prop_assert!(limiter.admit(Criticality::Sheddable, later, &mut rng).is_ok());
        }
    }

    /// Less is refused the more succeeds, never more than the bound, and nothing above the threshold.
    #[test]
    fn admission_control_keeps_to_its_bounds(
        good in 0u32..300,
        bad in 0u32..300,
        threshold in 0.01f64..=1.0,
        aggression in 1.0f64..5.0,
        most in 0.0f64..=1.0,
    ) {
        let mut config = admission::Config::default();
        (config.threshold, config.aggression, config.most) = (threshold, aggression, most);
        let admission = admission::Admission::new(config);
        let now = at_millis(0);
        (0..good).for_each(|_| admission.record(Class::Good, now));
        (0..bad).for_each(|_| admission.record(Class::Bad, now));
        let found = admission.probability(now);
        prop_assert!((0.0..=most).contains(&found));
        let share = f64::from(good) / f64::from(good + bad);
        if share > threshold {
            prop_assert_eq!(found, 0.0);
        }
        admission.record(Class::Good, now);
        let less = admission.probability(now);
        prop_assert!(less <= found);
        admission.record(Class::Bad, now);
        prop_assert!(admission.probability(now) >= less);
        // All is forgotten.
        prop_assert_eq!(admission.probability(now + SECOND * 31), 0.0);
    }

    #[test]
    fn as_many_are_refused_as_is_probable(
        good in 0u32..100,
        bad in 0u32..100,
        seed in any::<u64>(),
    ) {
        let admission = admission::Admission::new(admission::Config::default());
        let now = at_millis(0);
        (0..good).for_each(|_| admission.record(Class::Good, now));
        (0..bad).for_each(|_| admission.record(Class::Bad, now));
        let mut rng = XorShift::new(seed);
        let refused = (0..2_000).filter(|_| admission.admit(now, &mut rng).is_err()).count();
        let expect = admission.probability(now) * 2_000.0;
        // Six standard deviations and more.
        prop_assert!((refused as f64 - expect).abs() < 140.0, "{refused} of {expect}");
    }
}
