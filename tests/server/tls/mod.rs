//! TLS of clients at servers: who gets in, how, and for how long (gRFC A29, A36).

mod criticality;
mod grpc;
mod kit;
mod modes;
mod policies;
mod refusals;
mod secrets;
mod tenants;
mod withdrawal;
