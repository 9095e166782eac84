//! A chain of four services, each of which sends failed calls again, in bad weather: one zone of
//! three turns slow, then the last service fails, while the most is asked of it.
//!
//! ```text
//! callers ─► a ─► b ─► c ─► d       three of each, one a zone; every hop retries twice
//! ```
//!
//! It lasts two minutes; `chain --full` makes fifteen times as many calls in them.
#![expect(clippy::unwrap_used, reason = "a failure is a panic")]

mod handlers;
mod hop;
mod run;
mod traffic;
mod world;

use run::Size;
use world::World;

#[tokio::main]
async fn main() {
    let is_full = std::env::args().any(|argument| argument == "--full");
    let size = if is_full { Size::FULL } else { Size::THIN };
    for bound in [world::Bound::Hop, world::Bound::Chain] {
        let report = run::run(size, World::start(bound).await).await;
        println!("{bound:?}: {report}");
        report.check(bound);
    }
    println!("no outage came of a fault");
}
