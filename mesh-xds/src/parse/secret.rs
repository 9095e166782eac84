//! `Secret` to what handshakes present, or whom they trust (SDS).

use std::fmt;

use mesh_core::identity::Material;

use super::{Path, Registry, Reject};

/// Reads secrets. It takes cryptography to see whether a key is that of its certificate, so whoever
/// has some hands one of these to the [`Registry`].
pub trait SecretReader: Send + Sync + fmt::Debug {
    /// What the encoded `Secret` in `raw` gives: an identity or authorities, never both.
    ///
    /// # Errors
    /// [`Reject`] says which field cannot be used, and never what is in it.
    fn read(&self, raw: &[u8]) -> Result<Material, Reject>;
}

/// What the secret in `raw` gives.
///
/// # Errors
/// As [`SecretReader::read`]; all secrets are refused where nothing reads them.
pub fn parse(raw: &[u8], registry: &Registry) -> Result<Material, Reject> {
    match registry.secret_reader() {
        Some(reader) => reader.read(raw),
        None => Err(Path::root().reject("secrets are not supported without TLS")),
    }
}
