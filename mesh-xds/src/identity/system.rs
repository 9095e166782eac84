//! The authorities that the operating system trusts (gRFC A82).

use std::sync::Arc;

use mesh_core::identity::{Feed, Material, Trust};

/// The operating system's authorities, as they are now.
pub(super) fn source() -> Feed {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "an authority of the operating system cannot be read");
    }
    if found.certs.is_empty() {
        return Feed::empty("the operating system has no authorities");
    }
    let all = found.certs.iter().map(|der| Arc::from(der.as_ref())).collect();
    Feed::of(Material { identity: None, trust: Trust::Authorities(all), crls: Vec::new() })
}
