//! Pure decisions and the validated model of a proxyless service mesh.

pub mod backoff;
pub mod balance;
pub mod cell;
pub mod cluster;
pub mod deadline;
pub mod filter;
pub mod lb;
pub mod matcher;
pub mod record;
pub mod request;
pub mod rng;
pub mod route;
pub mod side;
pub mod snapshot;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
