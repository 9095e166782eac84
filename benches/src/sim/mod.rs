//! A simulator of calls, servers and faults, which asks mesh-core what to do.
//!
//! ```text
//! Events, one heap, one virtual clock ─► a figure's world ─► mesh-core decides, given now and rng
//!                                              └─► Figure: table, plot, promises ─► Report
//! ```
//!
//! Retries, budgets, throttles, limits, hedges, breakers, outlier detection and picks are the code
//! that serves requests, not a copy of it; only clients' patience, servers' workers and queues, and
//! faults are made here. There is no socket, task or clock, and no result that depends on the
//! machine, so equal code gives equal bytes.

mod amplification;
mod bottom;
mod chain;
mod chance;
mod events;
mod figure;
mod hedging;
mod outage;
mod overload;
mod plot;
mod reaction;
mod report;
mod station;
mod times;

pub use figure::{Figure, Promise};
pub use report::Report;

/// All figures, in the order of the report.
#[must_use]
pub fn figures() -> Vec<Figure> {
    vec![
        amplification::figure(),
        overload::figure(),
        hedging::figure(),
        outage::figure(),
        reaction::figure(),
    ]
}
