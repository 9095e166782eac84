//! What the client says, in one form for both variants.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use envoy_types::pb::google::rpc::Status;

use crate::name::ResourceType;

const INVALID_ARGUMENT: i32 = 3;

/// A message to the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// For `StreamAggregatedResources`.
    StateOfTheWorld(DiscoveryRequest),
    /// For `DeltaAggregatedResources`.
    Incremental(DeltaDiscoveryRequest),
}

/// What both variants have in common.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) kind: ResourceType,
    /// Only in the first request of a stream.
    pub(super) node: Option<Node>,
    pub(super) nonce: String,
    /// Why the response with this nonce is rejected.
    pub(super) rejection: Option<String>,
}

impl Envelope {
    /// Asks for exactly `names`, having accepted `version`.
    pub(super) fn state_of_the_world(self, version: String, names: Vec<String>) -> Request {
        Request::StateOfTheWorld(DiscoveryRequest {
            version_info: version,
            node: self.node,
            resource_names: names,
            type_url: self.kind.type_url().to_owned(),
            response_nonce: self.nonce,
            error_detail: self.rejection.map(error_detail),
            ..DiscoveryRequest::default()
        })
    }

    /// Asks for `subscribe` as well, and no longer for `unsubscribe`, having `versions`.
    pub(super) fn incremental(
        self,
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        versions: HashMap<String, String>,
    ) -> Request {
        Request::Incremental(DeltaDiscoveryRequest {
            node: self.node,
            type_url: self.kind.type_url().to_owned(),
            resource_names_subscribe: subscribe,
            resource_names_unsubscribe: unsubscribe,
            initial_resource_versions: versions,
            response_nonce: self.nonce,
            error_detail: self.rejection.map(error_detail),
            ..DeltaDiscoveryRequest::default()
        })
    }
}

fn error_detail(message: String) -> Status {
    Status { code: INVALID_ARGUMENT, message, details: Vec::new() }
}
