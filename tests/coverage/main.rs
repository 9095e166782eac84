//! Writes `docs/resilience.md`.
#![expect(clippy::unwrap_used, reason = "a failure is a panic")]
#![expect(dead_code, reason = "the test looks for faults")]

mod situations;
mod table;

fn main() {
    std::fs::write(table::root().join(table::DOCUMENT), table::read().document()).unwrap();
}
