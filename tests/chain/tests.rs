//! A chain of four services in bad weather.
//!
//! The binary `chain` runs the same at full size.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(dead_code, reason = "the binary has another size")]

mod handlers;
mod hop;
mod run;
mod traffic;
mod world;

use run::Size;
use world::Bound;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_of_a_chain_add_up_to_little_while_its_end_fails() {
    for bound in [Bound::Hop, Bound::Chain] {
        run::run(Size::BRIEF, bound).await.check(bound);
    }
}
