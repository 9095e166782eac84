//! How often the last service of a chain is asked when it fails, and every service before it asks
//! again.

use std::time::Duration;

use mesh_core::matcher::Fraction;
use mesh_core::retry::{Conditions, Dialect, Limit, Policy, Throttle};

use super::bottom::{Config, Fault, How};
use super::chain::{Chain, Hop, Load};
use super::figure::{Figure, Promise, Table};
use super::plot::{Axis, Curve, Plot, Scale};

pub(super) fn figure() -> Figure {
    let ways = [
        ("naive", Hop::new as fn(Policy) -> Hop, ["1.01", "2.00", "64.0"]),
        ("budget of 20 %", budgeted, ["1.01", "1.73 (success 0.86)", "1.73"]),
        ("gRPC throttle", throttled, ["1.01", "1.00 (success 0.50)", "1.00"]),
    ];
    let mut table =
        Table::new(["", "failures", "attempts per request", "success", "expected attempts"]);
    let mut curves = Vec::new();
    let mut promises = Vec::new();
    for (name, hop, expected) in ways {
        let mut points = Vec::new();
        let mut expected = expected.into_iter();
        for failures in FAILURES {
            let (attempts, success) = run(hop, failures);
            points.push((failures, attempts));
            if SHOWN.contains(&failures) {
                table.row([
                    name.to_owned(),
                    failures.to_string(),
                    format!("{attempts:.2}"),
                    format!("{success:.4}"),
                    expected.next().unwrap_or_default().to_owned(),
                ]);
            }
            if name != "naive" && failures == 1.0 {
                let what = format!("attempts per request if all fail, {name}");
                promises.push(Promise::at_most(1.728, what, attempts));
            }
            if name != "gRPC throttle" && failures == 0.01 {
                let what = format!("success if a hundredth fails, {name}");
                promises.push(Promise::at_least(0.9999, what, success));
            }
        }
        curves.push(Curve { name: name.to_owned(), points });
    }
    Figure {
        name: "amplification",
        title: "Retry amplification",
        text: TEXT,
        table,
        plot: plot(curves),
        promises,
    }
}

fn plot(curves: Vec<Curve>) -> Plot {
    Plot {
        title: "Attempts at the last of three layers, each of which tries four times",
        across: Axis {
            label: "share of attempts that fail",
            ticks: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            scale: Scale::Even,
        },
        up: Axis {
            label: "attempts per request",
            ticks: vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0],
            scale: Scale::ByTick,
        },
        curves,
    }
}

const TEXT: &str = "\
Three clients, one below the other, send a request up to four times (`num_retries: 3`). The service at
the bottom takes 200 ms and fails at random; 5000 requests come, 500 a second. The budget is
`retry::Limit::default()` of each client, the throttle that of gRFC A6 with 100 tokens and a ratio of
0.1. 1.728 is 1.2 for each layer. A retry is under way while it is waited for, so that the budget lets
through fewer than the expected fifth.";

const FAILURES: [f64; 7] = [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0];
const SHOWN: [f64; 3] = [0.01, 0.5, 1.0];

fn budgeted(policy: Policy) -> Hop {
    Hop { limit: Some(Limit::default()), ..Hop::new(policy) }
}

fn throttled(policy: Policy) -> Hop {
    let throttle = Some(Throttle::new(100, 100));
    Hop { dialect: Dialect::Grpc, throttle, ..Hop::new(policy) }
}

/// Attempts for each request, and the share of requests that are answered well.
fn run(hop: fn(Policy) -> Hop, failures: f64) -> (f64, f64) {
    let policy = Policy::new(Conditions::parse("5xx,unavailable")).num_retries(3);
    let hops = (0..3).map(|_| hop(policy.clone())).collect();
    let until = Duration::from_secs(10);
    let load = Load { between: Duration::from_millis(2), until, timeout: None };
    let latency = Duration::from_millis(200);
    let bottom = Config {
        zones: 1,
        endpoints: 1,
        workers: u32::MAX,
        service: latency,
        slow: Duration::ZERO..Duration::ZERO,
        fault: Fault {
            when: Duration::ZERO..Duration::MAX,
            how: How::Fails(share(failures), latency),
        },
    };
    let seen = Chain::new(hops, load, bottom).run();
    let sum = seen.sum(Duration::ZERO, Duration::MAX);
    (sum.per_request(), f64::from(sum.good) / f64::from(sum.offered))
}

fn share(of: f64) -> Fraction {
    // In hundredths, which is as fine as they are given.
    let hundredths = (0..=100).find(|hundredth| f64::from(*hundredth) / 100.0 >= of);
    Fraction::per_million(hundredths.unwrap_or(100) * 10_000)
}
