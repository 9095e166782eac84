//! TLS on both sides, over the adapters and identities of mesh-xds.

mod client;
mod open;
mod server;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;

pub(crate) use client::Handshakes;
pub(crate) use server::Greetings;
