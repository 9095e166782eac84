//! Policies of the mesh as layers, for services that are in no mesh.
//!
//! Each is thin around the object of `mesh_core` that the mesh itself uses, needs no configuration
//! but its own, and goes on any tower service:
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # fn app() -> axum::Router {
//! use axum::{Router, routing::get};
//! use mesh_hyper::layer::RateLimitLayer;
//!
//! Router::new().route("/", get(|| async { "hi" })).layer(RateLimitLayer::per_second(100).burst(200))
//! # }
//! ```
//!
//! A layer that refuses a request answers with a response, and so never changes the error of its
//! service: gRPC requests get a `grpc-status`, all others an HTTP status. `or_error()` makes it an
//! error instead, for services whose responses are something else; it holds an [`Error`].
//!
//! | layer | for | does |
//! |---|---|---|
//! | [`TimeoutLayer`] | clients, servers | gives up after a while, or when the caller does |
//! | [`RetryLayer`] | clients | sends requests again that have failed, within a budget |
//! | [`HedgeLayer`] | clients | sends slow requests a second time, within an allowance |
//! | [`RateLimitLayer`] | clients, servers | lets only so many requests pass in a second |
//! | [`FaultLayer`] | tests of clients, servers | delays requests, or answers them with errors |
//!
//! Time is tokio's, so tests can stop it.
//!
//! [`Error`]: crate::Error

#[cfg(test)]
mod contract;
mod decided;
mod failure;
mod fault;
mod hedge;
mod keyed;
mod rate_limit;
mod refusal;
mod replay;
mod retry;
mod timeout;

pub use decided::Decided;
pub use fault::{Fault, FaultFuture, FaultLayer};
pub use hedge::{Hedge, HedgeFuture, HedgeLayer};
pub use keyed::{All, ByHeader, ByPeer, ByTenant, KeyOf};
pub use mesh_core::hedge::Safe;
pub use rate_limit::{RateLimit, RateLimitLayer};
pub use refusal::{Fail, Look, Refusal, Refuse, Respond};
pub use replay::Replay;
pub use retry::{Retry, RetryFuture, RetryLayer};
pub use timeout::{Timeout, TimeoutFuture, TimeoutLayer};
