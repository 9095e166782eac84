//! The load tests at full size: a quarter of an hour with `--full`; without it, a minute.
#![expect(clippy::unwrap_used, reason = "a failure is a panic")]

mod chat;
mod flips;
mod monday;
mod outage;
mod traffic;

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

#[tokio::main]
async fn main() {
    let is_full = std::env::args().any(|argument| argument == "--full");
    let of = |full: u32, brief: u32| if is_full { full } else { brief };
    let seconds = |full, brief| Duration::from_secs(of(full, brief).into());
    for features in [&[][..], &["delta"]] {
        println!("server features {features:?}");
        let size =
            flips::Size { flips: of(100, 5), rate: 2_000, delay: seconds(3, 1), streams: 50 };
        report_rate(report(size, flips::run(size, features)).await);
        let size = outage::Size { down: seconds(60, 5), rate: 2_000, flaps: of(100, 20) };
        report_rate(report(size, outage::run(size, features)).await);
    }
    let size = monday::Size { targets: 300, late: seconds(20, 5) };
    report(size, monday::run(size)).await;
    println!("no call has failed");
}

/// Says what is run, and what came of it after how many seconds.
async fn report<T: Debug>(size: impl Debug, run: impl Future<Output = T>) -> (T, f64) {
    println!("{size:?}");
    let start = Instant::now();
    let result = run.await;
    let seconds = start.elapsed().as_secs_f64();
    println!("  {seconds:.1} s: {result:?}");
    (result, seconds)
}

fn report_rate((report, seconds): (traffic::Report, f64)) {
    println!("  {:.0} calls a second", report.calls as f64 / seconds);
}
