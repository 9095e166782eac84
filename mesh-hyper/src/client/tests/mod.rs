//! Calls over a whole mesh in memory: what the policies of a route make of them.

mod budget;
mod hedging;
mod kit;
mod limits;
mod priorities;
mod retries;
mod timeouts;
