//! A chain of four services, each of which sends failed calls again, in bad weather: one zone of
//! three turns slow, then the last service fails, while the most is asked of it.
//!
//! ```text
//! callers ─► a ─► b ─► c ─► d       three of each, one a zone; every hop retries twice
//! ```
//!
//! `chain --full` lasts two minutes; without it the faults are short.
#![expect(clippy::unwrap_used, reason = "a failure is a panic")]

mod handlers;
mod hop;
mod run;
mod traffic;
mod world;

use run::Size;

#[tokio::main]
async fn main() {
    let is_full = std::env::args().any(|argument| argument == "--full");
    let size = if is_full { Size::FULL } else { Size::BRIEF };
    for bound in [world::Bound::Hop, world::Bound::Chain] {
        let report = run::run(size, bound).await;
        println!("{bound:?}: {report}");
        report.check(bound);
    }
    println!("no outage came of a fault");
}
