//! Against Envoy's formula and its timers.

use super::*;
use crate::testing::SequenceRng;

const MS: u64 = 1_000_000;

/// A controller and its limit.
struct Controller(State, Level);

impl Controller {
    fn new(config: Gradient) -> Self {
        let (state, limit) = State::new(config);
        Self(state, Level::new(limit))
    }

    /// Looks at the time, in milliseconds; the limit then.
    fn at(&self, now: u64) -> u32 {
        self.0.tick(&self.1, now * MS, Some(&mut SequenceRng::new([9])));
        self.1.limit()
    }

    /// `count` requests from `start` to `end`, in milliseconds; the limit then.
    fn run(&self, count: usize, (start, end): (u64, u64)) -> u32 {
        for _ in 0..count {
            let sample = Sample { start: start * MS, end: end * MS, is_cancelled: false };
            self.0.record(&self.1, sample);
        }
        self.1.limit()
    }
}

/// An idle server takes 100 ms, to which 10 ms are added; the limit changes every 100 ms.
fn fixed() -> Gradient {
    let min_rtt = MinRtt::Fixed(Duration::from_millis(100));
    Gradient { buffer: 0.1, ..Gradient::new(Duration::from_millis(100), min_rtt) }
}

/// The latency of an idle server is measured by 5 requests every second, one at a time.
fn measured() -> Gradient {
    let measured = Measured { requests: 5, ..Measured::every(Duration::from_secs(1)) };
    Gradient { min_rtt: MinRtt::Measured(measured), initial: 1, ..fixed() }
}

#[test]
fn the_limit_is_what_the_formula_makes_of_it() {
    for (limit, latency, expect) in [
        // The median is the middle of 100 to 110 ms: g = 110/105.
        (10, 100, 13),
        (10, 110, 12),
        (100, 100, 114),
        // g is 2 at the most and 0.5 at the least.
        (10, 50, 24),
        (10, 1, 24),
        (10, 250, 7),
        (100, 9_000, 57),
        (900, 1, 1_000),
        (3, 9_000, 3),
    ] {
        let controller = Controller::new(fixed());
        controller.1.set(limit);
        controller.run(10, (0, latency));
        assert_eq!(controller.at(latency + 100), expect, "{limit} {latency}");
    }
}

#[test]
fn samples_count_in_the_interval_in_which_they_end() {
    let controller = Controller::new(fixed());
    assert_eq!(controller.run(1, (0, 99)), 3);
    // The first interval is over, and this is in the second.
    assert_eq!(controller.run(1, (140, 150)), 5);
    assert_eq!(controller.at(199), 5);
    assert_eq!(controller.at(200), 13);
    // Nothing was done in the third and fourth.
    assert_eq!(controller.run(1, (350, 430)), 13);
    assert_eq!(controller.at(499), 13);
    assert_eq!(controller.at(500), 21);
}

#[test]
fn an_idle_server_is_measured_at_a_low_limit_which_is_lifted_afterwards() {
    let controller = Controller::new(Gradient { max: 50, ..measured() });
    // From the very beginning, for as long as it takes.
    assert_eq!(controller.at(0), 1);
    assert_eq!(controller.run(4, (0, 40)), 1);
    assert_eq!(controller.at(500), 1);
    assert_eq!(controller.run(1, (500, 540)), 1);
    // 40 to 41 ms, 44.55 ms with what is added, by what is measured now: g = 2.
    controller.run(1, (540, 550));
    assert_eq!(controller.at(639), 1);
    assert_eq!(controller.at(640), 3);
    controller.run(1, (640, 650));
    assert_eq!(controller.at(740), 8);
    // A second later, and 9 ms that were drawn.
    assert_eq!(controller.at(1_548), 8);
    assert_eq!(controller.at(1_549), 1);
    // Those that began before do not count.
    assert_eq!(controller.run(9, (1_548, 1_700)), 1);
    assert_eq!(controller.run(5, (1_700, 1_780)), 8);
    controller.run(1, (1_780, 1_860));
    // g = 88.55 / 80.5
    assert_eq!(controller.at(1_880), 11);
}

#[test]
fn a_limit_that_stays_at_its_lowest_makes_it_be_measured_again() {
    let controller = Controller::new(measured());
    controller.at(0);
    controller.run(5, (0, 10));
    for at in 1..=5 {
        assert_eq!(controller.at(at * 100), 1);
        assert!(!controller.0.is_measuring(), "{at}");
        controller.run(1, (at * 100, at * 100 + 90));
    }
    controller.at(610);
    assert!(controller.0.is_measuring());
}

/// As Envoy 1.40 does.
#[test]
fn a_lowest_limit_of_its_own_holds_for_what_is_found() {
    let controller = Controller::new(Gradient { min: Some(7), initial: 2, ..measured() });
    assert_eq!(controller.at(0), 2);
    assert_eq!(controller.run(5, (0, 10)), 2);
    controller.run(1, (10, 20));
    assert_eq!(controller.at(110), 7);
    assert_eq!(controller.at(1_019), 2);
    assert!(controller.0.is_measuring());
    assert_eq!(controller.run(5, (1_019, 1_029)), 7);
}

#[test]
fn requests_that_nobody_waits_for_are_not_measured() {
    let controller = Controller::new(fixed());
    controller.1.set(10);
    let sample = Sample { start: 0, end: 90 * MS, is_cancelled: true };
    controller.0.record(&controller.1, sample);
    assert_eq!(controller.at(100), 10);
}

#[test]
fn a_latency_too_short_to_be_measured_is_no_overload() {
    let controller = Controller::new(fixed());
    controller.run(1, (0, 0));
    assert_eq!(controller.at(100), 8);
}
