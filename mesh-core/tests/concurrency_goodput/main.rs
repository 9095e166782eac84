//! What a server gets done with an adaptive limit when it is offered more than it can do.

#![expect(clippy::unwrap_used, reason = "a test")]

mod server;

use std::time::Duration;

use mesh_core::concurrency::{Aimd, Algorithm, Gradient, Measured, MinRtt};
use server::{TIMEOUT, Work, overload};

/// Checks that `algorithm` gets done nearly all that can be done, and in time, when a server is
/// offered twice and five times as much.
fn holds(algorithm: impl Into<Algorithm>) {
    let algorithm = algorithm.into();
    for (work, load) in
        [(Work::Even, 2.0), (Work::Even, 5.0), (Work::Uneven, 2.0), (Work::Uneven, 5.0)]
    {
        let found = overload(algorithm, load, work, 7);
        let is_held = found.goodput >= 0.95 && found.p99 <= TIMEOUT;
        assert!(is_held, "{load} times, {work:?}: {found:?}");
    }
}

#[test]
fn the_default_holds_what_a_server_can_do_and_is_told_nothing() {
    holds(Algorithm::default());
}

#[test]
fn aimd_holds_what_a_server_can_do_and_is_told_what_is_slow() {
    holds(Aimd::new(TIMEOUT / 2));
}

#[test]
fn the_gradient_holds_what_a_server_can_do() {
    let measured = Measured::every(Duration::from_secs(30));
    holds(Gradient::new(Duration::from_millis(100), MinRtt::Measured(measured)));
}

#[test]
fn nothing_is_refused_for_long_where_there_is_no_queue() {
    for work in [Work::Even, Work::Uneven] {
        let found = overload(Algorithm::default(), 0.5, work, 7);
        assert!(found.goodput > 0.48, "{found:?}");
    }
}
