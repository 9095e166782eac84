//! What the server sends, in one form for both variants.

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryResponse, DiscoveryResponse, ResourceError,
};

use super::resource::Entry;
use crate::name::ResourceType;

/// A message from the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    /// From `StreamAggregatedResources`.
    StateOfTheWorld(DiscoveryResponse),
    /// From `DeltaAggregatedResources`.
    Incremental(DeltaDiscoveryResponse),
}

/// A response of a known type.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) version: String,
    pub(super) nonce: String,
    pub(super) entries: Vec<Entry>,
    /// What is not among the entries is gone.
    pub(super) is_whole: bool,
    pub(super) removed: Vec<String>,
    pub(super) refused: Vec<ResourceError>,
}

impl Response {
    /// The type URL of the response.
    #[must_use]
    pub fn type_url(&self) -> &str {
        match self {
            Self::StateOfTheWorld(response) => &response.type_url,
            Self::Incremental(response) => &response.type_url,
        }
    }

    pub(super) fn into_contents(self, kind: ResourceType) -> Contents {
        match self {
            Self::StateOfTheWorld(response) => Contents {
                version: response.version_info,
                nonce: response.nonce,
                entries: (response.resources.into_iter())
                    .map(|any| Entry::from_any(kind, any))
                    .collect(),
                is_whole: kind.is_whole_in_response(),
                removed: Vec::new(),
                refused: response.resource_errors,
            },
            Self::Incremental(response) => Contents {
                version: response.system_version_info,
                nonce: response.nonce,
                entries: (response.resources.into_iter())
                    .map(|resource| Entry::from_resource(kind, resource))
                    .collect(),
                is_whole: false,
                removed: (response.removed_resources.into_iter())
                    .chain(response.removed_resource_names.into_iter().map(|name| name.name))
                    .collect(),
                refused: response.resource_errors,
            },
        }
    }
}
