//! What is probably not meant in the listener of a server.

use envoy_types::pb::envoy::config::listener::v3::{FilterChain, Listener, filter};
use envoy_types::pb::envoy::config::rbac::v3::rbac::Action;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter;
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};

use super::notes::Lint;
use super::policy::is_everything;
use super::resources::FileResource;

/// What is to be said of `resource`, if it is a listener for a server.
pub(super) fn lint(resource: &FileResource) -> Vec<(Lint, String)> {
    if resource.type_url != Listener::type_url() {
        return Vec::new();
    }
    let Ok(listener) = Listener::decode(&*resource.value) else { return Vec::new() };
    if listener.api_listener.is_some() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let chains = || listener.filter_chains.iter().chain(&listener.default_filter_chain);
    if chains().any(|chain| chain.transport_socket.is_none()) {
        let text = "takes connections in plain text, whose clients nobody knows".to_owned();
        found.push((Lint::PlaintextPermitted, text));
    }
    // Most chains of a listener have the same filters.
    let mut open: Vec<String> = chains().flat_map(open_rules).collect();
    open.sort_unstable();
    open.dedup();
    let each = |name| (Lint::AllowAll, format!("{name} allows everything to everybody"));
    found.extend(open.into_iter().map(each));
    found
}

/// The rules of a chain that allow everything.
fn open_rules(chain: &FilterChain) -> Vec<String> {
    let managers = chain.filters.iter().filter_map(|filter| match &filter.config_type {
        Some(filter::ConfigType::TypedConfig(any)) => unpack::<HttpConnectionManager>(any),
        Some(filter::ConfigType::ConfigDiscovery(_)) | None => None,
    });
    let filters = managers.flat_map(|manager| manager.http_filters);
    let rules = filters.filter_map(|filter| match &filter.config_type {
        Some(http_filter::ConfigType::TypedConfig(any)) => unpack::<Rbac>(any)?.rules,
        Some(http_filter::ConfigType::ConfigDiscovery(_)) | None => None,
    });
    let allowing = rules.filter(|rules| rules.action == i32::from(Action::Allow));
    let policies = allowing.flat_map(|rules| rules.policies);
    policies.filter(|(_, policy)| is_everything(policy)).map(|(name, _)| name).collect()
}

fn unpack<M: Message + Name + Default>(any: &Any) -> Option<M> {
    (any.type_url == M::type_url()).then(|| M::decode(&*any.value).ok()).flatten()
}
