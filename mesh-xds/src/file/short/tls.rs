//! TLS at servers, and towards endpoints.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::{
    Filter, FilterChain, FilterChainMatch, Listener, ListenerFilter, listener_filter,
};
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as pb;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::google::protobuf::{Any, BoolValue};

use super::service::any;
use crate::file::policy::Mode;

/// Puts chains of `filters` into `listener` for connections with or without TLS, as `mode` says.
/// Servers show the certificate of `identity` and ask clients for one of its authorities.
pub(super) fn chains(listener: &mut Listener, mode: Mode, identity: &str, filters: Vec<Filter>) {
    let plain = FilterChain { filters, ..Default::default() };
    let secured = || FilterChain { transport_socket: Some(socket(identity)), ..plain.clone() };
    match mode {
        Mode::Disable => listener.default_filter_chain = Some(plain),
        Mode::Strict => listener.default_filter_chain = Some(secured()),
        Mode::Permissive => {
            listener.filter_chains = vec![matched(secured(), "tls"), matched(plain, "raw_buffer")];
            listener.listener_filters = vec![ListenerFilter {
                name: "tls_inspector".to_owned(),
                config_type: Some(listener_filter::ConfigType::TypedConfig(any(
                    &TlsInspector::default(),
                ))),
                ..Default::default()
            }];
        }
    }
}

fn matched(chain: FilterChain, transport: &str) -> FilterChain {
    let found = FilterChainMatch { transport_protocol: transport.to_owned(), ..Default::default() };
    FilterChain { name: transport.to_owned(), filter_chain_match: Some(found), ..chain }
}

fn socket(identity: &str) -> TransportSocket {
    let context = pb::DownstreamTlsContext {
        common_tls_context: Some(common(identity, &[])),
        require_client_certificate: Some(BoolValue { value: true }),
        ..Default::default()
    };
    named(any(&context))
}

/// TLS towards endpoints: with the certificate of `identity`, to endpoints of one of its
/// authorities that are one of `peers`, if there are any.
pub(super) fn towards(identity: &str, peers: &[Arc<str>]) -> TransportSocket {
    let common_tls_context = Some(common(identity, peers));
    named(any(&pb::UpstreamTlsContext { common_tls_context, ..Default::default() }))
}

fn common(identity: &str, peers: &[Arc<str>]) -> pb::CommonTlsContext {
    let instance = || {
        let instance_name = identity.to_owned();
        Some(pb::CertificateProviderPluginInstance { instance_name, ..Default::default() })
    };
    let accepted = |id: &Arc<str>| pb::SubjectAltNameMatcher {
        san_type: SanType::Uri.into(),
        matcher: Some(StringMatcher {
            match_pattern: Some(MatchPattern::Exact(id.to_string())),
            ..Default::default()
        }),
        ..Default::default()
    };
    let validation = pb::CertificateValidationContext {
        ca_certificate_provider_instance: instance(),
        match_typed_subject_alt_names: peers.iter().map(accepted).collect(),
        ..Default::default()
    };
    pb::CommonTlsContext {
        tls_certificate_provider_instance: instance(),
        validation_context_type: Some(ValidationContextType::ValidationContext(validation)),
        ..Default::default()
    }
}

fn named(context: Any) -> TransportSocket {
    TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(ConfigType::TypedConfig(context)),
    }
}
