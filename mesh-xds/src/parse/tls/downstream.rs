//! `DownstreamTlsContext` to [`ServerTls`].

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::downstream_tls_context::OcspStaplePolicy;
use mesh_core::identity::{ClientRules, Clients, ServerTls};
use mesh_core::listener::Spoken;

use super::common;
use crate::parse::{Path, Registry, Reject};

pub(super) fn tls(
    message: &DownstreamTlsContext,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<ServerTls, Reject> {
    if message.require_sni.is_some_and(|required| required.value) {
        return Err(path.field("require_sni").reject("is not supported"));
    }
    if message.ocsp_staple_policy != i32::from(OcspStaplePolicy::LenientStapling) {
        return Err(path.field("ocsp_staple_policy").reject("is not LENIENT_STAPLING"));
    }
    let requires = message.require_client_certificate.is_some_and(|required| required.value);
    let required_at = path.field("require_client_certificate");
    let path = path.field("common_tls_context");
    let common = message.common_tls_context.as_ref().ok_or_else(|| path.reject("is required"))?;
    common::check(common, &path)?;
    let missing = || path.field("tls_certificate_provider_instance").reject("is required");
    let identity = common::identity(common, registry, &path)?.ok_or_else(missing)?;
    let clients = match common::validation(common, &path)? {
        None if requires => return Err(required_at.reject("needs a validation context")),
        None => Clients::Anonymous,
        Some(validation) => {
            let authorities = validation.authorities(registry, &path)?;
            let authorities = authorities.ok_or_else(|| validation.missing(&path))?;
            let accepted = validation.accepted(&path)?;
            let rules = ClientRules { authorities, accepted };
            if requires { Clients::Required(rules) } else { Clients::Optional(rules) }
        }
    };
    let protocols = protocols(&common.alpn_protocols, &path)?;
    Ok(ServerTls { identity, clients, protocols })
}

/// gRPC ignores `alpn_protocols`. Here they make it possible to speak with Istio's sidecars by the
/// names that those have; what is not spoken here is left out.
fn protocols(names: &[String], path: &Path<'_>) -> Result<Box<[Arc<str>]>, Reject> {
    for (at, name) in names.iter().enumerate() {
        if !(1..256).contains(&name.len()) {
            return Err(path.element("alpn_protocols", at).reject("is not 1 to 255 bytes long"));
        }
    }
    let is_spoken = |name: &&String| Spoken::by(name.as_bytes()).is_some();
    Ok(names.iter().filter(is_spoken).map(|name| name.as_str().into()).collect())
}
