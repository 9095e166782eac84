use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::Value;
use envoy_types::pb::google::protobuf::value::Kind;
use mesh_core::retry::{Methods, OfRetries, Policy};

use crate::parse::{Path, Reject};

/// The name under which a route's metadata says what of retries has no field in xDS.
pub(crate) const MESH_RETRY: &str = "mesh.retry";

/// Changes `policy` by what the metadata of its route says under [`MESH_RETRY`].
///
/// `path` is the metadata's.
pub(in crate::parse) fn extend(
    policy: Option<&mut Policy>,
    metadata: Option<&Metadata>,
    path: &Path<'_>,
) -> Result<(), Reject> {
    let Some(ours) = metadata.and_then(|it| it.filter_metadata.get(MESH_RETRY)) else {
        return Ok(());
    };
    let path = path.entry("filter_metadata", MESH_RETRY);
    let Some(policy) = policy else { return Err(path.reject("is for routes with a retry_policy")) };
    // In order, so that the same resource is always refused for the same reason.
    let mut fields: Vec<_> = ours.fields.iter().collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    for (name, value) in fields {
        let path = path.entry("fields", name);
        match (&**name, text(value)) {
            ("of_retries", Some("retry")) => policy.of_retries = OfRetries::Retry,
            ("of_retries", Some("once")) => policy.of_retries = OfRetries::Once,
            ("methods", Some("all")) => policy.methods = Methods::All,
            ("methods", Some("idempotent")) => policy.methods = Methods::Idempotent,
            ("of_retries" | "methods", _) => return Err(path.reject("has an unknown value")),
            _ => return Err(path.reject("is unknown")),
        }
    }
    Ok(())
}

fn text(value: &Value) -> Option<&str> {
    if let Some(Kind::StringValue(text)) = &value.kind { Some(text) } else { None }
}
