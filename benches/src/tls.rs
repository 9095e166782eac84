//! Identities for both sides of a connection, as files that the processes of a bench share.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use mesh_core::identity::Source;
use mesh_xds::identity::{DevCa, Pem};

use crate::shared::Error;

/// Makes new identities, one for each side.
///
/// # Errors
/// They cannot be written.
pub fn mint() -> Result<(), Error> {
    let authority = DevCa::new("bench")?;
    let directory = directory();
    fs::create_dir_all(&directory)?;
    fs::write(directory.join("roots.pem"), authority.root_pem())?;
    for name in ["client", "server"] {
        let issued = authority.issue(&authority.workload(&format!("/{name}")))?;
        fs::write(directory.join(format!("{name}.pem")), issued.chain_pem())?;
        fs::write(directory.join(format!("{name}.key")), issued.key_pem())?;
    }
    Ok(())
}

/// The identity of a side, and whom it trusts.
///
/// # Errors
/// None was made, or it cannot be read.
pub fn identity(name: &str) -> Result<Arc<dyn Source>, Error> {
    let read = |file: String| fs::read(directory().join(file));
    let (chain, key) = (read(format!("{name}.pem"))?, read(format!("{name}.key"))?);
    let crypto = rustls::crypto::aws_lc_rs::default_provider();
    let pem = Pem::new().identity(chain, key).authorities(read("roots.pem".into())?);
    Ok(pem.source(&crypto)?)
}

/// A transport socket with the identity that resources call `default`.
#[must_use]
pub fn transport_socket(context: &str) -> String {
    let instance = "instance_name: default";
    let demand =
        if context == "DownstreamTlsContext" { "require_client_certificate: true, " } else { "" };
    format!(
        "{{ name: envoy.transport_sockets.tls, typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{context}, {demand}common_tls_context: {{ tls_certificate_provider_instance: {{ {instance} }}, validation_context: {{ ca_certificate_provider_instance: {{ {instance} }} }} }} }} }}"
    )
}

fn directory() -> PathBuf {
    std::env::temp_dir().join("mesh-bench-identities")
}
