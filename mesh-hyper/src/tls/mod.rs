//! TLS on both sides, over the adapters and identities of mesh-xds.

mod client;
mod open;
mod server;

pub(crate) use client::Handshakes;
pub(crate) use server::Greetings;
