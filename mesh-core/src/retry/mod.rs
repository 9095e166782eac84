//! Whether a request is sent again, when, and whether that is good for everybody (gRFC [A6],
//! [A44], Envoy's `RetryPolicy`).
//!
//! ```text
//! Policy ─┐                    ┌─► Again { at, why, permit }   wait, then the next attempt
//! Start ──┴► Retries::after ───┼─► Commit                      the caller gets this outcome
//!              ▲      ▲        └─► Stop(why)                   the same, though it is a bad one
//!          Outcome  Context { Budget, Throttle }
//! ```
//!
//! One [`Policy`] serves two [`Dialect`]s: what Envoy does for HTTP, and what gRPC does for gRPC.
//! A [`Budget`] is shared by the calls to one cluster, and keeps retries from turning a brown-out
//! into an outage; [`Throttle`] is gRPC's own way to that end. Not here: keeping the request's body
//! for another attempt, and sending a request again that no server has looked at, which is the
//! transport's business and costs no retry.
//!
//! ```
//! use std::time::Duration;
//! use http::{HeaderMap, Method, StatusCode, Uri};
//! use mesh_core::classify::Outcome;
//! use mesh_core::request::RequestHead;
//! use mesh_core::retry::{Conditions, Context, Next, Policy, Retries, Start};
//! use mesh_core::rng::XorShift;
//! # use mesh_core::testing::at;
//!
//! let policy = Policy::new(Conditions::parse("5xx")).num_retries(1);
//! let (method, uri, headers) = (Method::GET, Uri::from_static("/"), HeaderMap::new());
//! let head = RequestHead::from_pieces(&method, &uri, &headers, "reviews");
//! let mut call = Retries::new(&policy, &head, Start::default());
//! let context = Context::new(&policy);
//! let failed = Outcome::answer(StatusCode::BAD_GATEWAY, &headers);
//! let Next::Again { at: then, .. } = call.after(&context, &failed, at(3), &mut XorShift::new(1))
//! else {
//!     panic!("one retry is allowed");
//! };
//! assert!(then < at(3) + Duration::from_millis(25));
//! let next = call.after(&context, &failed, at(4), &mut XorShift::new(1));
//! assert!(matches!(next, Next::Stop(_)));
//! ```
//!
//! [A6]: https://github.com/grpc/proposal/blob/master/A6-client-retries.md
//! [A44]: https://github.com/grpc/proposal/blob/master/A44-xds-retry.md

mod asked;
mod attempts;
mod budget;
mod conditions;
mod hosts;
mod next;
mod policy;
mod priorities;
mod recent;
mod spacing;
mod state;
#[cfg(test)]
mod tests;
mod throttle;

pub use asked::Asked;
pub use attempts::Counted;
pub use budget::{Budget, Limit, Permit, UnderWay};
pub use conditions::Conditions;
pub use hosts::Hosts;
pub use next::{Next, Stop};
pub use policy::{Methods, OfRetries, Policy};
pub use priorities::Priorities;
pub use spacing::{RateLimited, ResetFormat, ResetHeader, Spacing};
pub use state::{Context, Dialect, Retries, Start};
pub use throttle::Throttle;
