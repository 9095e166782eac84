//! A signed token (JWS in its compact form), verified.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{SubjectPublicKeyInfoDer, alg_id};
use serde_json::Value;

use super::error::Invalid;

/// The public half of an Ed25519 key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The key in `pem`, which begins with `-----BEGIN PUBLIC KEY-----`.
    ///
    /// # Errors
    /// [`Invalid::Key`] when there is none, or it is of another kind.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Invalid> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| Invalid::Key)?;
        let key = der.strip_prefix(ED25519_INFO).ok_or(Invalid::Key)?;
        key.try_into().map(Self).map_err(|_| Invalid::Key)
    }
}

/// The payload of `token`, if its signature is one of `key`.
pub(super) fn payload(
    token: &str,
    key: &PublicKey,
    crypto: &CryptoProvider,
) -> Result<String, Invalid> {
    if token.len() > MAX_TOKEN {
        return Err(Invalid::Malformed("it is too long"));
    }
    let malformed = Invalid::Malformed("it is not three parts in base64url");
    let (signed, signature) = token.rsplit_once('.').ok_or(malformed.clone())?;
    let (header, payload) = signed.split_once('.').ok_or(malformed.clone())?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed.clone());
    let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
    check_header(&header)?;
    let is_ours = |algorithm: &&&dyn rustls::pki_types::SignatureVerificationAlgorithm| {
        algorithm.public_key_alg_id() == alg_id::ED25519
    };
    let algorithm = crypto.signature_verification_algorithms.all.iter().find(is_ours);
    let algorithm = algorithm.ok_or(Invalid::Cryptography)?;
    let verified = algorithm.verify_signature(&key.0, signed.as_bytes(), &signature);
    verified.map_err(|_| Invalid::Signature)?;
    String::from_utf8(payload).map_err(|_| Invalid::Malformed("its claims are not UTF-8"))
}

/// One algorithm and nothing else: what a header may say of keys and extensions is for others to
/// be fooled by.
fn check_header(header: &[u8]) -> Result<(), Invalid> {
    let malformed = Invalid::Malformed("its header is not a JSON object");
    let Ok(Value::Object(header)) = serde_json::from_slice(header) else { return Err(malformed) };
    if header.get("alg").and_then(Value::as_str) != Some("EdDSA") {
        return Err(Invalid::Malformed("its algorithm is not EdDSA"));
    }
    match header.keys().all(|key| ["alg", "typ", "kid"].contains(&key.as_str())) {
        true => Ok(()),
        false => Err(Invalid::Malformed("its header has more than alg, typ and kid")),
    }
}

/// What comes before the 32 bytes of an Ed25519 key in its `SubjectPublicKeyInfo` (RFC 8410).
const ED25519_INFO: &[u8] =
    &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const MAX_TOKEN: usize = 64 << 10;
