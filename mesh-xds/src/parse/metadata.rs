//! `Metadata`.

use envoy_types::pb::envoy::config::core::v3 as core;
use mesh_core::metadata::Metadata;

use super::{Path, Reject};
use crate::proto::fields;

/// The values in `message`. Typed ones are extensions' own, and are left out.
pub(super) fn metadata(
    message: Option<&core::Metadata>,
    path: &Path<'_>,
) -> Result<Metadata, Reject> {
    let mut metadata = Metadata::default();
    let Some(message) = message else { return Ok(metadata) };
    // In order, so that the same resource is always refused for the same reason.
    let mut namespaces: Vec<_> = message.filter_metadata.iter().collect();
    namespaces.sort_unstable_by_key(|(name, _)| *name);
    for (name, content) in namespaces {
        let refuse = |why| path.entry("filter_metadata", name).reject(why);
        metadata.add(name, fields(content)).map_err(refuse)?;
    }
    Ok(metadata)
}
