//! One of three backends is killed under traffic.
//!
//! The binary `kill` runs the same at full size.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "the binary has another size")]

mod ask;
mod run;
mod world;

use std::path::Path;

use ask::Protocol;
use run::Size;
use world::Retry;

/// Is the backends.
const PROGRAM: &str = env!("CARGO_BIN_EXE_kill");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_fails_that_may_be_sent_again() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let report = run::run(Path::new(PROGRAM), Size::BRIEF, protocol, Retry::Policy).await;
        report.check(Retry::Policy);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_retries_no_call_fails_but_those_under_way() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let report = run::run(Path::new(PROGRAM), Size::BRIEF, protocol, Retry::Never).await;
        report.check(Retry::Never);
    }
}
