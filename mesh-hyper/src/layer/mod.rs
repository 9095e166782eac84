//! Policies of the mesh as layers, for services that are in no mesh.
//!
//! Each is thin around the object of `mesh_core` that the mesh itself uses, needs no configuration
//! but its own, and goes on any tower service:
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # fn app() -> axum::Router {
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use mesh_hyper::layer::TimeoutLayer;
//!
//! let limit = TimeoutLayer::new(Duration::from_secs(2));
//! Router::new().route("/", get(|| async { "hi" })).layer(limit)
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
//! | [`OutlierLayer`] | clients | refuses one of several endpoints that does worse than the others |
//!
//! Time is tokio's, so tests can stop it.
//!
//! [`Error`]: crate::Error

#[cfg(test)]
mod contract;
mod failure;
mod hedge;
mod outlier;
mod refusal;
mod replay;
mod retry;
mod timeout;

pub use hedge::{Hedge, HedgeFuture, HedgeLayer};
pub use mesh_core::hedge::Safe;
pub use outlier::{AnyResponse, ByStatus, HeadOf, Outlier, OutlierFuture, OutlierLayer, Outliers};
pub use refusal::{Fail, Look, Refusal, Refuse, Respond};
pub use replay::Replay;
pub use retry::{Retry, RetryFuture, RetryLayer};
pub use timeout::{Timeout, TimeoutFuture, TimeoutLayer};
