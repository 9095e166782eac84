//! `ExtAuthz` (Envoy's `envoy.filters.http.ext_authz`) to the filter that asks a service.
//!
//! What would let more requests pass, or tell the service less, if it were left out is refused.

mod factory;
mod service;
mod settings;
#[cfg(test)]
mod tests;

pub use factory::ExtAuthzFactory;
