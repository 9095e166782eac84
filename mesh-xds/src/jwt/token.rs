//! A token, read but not believed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mesh_core::jwt::Failure;
use mesh_core::metadata::{Fields, Value};

use super::algorithm::Algorithm;
use super::json;

/// Bytes of a token at the most. The header fields of a request take no more, as a rule.
const MAX_BYTES: usize = 16 << 10;

/// A token in the compact serialization (RFC 7515), read but not believed.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// The first part.
    pub(super) header: Fields,
    /// The second part.
    pub(super) claims: Fields,
    /// The second part as it was sent.
    pub(super) payload: &'a str,
    /// What the signature is of.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    pub(super) algorithm: Algorithm,
    /// The name of the key.
    pub(super) key: Option<Box<str>>,
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Failure> {
        if text.len() > MAX_BYTES {
            return Err(Failure::Format);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Failure::Format)?;
        let (header, payload) = signed.split_once('.').ok_or(Failure::Format)?;
        if payload.contains('.') {
            return Err(Failure::Format);
        }
        let header = decoded(header).and_then(|it| json::object(&it)).ok_or(Failure::Header)?;
        let algorithm = algorithm(&header)?;
        // Those who know such a field must not ignore it, and those who do not must not either.
        let is_extended = ["crit", "b64", "enc", "zip"].iter().any(|it| header.find(it).is_some());
        if is_extended {
            return Err(Failure::Critical);
        }
        let key = match header.find("kid") {
            None => None,
            Some(Value::String(name)) => Some(name.clone()),
            Some(_) => return Err(Failure::KeyName),
        };
        let claims = decoded(payload).and_then(|it| json::object(&it)).ok_or(Failure::Payload)?;
        let signature = decoded(signature).ok_or(Failure::Format)?;
        let signed = signed.as_bytes();
        Ok(Self { header, claims, payload, signed, signature, algorithm, key })
    }
}

fn algorithm(header: &Fields) -> Result<Algorithm, Failure> {
    match header.find("alg") {
        Some(Value::String(name)) => Algorithm::named(name).ok_or(Failure::UnsupportedAlgorithm),
        Some(_) | None => Err(Failure::Algorithm),
    }
}

/// Without padding and without bits that mean nothing: one value has one text.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}
