//! The mesh's clients under measurement.

mod client;
#[path = "../shared/mod.rs"]
pub mod shared;

pub use client::client;
