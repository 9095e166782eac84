//! Resources in, names and roots out.

mod aggregates;
mod bad_news;
mod endpoints;
mod kit;
mod law;
mod roots;
pub(super) mod secrets;
