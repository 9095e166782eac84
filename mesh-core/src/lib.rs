//! Pure decisions and the validated model of a proxyless service mesh.

pub mod request;
pub mod rng;
