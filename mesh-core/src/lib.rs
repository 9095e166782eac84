//! Pure decisions and the validated model of a proxyless service mesh.
//!
//! Everything that decides something about a request is here: which route it falls under, which
//! cluster and endpoint it goes to, what a filter makes of it. Nothing here has a clock, a random
//! generator, a task, a socket, a file or a lock; the time and the randomness are arguments, so
//! every decision can be tested exactly and without a runtime:
//!
//! ```
//! use http::{HeaderMap, Method, Uri};
//! use mesh_core::matcher::PathMatcher;
//! use mesh_core::request::RequestHead;
//! use mesh_core::rng::XorShift;
//! use mesh_core::route::{
//!     Action, ClusterChoice, Forward, Route, RouteMatch, Table, VirtualHost, Weighted,
//!     WeightedCluster,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // 90 % to v1, 10 % to v2.
//! let mut table = Table::builder();
//! let split = Weighted::new(vec![
//!     WeightedCluster::new(table.cluster("v1")?, 90),
//!     WeightedCluster::new(table.cluster("v2")?, 10),
//! ])?;
//! let to = Action::Forward(Forward::new(ClusterChoice::Weighted(split)));
//! let all = RouteMatch::new(PathMatcher::prefix("/"));
//! table.virtual_host(VirtualHost::new("reviews", &["*"]).route(Route::new(all, to)));
//! let table = table.build()?;
//!
//! let (method, uri, headers) = (Method::GET, Uri::from_static("/1"), HeaderMap::new());
//! let head = RequestHead::from_pieces(&method, &uri, &headers, "reviews");
//! let route = table.find(&head, &mut XorShift::new(7))?;
//! assert_eq!(&**route.virtual_host(), "reviews");
//! assert_eq!(table.clusters().iter().map(|name| &**name).collect::<Vec<_>>(), ["v1", "v2"]);
//! # Ok(())
//! # }
//! ```
//!
//! # Where things are
//!
//! ```text
//! request  rng  matcher  cell  backoff     what everything else is made of
//! metadata                                 values that filters leave for one another
//! identity                                 SPIFFE IDs, and who is on the other side
//! classify                                 what an attempt came to
//! deadline  inherited                      how long there is, and what a request hands down
//! record  side                             reasons, calls that decisions need answered
//! authz                                    who may do what
//! route  cluster  lb                       where a request may go, and the choice of an endpoint
//! retry  hedge                             whether it is sent again, or twice at once
//! breaker  admission                       whether it is sent at all to a server that fails
//! concurrency                              how many are under way at once
//! outlier                                  endpoints that get no calls for a while
//! listener                                 which filter chain a connection falls under
//! balance                                  which endpoints to be connected to, which priority
//! filter                                   what a route does besides
//! snapshot                                 all of it as one value: a request in, a Plan out
//! ```

pub mod authz;
pub mod backoff;
pub mod balance;
pub mod breaker;
pub mod cell;
pub mod classify;
pub mod cluster;
pub mod concurrency;
pub mod deadline;
pub mod filter;
pub mod hedge;
pub mod identity;
pub mod inherited;
pub mod jwt;
pub mod lb;
pub mod listener;
pub mod matcher;
pub mod metadata;
pub mod outlier;
pub mod record;
pub mod request;
pub mod retry;
pub mod rng;
pub mod route;
pub mod side;
pub mod snapshot;
pub mod tenant;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod time;
