//! A test kit: a whole mesh, from its configuration to its backends, in a unit test.
//!
//! The configuration is a text, connections are streams in memory, the clock stands still unless
//! somebody waits for it, and every random choice comes from a seed. So a test needs no socket and
//! no sleep, takes milliseconds, and comes out the same each time and everywhere. Everything in
//! between is the real thing: files' parsing and checks, the graph, routes, load balancing, pools,
//! HTTP/1.1 and HTTP/2.
//!
//! ```
//! use mesh_hyper::testing;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mesh = testing::Mesh::from_yaml("
//!     version: mesh/v1
//!     services:
//!       reviews:
//!         routes: [{ to: { v1: 90, v2: 10 } }]
//!         versions:
//!           v1: [127.0.0.1:9081, 127.0.0.1:9082]
//!           v2: [127.0.0.1:9083]
//! ")?;
//! mesh.backend("reviews/v1").fail_every(3, 503);
//! let seen = mesh.get("http://reviews/1").times(1_000).seed(7).await;
//! assert_eq!((seen.count("v1"), seen.count("v2"), seen.failures()), (916, 84, 305));
//! # Ok(())
//! # }
//! ```
//!
//! In a test the function around it is `#[tokio::test(start_paused = true)]`; tokio's `test-util`
//! comes with this feature.
//!
//! ```text
//! Requests ──► Client ──► plan, pick, pools ──► Network (in memory) ──► hyper's server
//!    │ a seed for each call        ▲                                       │ Script of the Backend
//!    ▼                             │ snapshots                             ▼
//!   Seen                     Document or ControlPlane                    Reply
//! ```
//!
//! - [`Mesh`] is where a test starts; it is a mesh to everything that takes one.
//! - [`Backend`] scripts what answers: failures, delays, functions, whole services.
//! - [`Mesh::accept`] serves a connection in memory by a listener of the configuration.
//! - [`Requests`] sends, [`Seen`] says what became of it.
//! - [`RateLimiter`] is a rate limit service for a backend to serve, which writes down what it is asked.
//! - [`ControlPlane`] feeds a mesh by ADS instead of a text, with faults and outages.
//! - [`seeded`] makes the choices for calls of the program's own code exact.

mod accept;
mod backend;
mod feed;
mod mesh;
mod network;
mod oneshot;
mod reply;
mod requests;
mod script;
mod seeded;
mod seen;
mod serve;
#[cfg(test)]
mod tests;

pub use backend::Backend;
pub use feed::{ControlPlane, LimitRequest, PushError, RateLimiter};
pub use mesh::Mesh;
pub use reply::Reply;
pub use requests::Requests;
pub use seeded::{Seeded, seeded};
pub use seen::{Answer, Seen};

/// The response header field in which backends say who they are.
const BACKEND: http::HeaderName = http::HeaderName::from_static("x-backend");

/// Fails the test, whose own mistake it is.
#[track_caller]
#[expect(clippy::panic, reason = "a test that asks for what cannot be has to fail")]
fn mistake(why: &str) -> ! {
    panic!("{why}")
}
