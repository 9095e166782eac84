//! What the overhead bench measures the mesh against, and the server both of them call.
//!
//! - [`client`]: one client per peer, chosen on the command line.
//! - [`server`]: echo servers for gRPC and HTTP/1.1, and a fixed control plane for xDS clients.

mod ads;
mod client;
mod grpc_server;
mod http1;
mod resources;
mod server;
#[path = "../../shared/mod.rs"]
pub mod shared;

pub use client::client;
pub use grpc_server::grpc_server;
pub use server::server;
