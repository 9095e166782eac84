//! Configuration that changes, goes away and comes late while calls are made: none may fail.
//!
//! The binary `soak` runs the same at full size.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chat;
mod flips;
mod monday;
mod outage;
mod traffic;

use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn clusters_come_and_go_under_load() {
    for features in [&[][..], &["delta"]] {
        let size =
            flips::Size { flips: 6, rate: 200, delay: Duration::from_millis(100), streams: 10 };
        let report = flips::run(size, features).await;
        assert!(report.calls >= 120, "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_goes_and_comes_back() {
    for features in [&[][..], &["delta"]] {
        let size = outage::Size { down: Duration::from_millis(500), rate: 200, flaps: 10 };
        let report = outage::run(size, features).await;
        assert!(report.calls >= 100, "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_are_there_before_their_configuration() {
    let size = monday::Size { targets: 300, late: Duration::from_millis(500) };
    monday::run(size).await;
}
