//! Failures made on purpose: requests that are delayed, answered with errors, or whose answers come
//! slowly (gRFC [A33], Envoy's fault filter).
//!
//! A [`Fault`] is what the configuration asks for; what becomes of one request is decided here, by
//! chance that is an argument. The filter that carries it out is
//! [`Inject`](crate::filter::Inject), above retries: a failure that is made is not retried.
//!
//! [A33]: https://github.com/grpc/proposal/blob/master/A33-Fault-Injection.md

mod active;
mod config;
mod percentage;
#[cfg(test)]
mod tests;

pub use active::Active;
pub use config::{Abort, AbortKind, Aborted, Delay, DelayKind, Fault, Throttle, ThrottleKind};
pub use percentage::{Denominator, Percentage};
