//! gRPC on a proxyless service mesh.

mod channel;
mod status;

pub use channel::{Channel, ResponseBody, ResponseFuture};
pub use mesh_hyper::Mesh;
