//! `JwtAuthentication` (Envoy's `envoy.filters.http.jwt_authn`) to the filter that asks for tokens.
//!
//! What would let more requests pass if it were left out is refused: requirements of kinds that are
//! not known, rules by filter state or by chance, tokens that are not verified.

mod factory;
mod provider;
mod requirement;
#[cfg(test)]
mod tests;

pub use factory::JwtFactory;
