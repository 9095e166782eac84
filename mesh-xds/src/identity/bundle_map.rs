//! The file that names the authorities of each SPIFFE trust domain (gRFC A87).

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_core::identity::TrustDomain;
use serde_json::Value;

use crate::tls::is_certificate;

/// The authorities of one trust domain (DER).
pub type Bundle = Vec<Arc<[u8]>>;

/// The authorities in the JSON text `json`, by trust domain.
///
/// A bundle with anything wrong in it is left out as a whole, so its trust domain is not trusted;
/// the others count. What is wrong with it is in the second list.
///
/// # Errors
/// When the text is no JSON, names no trust domains, or has one whose name cannot be one's.
pub fn parse(json: &[u8]) -> Result<(BTreeMap<TrustDomain, Bundle>, Vec<String>), String> {
    let value: Value = serde_json::from_slice(json).map_err(|error| format!("no JSON: {error}"))?;
    let domains = value.get("trust_domains").and_then(Value::as_object);
    let domains = domains.ok_or("trust_domains is missing, or is no object")?;
    let (mut bundles, mut faults) = (BTreeMap::new(), Vec::new());
    for (name, bundle) in domains {
        let domain =
            TrustDomain::parse(name).map_err(|error| format!("trust domain {name:?}: {error}"))?;
        match read(bundle) {
            Ok(bundle) => drop(bundles.insert(domain, bundle)),
            Err(why) => faults.push(format!("trust domain {name}: {why}")),
        }
    }
    Ok((bundles, faults))
}

fn read(bundle: &Value) -> Result<Bundle, String> {
    let sequence = bundle.get("spiffe_sequence");
    if sequence.is_some_and(|sequence| !sequence.is_null() && sequence.as_u64().is_none()) {
        return Err("spiffe_sequence is no number".into());
    }
    let keys = bundle.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or("keys is missing, or is no list")?;
    keys.iter()
        .enumerate()
        .map(|(at, key)| authority(key).map_err(|why| format!("keys[{at}]: {why}")))
        .collect()
}

fn authority(key: &Value) -> Result<Arc<[u8]>, String> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    match text("kty") {
        Some("RSA" | "EC") => {}
        _ => return Err("kty is neither RSA nor EC".into()),
    }
    if text("use") != Some("x509-svid") {
        return Err("use is not x509-svid".into());
    }
    let certificates = key.get("x5c").and_then(Value::as_array).map(Vec::as_slice);
    let Some([certificate]) = certificates else {
        return Err("x5c has not exactly one certificate".into());
    };
    let encoded = certificate.as_str().ok_or("x5c[0] is no string")?;
    let der = STANDARD.decode(encoded).map_err(|_| "x5c[0] is not base64")?;
    if !is_certificate(&der) {
        return Err("x5c[0] is no certificate".into());
    }
    Ok(der.into())
}
