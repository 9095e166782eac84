//! The mesh's clients and server under measurement, and what the programs that measure share.

pub mod apply;
pub mod callgrind;
mod cargo;
mod client;
mod figures;
pub mod growth;
mod grpc_server;
mod listener;
mod process;
#[path = "../shared/mod.rs"]
pub mod shared;
pub mod sim;
pub mod tls;

pub use cargo::target_directory;
pub use client::{bootstrap, client};
pub use figures::{Bar, Figures, Missed};
pub use grpc_server::grpc_server;
pub use process::Process;
