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
//! | [`BreakerLayer`] | clients | leaves a server alone that fails |
//! | [`AdmissionLayer`] | clients, servers | refuses a part of the requests while too few succeed |
//! | [`BulkheadLayer`] | clients, servers | bounds what is under way, and what waits |
//! | [`AdaptiveConcurrencyLayer`] | servers, clients | the same, by a limit that it finds out |
//! | [`HedgeLayer`] | clients | sends slow requests a second time, within an allowance |
//! | [`RateLimitLayer`] | clients, servers | lets only so many requests pass in a second |
//! | [`FaultLayer`] | tests of clients, servers | delays requests, or answers them with errors |
//! | [`OutlierLayer`] | clients | refuses one of several endpoints that does worse than the others |
//!
//! Time is tokio's, so tests can stop it.
//!
//! [`Error`]: crate::Error

mod admission;
mod breaker;
mod bulkhead;
mod concurrency;
#[cfg(test)]
mod contract;
mod decided;
mod failure;
mod fault;
#[cfg(test)]
mod frames;
mod hedge;
mod judged;
mod keyed;
mod matter;
mod outlier;
mod rate_limit;
mod refusal;
mod replay;
mod retry;
mod timeout;

pub use admission::AdmissionLayer;
pub use breaker::BreakerLayer;
pub use bulkhead::{Bulkhead, BulkheadFuture, BulkheadLayer};
pub use concurrency::{AdaptiveConcurrency, AdaptiveConcurrencyFuture, AdaptiveConcurrencyLayer};
pub use decided::Decided;
pub use fault::{Fault, FaultFuture, FaultLayer};
pub use hedge::{Hedge, HedgeFuture, HedgeLayer};
pub use judged::{
    By, ByStatus, Errors, Gate, Grpc, Http, Judge, Judged, JudgedFuture, Told, Watched,
};
pub use keyed::{All, ByHeader, ByPeer, ByTenant, KeyOf};
pub use mesh_core::hedge::Safe;
pub use outlier::{Endpoint, OutlierLayer, Outliers};
pub use rate_limit::{RateLimit, RateLimitLayer};
pub use refusal::{Fail, Look, Refusal, Refuse, Respond};
pub use replay::Replay;
pub use retry::{Retry, RetryFuture, RetryLayer};
pub use timeout::{Timeout, TimeoutFuture, TimeoutLayer};
