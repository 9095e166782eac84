//! A chain of four services in bad weather, in memory.
//!
//! The binary `chain` runs the same over sockets, with more calls.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "the binary has another size, and sockets")]

mod handlers;
mod hop;
mod memory;
mod run;
mod traffic;
mod world;

use run::Size;
use world::Bound;

#[tokio::test(start_paused = true)]
async fn retries_of_a_chain_add_up_to_little_while_its_end_fails() {
    for bound in [Bound::Hop, Bound::Chain] {
        let report = run::run(Size::THIN, memory::start(bound)).await;
        println!("{bound:?}: {report}");
        report.check(bound);
    }
}
