//! What a second attempt does for the slowest calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use mesh_core::classify::Class;
use mesh_core::hedge::{Allowance, Delay, Hedges, Latencies, Next, Policy};
use mesh_core::matcher::Fraction;
use mesh_core::retry::Throttle;
use mesh_core::rng::{Rng, XorShift};

use super::chance::{exponential, lognormal};
use super::events::Events;
use super::figure::{Figure, Promise, Table};
use super::plot::{Axis, Curve, Plot, Scale};
use super::times::Times;

pub(super) fn figure() -> Figure {
    let share = |percent: u32| Allowance::new(Fraction::per_million(percent * 10_000), 10);
    let closed = Arc::new(Throttle::new(10, 100));
    while closed.failed() {}
    let cases = [
        ("none", Delay::Never, share(5), ["201 / 209", "0"]),
        ("p95", Delay::Percentile(0.95), share(5), ["16.7 / 22.1", "4.97"]),
        ("p90", Delay::Percentile(0.9), share(10), ["15 / 20", "9.8"]),
        ("p99", Delay::Percentile(0.99), share(5), ["38 / 207", "1.0"]),
        ("p95, throttle closed", Delay::Percentile(0.95), share(5).throttled(closed), ["", "0"]),
    ];
    let mut table = Table::new([
        "hedged at",
        "p50 ms",
        "p99 / p99.9 ms",
        "expected",
        "extra attempts, %",
        "expected",
    ]);
    let mut curves = Vec::new();
    let mut found = HashMap::new();
    for (name, delay, allowance, [times, extra]) in cases {
        let mut run = run(&Policy::new(delay), &allowance);
        let [p50, p99, p999] = run.times.quantiles([500_000, 990_000, 999_000]);
        table.row([
            name.to_owned(),
            format!("{p50:.1}"),
            format!("{p99:.1} / {p999:.1}"),
            times.to_owned(),
            format!("{:.2}", run.extra()),
            extra.to_owned(),
        ]);
        let quantiles = run.times.quantiles(SLOWEST.map(|slower| 1_000_000 - slower));
        let points = SLOWEST.iter().zip(quantiles).map(|(slower, time)| {
            // Below a hundred percent by so much.
            (time, f64::from(u32::try_from(*slower).unwrap_or(u32::MAX)) / 1e4)
        });
        curves.push(Curve { name: name.to_owned(), points: points.collect() });
        found.insert(name, (p999, run.extra()));
    }
    let of = |name| found.get(name).copied().unwrap_or((f64::INFINITY, f64::INFINITY));
    let promises = vec![
        Promise::at_most(0.12, "p99.9 hedged at p95, to unhedged", of("p95").0 / of("none").0),
        Promise::at_most(5.5, "extra attempts at p95, %", of("p95").1),
        Promise::at_most(
            0.0,
            "extra attempts while the throttle is closed, %",
            of("p95, throttle closed").1,
        ),
    ];
    Figure { name: "hedging", title: "Hedging", text: TEXT, table, plot: plot(curves), promises }
}

fn plot(curves: Vec<Curve>) -> Plot {
    Plot {
        title: "The slowest calls, by when a second attempt starts",
        across: Axis {
            label: "ms",
            ticks: vec![0.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 300.0],
            scale: Scale::ByTick,
        },
        up: Axis {
            label: "calls that are slower, %",
            ticks: vec![0.01, 0.1, 1.0, 10.0, 100.0],
            scale: Scale::ByTick,
        },
        curves,
    }
}

const TEXT: &str = "\
100 000 calls, 1000 a second. An attempt takes a lognormal time of 5 ms (median; sigma 0.5), and one in
a hundred 200 ms more. A second attempt starts when the first has taken longer than the given share of
the calls of the last minute (`hedge::Latencies`), within an allowance of 5 % of all calls (10 % for
p90) and ten saved up (`hedge::Allowance`).";

/// How many of a million calls are slower, for the plot.
const SLOWEST: [usize; 12] =
    [999_999, 500_000, 200_000, 100_000, 50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 100];

const CALLS: usize = 100_000;
const BETWEEN: Duration = Duration::from_millis(1);
const WINDOW: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Found {
    times: Times,
    attempts: usize,
}

impl Found {
    /// Attempts besides the first, in percent of calls.
    fn extra(&self) -> f64 {
        let (attempts, calls) = (count(self.attempts), count(self.times.count()));
        100.0 * (attempts - calls) / calls
    }
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

enum Event {
    Arrival,
    /// Another attempt of this call may be due.
    Timer(usize),
    Answer(usize),
}

fn run(policy: &Policy, allowance: &Allowance) -> Found {
    let mut rng = XorShift::new(3);
    let mut events = Events::new();
    let latencies = Latencies::new(WINDOW, events.now());
    let mut calls: HashMap<usize, (Hedges, Instant)> = HashMap::new();
    let mut found = Found::default();
    let mut arrived = 0;
    events.after(BETWEEN, Event::Arrival);
    while let Some(event) = events.next() {
        let now = events.now();
        let started = match event {
            Event::Arrival => {
                let mut hedges = Hedges::new(policy, &Method::GET, None);
                let started = hedges.begin(policy, allowance, &latencies, now, &mut rng);
                arrived += 1;
                calls.insert(arrived, (hedges, now));
                if arrived < CALLS {
                    events.after(exponential(BETWEEN, &mut rng), Event::Arrival);
                }
                (arrived, started)
            }
            // Timers and answers of calls that have ended come to nothing.
            Event::Timer(call) => match calls.get_mut(&call) {
                Some((hedges, _)) => (call, u32::from(hedges.handle_timeout(allowance, now))),
                None => continue,
            },
            Event::Answer(call) => {
                if let Some((mut hedges, start)) = calls.remove(&call)
                    && hedges.after(Class::Good) == Next::Win
                {
                    let took = now - start;
                    latencies.record(took, now);
                    found.times.add(took);
                }
                continue;
            }
        };
        let (call, started) = started;
        for _ in 0..started {
            found.attempts += 1;
            events.after(attempt(&mut rng), Event::Answer(call));
        }
        if let Some(due) = calls.get(&call).and_then(|(hedges, _)| hedges.poll_timeout()) {
            events.at(due, Event::Timer(call));
        }
    }
    found
}

/// How long one attempt takes.
fn attempt(rng: &mut dyn Rng) -> Duration {
    let usual = lognormal(Duration::from_millis(5), 0.5, rng);
    match Fraction::per_million(10_000).decide(rng) {
        true => usual + Duration::from_millis(200),
        false => usual,
    }
}
