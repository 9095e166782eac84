//! Certificates in DER, one after the other, as SPIFFE agents send them.

use std::sync::Arc;

use x509_parser::prelude::{FromDer, X509Certificate};

/// The certificates in `bytes`, of which there must be at least one, and nothing between or after
/// them.
pub(crate) fn certificates(bytes: &[u8]) -> Result<Vec<Arc<[u8]>>, String> {
    let (mut all, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        let (next, _) = X509Certificate::from_der(rest)
            .map_err(|_| format!("no certificate begins at byte {}", bytes.len() - rest.len()))?;
        let (own, _) = rest.split_at(rest.len() - next.len());
        all.push(Arc::from(own));
        rest = next;
    }
    match all.is_empty() {
        true => Err("it has no certificate".to_owned()),
        false => Ok(all),
    }
}
