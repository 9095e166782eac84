//! `UpstreamTlsContext` to [`ClientTls`].

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
use mesh_core::identity::{Authorities, ClientTls, ServerName};

use super::common;
use crate::parse::{Path, Registry, Reject};

/// gRFC A101.
const MAX_SNI: usize = 255;

pub(super) fn tls(
    message: &UpstreamTlsContext,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<ClientTls, Reject> {
    let server_name = server_name(message, path)?;
    let path = path.field("common_tls_context");
    let common = message.common_tls_context.as_ref().ok_or_else(|| path.reject("is required"))?;
    common::check(common, &path)?;
    let identity = common::identity(common, registry, &path)?;
    let required = || path.field("validation_context").reject("is required");
    let validation = common::validation(common, &path)?.ok_or_else(required)?;
    let found = validation.authorities(registry, &path)?;
    let accepted = validation.accepted(&path)?;
    let authorities = match found {
        Some(provider) => Authorities::Provider(provider),
        None if validation.wants_system() => Authorities::System,
        None => return Err(validation.missing(&path)),
    };
    let is_named = server_name.must_match && server_name.fixed.is_some();
    if authorities == Authorities::System && accepted.is_empty() && !is_named {
        // They vouch for everybody who has a domain.
        let why = "accepts everybody without match_typed_subject_alt_names, or sni with \
                   auto_sni_san_validation";
        return Err(validation.refuse_system(why, &path));
    }
    Ok(ClientTls { identity, authorities, accepted, server_name })
}

fn server_name(message: &UpstreamTlsContext, path: &Path<'_>) -> Result<ServerName, Reject> {
    let (sni, path) = (&message.sni, path.field("sni"));
    if sni.len() > MAX_SNI {
        return Err(path.reject(format_args!("is longer than {MAX_SNI} bytes")));
    }
    if !sni.is_empty() && !is_host(sni) {
        return Err(path.reject(format_args!("{sni:?} is no DNS name")));
    }
    Ok(ServerName {
        fixed: (!sni.is_empty()).then(|| sni.as_str().into()),
        of_endpoint: message.auto_host_sni,
        must_match: message.auto_sni_san_validation,
    })
}

/// Letters, digits, dashes and underscores, in labels of up to 63.
fn is_host(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.split('.').all(is_label)
}
