//! Identities that are replaced and withdrawn, and policies that flip, between processes under
//! traffic.
//!
//! The binary `rotation` runs the same at full size, and looks at how long it takes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "the binary prints more")]

mod agent;
mod flips;
mod place;
mod serial;
mod turnover;
mod withdrawal;
mod world;

use std::path::Path;

use place::Way;
use withdrawal::{Means, Withdrawal};
use world::Policy;

/// Is the server, or the client.
const PROGRAM: &str = env!("CARGO_BIN_EXE_rotation");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_files_are_replaced_wholly_and_by_half() {
    let report = turnover::run(Path::new(PROGRAM), 30).await;
    // And those of the beginning.
    assert_eq!((report.serials_of_clients, report.serials_of_servers), (31, 31));
    assert_eq!(report.halves, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_trusted_any_more_is_put_out_and_stays_out() {
    let mut withdrawal = Withdrawal::start(Path::new(PROGRAM)).await;
    for means in Means::ALL {
        withdrawal.withdraw(means, Way::Swap).await;
    }
    assert!(withdrawal.end().await > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_let_in_after_a_policy_that_denies_it_is_acknowledged() {
    for policy in [Policy::OfListener, Policy::OfRoutes] {
        let size = flips::Size { flips: 8, rate: 300, between: 20 };
        let report = flips::run(Path::new(PROGRAM), size, policy).await;
        report.check();
        assert!(report.allowed >= 5 * 20 && report.denied >= 4 * 20, "{report:?}");
    }
}
