//! Endpoints that do worse than the others, and get no calls for a while (gRFC [A50], Envoy's
//! outlier detection).
//!
//! ```text
//! attempts ─► Counter: what each endpoint made of them; atomics only
//!                │ swapped at each sweep, or looked at once a counter says so
//!                ▼
//!             Outlier ─► Event: Eject, Restore, Spared ─► whoever chooses endpoints
//! ```
//!
//! Two dialects, side by side: HTTP requests are judged as Envoy does, by every detector it has;
//! gRPC calls as A50 says, by success rate and failure percentage. Each attempt is counted in the
//! dialect of its request, and an endpoint that either of them ejects is ejected.
//!
//! A timeout is a failure of the endpoint that was asked, also where a caller's own deadline is so
//! short that no endpoint would have met it: Envoy counts such requests as 504 until the head of the
//! answer has come, and A50 counts calls that end with `DEADLINE_EXCEEDED`. Callers that give too
//! little time can so have endpoints ejected; `max_ejection_percent` bounds how many. What does not
//! count is the end of an HTTP stream's life (`max_stream_duration`), its silence (`idle_timeout`),
//! and what a caller gives up.
//!
//! Not here: breakers, which look at one endpoint only, and what an endpoint's health checks say.
//!
//! ```
//! use mesh_core::outlier::{Config, Event, Outlier};
//! use mesh_core::rng::XorShift;
//! # use mesh_core::testing::at;
//!
//! let config = Config { always_eject_one: true, ..Config::default() };
//! let mut outlier = Outlier::new(config, at(0));
//! outlier.set_endpoints([("a", 0), ("b", 0)]);
//! let counter = outlier.counter(&"a").unwrap().clone();
//! let told = (0..5).map(|_| counter.answered(500)).filter(|is_due| *is_due).count();
//! assert_eq!(told, 1);
//! outlier.handle_tripped(at(1), &mut XorShift::new(1));
//! assert!(matches!(outlier.poll_event(), Some(Event::Eject { endpoint: "a", .. })));
//! ```
//!
//! [A50]: https://github.com/grpc/proposal/blob/master/A50-xds-outlier-detection.md

mod config;
mod counter;
mod evaluate;
mod event;
mod state;
mod sweep;
#[cfg(test)]
mod tests;

pub use config::{Config, Consecutive, FailurePercentage, Percent, SuccessRate};
pub use counter::{Counter, Local};
pub use event::{Detector, Dialect, Event, Spare};
pub use state::Outlier;
