//! What a server gets done that is offered more than it can do.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use mesh_core::concurrency::{Aimd, Algorithm, Fixed, Gradient, Limiter, Measured, MinRtt, Permit};
use mesh_core::request::Criticality;
use mesh_core::rng::XorShift;

use super::chance::exponential;
use super::events::Events;
use super::figure::{Figure, Promise, Table};
use super::plot::{Axis, Curve, Plot, Scale};
use super::station::Station;
use super::times::Times;

pub(super) fn figure() -> Figure {
    let every = Measured::every(Duration::from_secs(30));
    let gradient = Gradient::new(Duration::from_millis(100), MinRtt::Measured(every));
    let default = Algorithm::default();
    let ways = [
        ("no limit", Fixed(u32::MAX).into(), ["0.018, 3 200", "0.011, 9 900", "0.006, 15 900"]),
        ("fixed, 32", Fixed(32).into(), ["0.99, 75", "1.00, 76", "0.98, 80"]),
        ("AIMD", Aimd::new(TIMEOUT / 2).into(), ["0.98, 58", "1.00, 60", "0.98, 62"]),
        ("gradient", gradient.into(), ["0.98, 73", "0.97, 117", "0.85, 241"]),
        ("Vegas, the default", default, ["0.94, 53", "0.97, 55", "0.98, 57"]),
    ];
    let mut table = Table::new([
        "limit",
        "offered, of capacity",
        "goodput, of capacity",
        "p99 of those admitted, ms",
        "expected goodput, p99",
    ]);
    let mut curves = Vec::new();
    let mut promises = Vec::new();
    for (name, algorithm, expected) in ways {
        for (load, expected) in LOADS.into_iter().zip(expected) {
            let mut found = run(algorithm, load);
            let [p99] = found.times.quantiles([990_000]);
            let goodput = found.goodput();
            table.row([
                name.to_owned(),
                load.to_string(),
                format!("{goodput:.3}"),
                format!("{p99:.0}"),
                expected.to_owned(),
            ]);
            if algorithm == default && load >= 2.0 {
                let what = format!("goodput at {load} times the capacity, default");
                promises.push(Promise::at_least(0.95, what, goodput));
                let what = format!("p99 at {load} times the capacity, ms, default");
                promises.push(Promise::at_most(100.0, what, p99));
            }
            if load > 2.0 {
                curves.push(Curve { name: name.to_owned(), points: found.seconds() });
            }
        }
    }
    Figure {
        name: "overload",
        title: "An overloaded server",
        text: TEXT,
        table,
        plot: plot(curves),
        promises,
    }
}

fn plot(curves: Vec<Curve>) -> Plot {
    Plot {
        title: "Answers in time of a server that is offered five times what it can do",
        across: Axis { label: "s", ticks: vec![0.0, 5.0, 10.0, 15.0, 20.0], scale: Scale::Even },
        up: Axis {
            label: "goodput, of capacity",
            ticks: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2],
            scale: Scale::Even,
        },
        curves,
    }
}

const TEXT: &str = "\
A server with eight workers that take 10 ms on average (exponential), which is 800 requests a second, and a
queue before them. Clients wait 100 ms; what they no longer wait for is done all the same. It is offered
more for 20 s, the first second included, and the limits (`concurrency::Limiter`) start knowing nothing of
its capacity; AIMD is told that 50 ms are slow. Gradient is Envoy's controller, every 100 ms with a
measurement each 30 s; the expectation is of another one, gradient2.";

const LOADS: [f64; 3] = [1.2, 2.0, 5.0];
const WORKERS: u32 = 8;
const SERVICE: Duration = Duration::from_millis(10);
const TIMEOUT: Duration = Duration::from_millis(100);
const LASTS: Duration = Duration::from_secs(20);

/// Requests that are answered in a second, when there is always one to do.
const CAPACITY: f64 = 800.0;

#[derive(Debug, Default, PartialEq)]
struct Found {
    /// Of all that was admitted.
    times: Times,
    /// Answers in time, by the second of the request.
    good: [u32; 20],
}

impl Found {
    fn goodput(&self) -> f64 {
        f64::from(self.good.iter().sum::<u32>()) / (CAPACITY * LASTS.as_secs_f64())
    }

    fn seconds(&self) -> Vec<(f64, f64)> {
        let seconds = (0..).map(|second: u8| f64::from(second) + 0.5);
        seconds.zip(self.good.map(|good| f64::from(good) / CAPACITY)).collect()
    }
}

enum Event {
    Arrival,
    Done(u64),
}

fn run(algorithm: Algorithm, load: f64) -> Found {
    let mut rng = XorShift::new(5);
    let mut events = Events::new();
    let start = events.now();
    let limiter = Limiter::new(algorithm);
    let mut station = Station::new(WORKERS);
    let mut admitted: HashMap<u64, (Permit, Instant)> = HashMap::new();
    let mut found = Found::default();
    let mut arrived = 0;
    let between = Duration::from_secs(1).div_f64(CAPACITY * load);
    events.after(between, Event::Arrival);
    while let Some(event) = events.next() {
        let now = events.now();
        match event {
            Event::Arrival => {
                arrived += 1;
                if let Ok(permit) = limiter.admit(Criticality::default(), now, &mut rng) {
                    admitted.insert(arrived, (permit, now));
                    if station.enter(arrived) {
                        events.after(exponential(SERVICE, &mut rng), Event::Done(arrived));
                    }
                }
                let wait = exponential(between, &mut rng);
                if now + wait < start + LASTS {
                    events.after(wait, Event::Arrival);
                }
            }
            Event::Done(job) => {
                if let Some((permit, from)) = admitted.remove(&job) {
                    permit.done(now);
                    found.times.add(now - from);
                    let second = usize::try_from((from - start).as_secs()).unwrap_or(usize::MAX);
                    if let Some(good) = found.good.get_mut(second) {
                        *good += u32::from(now - from <= TIMEOUT);
                    }
                }
                if let Some(next) = station.leave(|_| true) {
                    events.after(exponential(SERVICE, &mut rng), Event::Done(next));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_the_same_every_time() {
        let [one, other] = [(); 2].map(|()| run(Algorithm::default(), 1.2));
        assert_eq!(one, other);
        assert!(one.times.count() > 10_000);
    }
}
