//! Pure decisions and the validated model of a proxyless service mesh.

pub mod matcher;
pub mod request;
pub mod rng;
pub mod route;
