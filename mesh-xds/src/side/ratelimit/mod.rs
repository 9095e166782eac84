//! Asking a rate limit service (Envoy's `envoy.filters.http.ratelimit`).
//!
//! ```text
//! request ─► descriptors ─► RateLimitRequest ─► the service
//!   passes, changed ◄── OK         ◄──┬── RateLimitResponse
//!   answered: 429   ◄── OVER_LIMIT ◄──┤
//!   passes, or is answered if so configured ◄── no answer that is understood in time
//! ```

mod answer;
mod filter;
mod message;
mod rest;
mod settings;

pub(crate) use filter::AskLimit;
pub(crate) use settings::{Kind, OnRoute, Settings};
