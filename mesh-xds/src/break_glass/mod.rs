//! Emergencies: signed, time-boxed exceptions from policies.
//!
//! ```text
//! document BreakGlass ─► token ─► signature, scope, time ─► filter::BreakGlass ─► the Guard
//! ```
//!
//! A document of kind `BreakGlass` among the policies holds a token (a JWS with `EdDSA`) whose claims
//! say who asks (`sub`), why (`reason`), for which scope (`aud`), from when to when (`nbf`, `exp`: 24
//! hours at most), and what is to be let in (`rules`, as in the short form). With
//! [`Builder::break_glass`](crate::Builder::break_glass), requests that policies refuse pass if a
//! token lets them in, and each that does is reported. A token that cannot be verified has no effect.

mod error;
mod grant;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use mesh_core::filter::BreakGlass;
use rustls::crypto::CryptoProvider;

pub use self::error::Invalid;
pub use self::token::PublicKey;
use crate::file::Verify;
use crate::parse::Workload;

/// Verifies the tokens of one scope.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    pub(crate) scope: Arc<str>,
    pub(crate) key: PublicKey,
    pub(crate) crypto: Arc<CryptoProvider>,
    pub(crate) workload: Workload,
}

impl Verify for Verifier {
    fn verify(&self, token: &str, now: (SystemTime, Instant)) -> Result<BreakGlass, String> {
        self.grant(token, now).map_err(|why| why.to_string())
    }
}

impl Verifier {
    fn grant(&self, token: &str, now: (SystemTime, Instant)) -> Result<BreakGlass, Invalid> {
        let payload = token::payload(token, &self.key, &self.crypto)?;
        grant::grant(&payload, (&self.scope, &self.workload), now)
    }
}
