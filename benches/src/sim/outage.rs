//! What a chain does to its last service when that is in trouble, and how soon it is well again.

use std::time::Duration;

use mesh_core::matcher::Fraction;
use mesh_core::retry::{Conditions, Limit, OfRetries, Policy};

use super::bottom::{Config, Fault, How};
use super::chain::{Chain, Hop, Load, Seen};
use super::figure::{Figure, Promise, Table};
use super::plot::{Axis, Curve, Plot, Scale};

pub(super) fn figure() -> Figure {
    let mut table = Table::new([
        "budget",
        "chain-wide bound",
        "D fails",
        "attempts per request, zone slow",
        "D failing",
        "bound",
        "recovery s",
        "overdue",
    ]);
    let mut curves = Vec::new();
    let mut promises = Vec::new();
    for (way, limit, of_retries, bound) in WAYS {
        let limit = limit.map(|limit| limit());
        // Without a budget there is nothing to promise.
        let faults = if limit.is_some() { &FAULTS[..] } else { &FAULTS[..1] };
        for (how, after) in faults.iter().copied() {
            let seen = run(limit, of_retries, after);
            let slow = seen.sum(SLOW, FAILS).per_request();
            let failing = seen.sum(FAILS, WELL).per_request();
            let recovery = recovery(&seen);
            table.row([
                if limit.is_some() { "20 %" } else { "none" }.to_owned(),
                if of_retries == OfRetries::Once { "yes" } else { "no" }.to_owned(),
                how.to_owned(),
                format!("{slow:.3}"),
                format!("{failing:.3}"),
                bound.map_or_else(String::new, |bound| bound.to_string()),
                format!("{recovery:.1}"),
                seen.overdue.to_string(),
            ]);
            if let Some(bound) = bound {
                let said = |what: &str| format!("{what}, {way}, D fails {how}");
                let all = seen.sum_with_those_under_way(FAILS, WELL).per_request();
                promises.push(Promise::at_most(bound, said("attempts per request"), all));
                promises.push(Promise::at_most(bound, said("the same while a zone is slow"), slow));
                promises.push(Promise::at_most(10.0, said("recovery, s"), recovery));
                promises.push(Promise::at_most(0.0, said("overdue"), seen.overdue.into()));
            }
            if after == FAULTS[0].1 {
                curves.push(Curve { name: way.to_owned(), points: seconds(&seen) });
            }
        }
    }
    Figure {
        name: "outage",
        title: "A chain whose last service fails",
        text: TEXT,
        table,
        plot: plot(curves),
        promises,
    }
}

fn plot(curves: Vec<Curve>) -> Plot {
    Plot {
        title: "Attempts at D, of which a zone is slow from 5 s on and all fail from 15 s to 45 s",
        across: Axis {
            label: "s",
            ticks: (0..=6u8).map(|tens| f64::from(tens) * 10.0).collect(),
            scale: Scale::Even,
        },
        up: Axis {
            label: "attempts per request",
            ticks: vec![0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0],
            scale: Scale::ByTick,
        },
        curves,
    }
}

const TEXT: &str = "\
A calls B, B calls C, C calls D, each with `num_retries: 2` and 250 ms for an attempt; callers of A wait a
second. 1000 requests come a second, which is 60 % of what D can do: three zones of two endpoints with
seven workers each that take 25 ms on average, picked by `lb::Picker` (least request). From 5 s on the first
zone takes ten times as long; from 15 s to 45 s D fails; then all is well. The chain-wide bound is
`retry::OfRetries::Once`. Recovery is over when 99 % of the requests of each tenth of a second are answered
well. Overdue is what was still going on when nobody waited for it any more. Without a budget only a tenth
as many requests come. The promise is about the requests that come while D fails and those that are under
way when it starts to.";

type Way = (&'static str, Option<fn() -> Limit>, OfRetries, Option<f64>);

const WAYS: [Way; 4] = [
    ("no budget", None, OfRetries::Retry, None),
    ("no budget, once", None, OfRetries::Once, None),
    ("budget", Some(Limit::default), OfRetries::Retry, Some(1.44)),
    ("budget, once", Some(Limit::default), OfRetries::Once, Some(1.2)),
];

const FAULTS: [(&str, Option<Duration>); 3] = [
    ("after 5 ms", Some(Duration::from_millis(5))),
    ("after 25 ms", Some(Duration::from_millis(25))),
    ("by hanging", None),
];

const SLOW: Duration = Duration::from_secs(5);
const FAILS: Duration = Duration::from_secs(15);
const WELL: Duration = Duration::from_secs(45);
const END: Duration = Duration::from_secs(60);

fn run(limit: Option<Limit>, of_retries: OfRetries, after: Option<Duration>) -> Seen {
    let mut policy = Policy::new(Conditions::parse("5xx")).num_retries(2);
    policy.per_try_timeout = Some(Duration::from_millis(250));
    policy.of_retries = of_retries;
    let hops = (0..3).map(|_| Hop { limit, ..Hop::new(policy.clone()) }).collect();
    let timeout = Some(Duration::from_secs(1));
    let between = Duration::from_millis(if limit.is_some() { 1 } else { 10 });
    let load = Load { between, until: END, timeout };
    let how = after.map_or(How::Hangs, |after| How::Fails(Fraction::ALL, after));
    let bottom = Config {
        zones: 3,
        endpoints: 2,
        workers: 7,
        service: Duration::from_millis(25),
        slow: SLOW..WELL,
        fault: Fault { when: FAILS..WELL, how },
    };
    Chain::new(hops, load, bottom).run()
}

/// The seconds after which all is well.
fn recovery(seen: &Seen) -> f64 {
    let mut recovery = Duration::ZERO;
    let mut at = WELL;
    while at < END {
        let end = at + Duration::from_millis(100);
        let sum = seen.sum(at, end);
        if f64::from(sum.good) < 0.99 * f64::from(sum.offered) {
            recovery = end - WELL;
        }
        at = end;
    }
    recovery.as_secs_f64()
}

fn seconds(seen: &Seen) -> Vec<(f64, f64)> {
    let point = |second: u32| {
        let from = Duration::from_secs(second.into());
        (f64::from(second), seen.sum(from, from + Duration::from_secs(1)).per_request())
    };
    (0..60).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_the_same_every_time() {
        let [one, other] = [(); 2].map(|()| run(None, OfRetries::Once, FAULTS[0].1));
        assert_eq!(one, other);
        assert_eq!(one.overdue, 0);
    }
}
