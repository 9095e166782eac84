use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3 as lds;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{SetCurrentClientCertDetails as Details, UpgradeConfig};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as pb;
use envoy_types::pb::google::protobuf;
use mesh_core::cluster::Address;
use mesh_core::filter::{ConnectionFactory, ConnectionFilter, Denial};
use mesh_core::identity::{Clients, ForwardMode, Forwarded, Peer, ServerTls};
use mesh_core::listener::{Connection, Transport};
use mesh_core::request::{EscapedSlashes, Paths};
use mesh_core::snapshot::{Connections, Inspection, Underscores};
use prost::{Message, Name};

use super::{registry, text};
use crate::fixtures::{
    address, any, filter_chain, http_filter, manager, network_filter, rds, router, served,
    server_listener, u32v,
};
use crate::parse::Reject;
use crate::parse::listener::{Listener, RouteSource, ServerListener};

/// Admits nobody.
#[derive(Debug)]
struct Gate;

impl ConnectionFilter for Gate {
    fn admit(&self, _: &Peer) -> Result<(), Denial> {
        Err(Denial::new("gate"))
    }
}

impl ConnectionFactory for Gate {
    fn type_url(&self) -> &str {
        "type.googleapis.com/test.Gate"
    }

    fn build(&self, message: &[u8]) -> Result<Arc<dyn ConnectionFilter>, String> {
        if message.is_empty() { Ok(Arc::new(Gate)) } else { Err("is broken".into()) }
    }
}

fn parse(message: &lds::Listener) -> Result<Arc<ServerListener>, Reject> {
    let mut registry = registry();
    registry.add_connection_filter(Arc::new(Gate));
    match crate::parse::listener::parse(&message.encode_to_vec(), &registry)? {
        Listener::Server(server) => Ok(server),
        Listener::Client(client) => panic!("{client:?}"),
    }
}

/// A listener with one chain.
fn one() -> lds::Listener {
    server_listener("l", "10.0.0.1:80", [served()])
}

/// Where a listener is refused that is changed by `change`.
fn path(change: impl FnOnce(&mut lds::Listener)) -> String {
    let mut message = one();
    change(&mut message);
    parse(&message).unwrap_err().path.into()
}

/// The same for the match of its only chain.
fn match_path(change: impl FnOnce(&mut lds::FilterChainMatch)) -> String {
    let path = path(|l| change(l.filter_chains[0].filter_chain_match.as_mut().unwrap()));
    path.strip_prefix("filter_chains[0].filter_chain_match.").unwrap().to_owned()
}

/// The bounds that the chain's connection manager, changed by `change`, sets; or where it is refused.
fn managed(change: impl FnOnce(&mut hcm::HttpConnectionManager)) -> Result<Connections, String> {
    let mut manager = manager(served());
    change(&mut manager);
    let mut message = one();
    message.filter_chains[0].filters = filter_chain(&manager).filters;
    let listener = parse(&message).map_err(|reject| {
        let path = reject.path.strip_prefix("filter_chains[0].filters[0].typed_config.");
        path.unwrap().to_owned()
    })?;
    Ok(listener.chains[0].connections.clone())
}

#[test]
fn managers_may_rewrite_paths() {
    let mut manager = manager(served());
    let mut read = |change: fn(&mut hcm::HttpConnectionManager)| {
        change(&mut manager);
        let mut message = one();
        message.filter_chains[0].filters = filter_chain(&manager).filters;
        parse(&message).unwrap().chains[0].paths
    };
    assert_eq!(read(|_| {}), Paths::default());
    let paths = read(|m| {
        (m.normalize_path, m.merge_slashes) = (yes(), true);
        m.path_with_escaped_slashes_action = 4;
    });
    let escaped_slashes = EscapedSlashes::Unescape;
    assert_eq!(paths, Paths { escaped_slashes, normalize: true, merge_slashes: true });
}

fn yes() -> Option<protobuf::BoolValue> {
    Some(protobuf::BoolValue { value: true })
}

#[test]
fn a_listener_is_an_address_and_chains() {
    let mut message = server_listener("l", "[::]:8080", [rds("r"), served()]);
    message.address = Some(core::Address {
        address: Some(core::address::Address::SocketAddress(core::SocketAddress {
            address: "::".into(),
            port_specifier: Some(core::socket_address::PortSpecifier::PortValue(8080)),
            ..Default::default()
        })),
    });
    message.default_filter_chain = Some(filter_chain(&manager(rds("d"))));
    let found = parse(&message).unwrap();
    assert_eq!(found.address.to_string(), "[::]:8080");
    assert_eq!(found.inspection, Inspection::Addresses);
    assert_eq!((found.chains.len(), found.all_chains().count()), (2, 3));
    assert!(matches!(&found.chains[0].routes, RouteSource::Rds(name) if name.as_str() == "r"));
    assert!(matches!(&found.chains[1].routes, RouteSource::Inline(_)));
    let names = Listener::Server(found.clone()).route_names();
    assert_eq!(names.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["r", "d"]);
    let pipe = core::Pipe { path: "/run/x".into(), mode: 0 };
    message.address = Some(core::Address { address: Some(core::address::Address::Pipe(pipe)) });
    assert_eq!(parse(&message).unwrap().address, Address::Unix("/run/x".into()));
}

#[test]
fn broken_listeners_are_rejected() {
    assert_eq!(path(|l| l.address = None), "address");
    assert_eq!(path(|l| l.address = Some(address("host:80"))), "address.socket_address.address");
    let udp = |l: &mut lds::Listener| {
        if let Some(core::address::Address::SocketAddress(socket)) =
            l.address.as_mut().and_then(|a| a.address.as_mut())
        {
            socket.protocol = 1;
        }
    };
    assert_eq!(path(udp), "address.socket_address.protocol");
    assert_eq!(path(|l| l.use_original_dst = yes()), "use_original_dst");
    assert_eq!(path(|l| l.filter_chain_matcher = Some(Default::default())), "filter_chain_matcher");
    assert_eq!(path(|l| l.filter_chains.clear()), "filter_chains");
    assert_eq!(
        path(|l| l.filter_chains.push(l.filter_chains[0].clone())),
        "filter_chains[1].filter_chain_match"
    );
    let socket = Some(core::TransportSocket::default());
    assert_eq!(
        path(|l| l.filter_chains[0].transport_socket = socket),
        "filter_chains[0].transport_socket.name"
    );
    assert_eq!(
        path(|l| l.default_filter_chain = Some(lds::FilterChain::default())),
        "default_filter_chain.filters"
    );
}

fn listener_filter(kind: &str) -> lds::ListenerFilter {
    lds::ListenerFilter {
        name: "f".into(),
        config_type: Some(lds::listener_filter::ConfigType::TypedConfig(any(kind, &()))),
        ..Default::default()
    }
}

fn inspector() -> lds::ListenerFilter {
    listener_filter("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector")
}

#[test]
fn only_the_tls_inspector_may_look_into_connections() {
    let inspector = inspector();
    let mut message = one();
    message.listener_filters = vec![inspector.clone()];
    assert_eq!(parse(&message).unwrap().inspection, Inspection::FirstByte);
    let other = listener_filter("envoy.extensions.filters.listener.original_dst.v3.OriginalDst");
    assert_eq!(
        path(|l| l.listener_filters = vec![inspector.clone(), other]),
        "listener_filters[1].typed_config"
    );
    let bare = lds::ListenerFilter { config_type: None, ..inspector.clone() };
    assert_eq!(path(|l| l.listener_filters = vec![bare]), "listener_filters[0]");
    let some = lds::ListenerFilter { filter_disabled: Some(Default::default()), ..inspector };
    assert_eq!(path(|l| l.listener_filters = vec![some]), "listener_filters[0].filter_disabled");
}

#[test]
fn chains_that_never_match_are_left_out() {
    let port = |l: &mut lds::FilterChainMatch| l.destination_port = u32v(80);
    let names = |l: &mut lds::FilterChainMatch| l.server_names = vec!["a".into()];
    let protocols = |l: &mut lds::FilterChainMatch| l.application_protocols = vec!["h2".into()];
    let transport = |l: &mut lds::FilterChainMatch| l.transport_protocol = "quic".into();
    let changes: [fn(&mut lds::FilterChainMatch); 4] = [port, names, protocols, transport];
    for change in changes {
        let mut message = one();
        change(message.filter_chains[0].filter_chain_match.as_mut().unwrap());
        assert_eq!(&*parse(&message).unwrap_err().path, "filter_chains");
        message.default_filter_chain = Some(filter_chain(&manager(rds("d"))));
        let found = parse(&message).unwrap();
        assert!(found.chains.is_empty() && found.default.is_some());
    }
}

#[test]
fn what_a_handshake_begins_with_matches_where_it_is_looked_at() {
    let mut message = one();
    message.listener_filters = vec![inspector()];
    let matched = message.filter_chains[0].filter_chain_match.as_mut().unwrap();
    matched.server_names = vec!["*.Example".into()];
    matched.application_protocols = vec!["h2".into()];
    let found = parse(&message).unwrap();
    assert_eq!((found.inspection, found.chains.len()), (Inspection::ClientHello, 1));
    let broken = |names: &[&str]| {
        let mut message = message.clone();
        let matched = message.filter_chains[0].filter_chain_match.as_mut().unwrap();
        matched.server_names = names.iter().map(|name| (*name).into()).collect();
        String::from(parse(&message).unwrap_err().path)
    };
    assert_eq!(broken(&["a", "*"]), "filter_chains[0].filter_chain_match.server_names[1]");
}

#[test]
fn chains_are_secured_by_certificate_providers() {
    let tls = |provider: &str| {
        let instance = pb::CertificateProviderPluginInstance {
            instance_name: provider.into(),
            ..Default::default()
        };
        let common = pb::CommonTlsContext {
            tls_certificate_provider_instance: Some(instance),
            alpn_protocols: ["istio-h2", "istio-peer-exchange", "h2"].map(Into::into).into(),
            ..Default::default()
        };
        let context =
            pb::DownstreamTlsContext { common_tls_context: Some(common), ..Default::default() };
        let any = any(&pb::DownstreamTlsContext::full_name(), &context);
        let config_type = Some(core::transport_socket::ConfigType::TypedConfig(any));
        core::TransportSocket { name: "envoy.transport_sockets.tls".into(), config_type }
    };
    let secured = |provider: &str| {
        let mut message = one();
        message.filter_chains[0].transport_socket = Some(tls(provider));
        let registry = registry().certificate_providers(["default".into()]);
        crate::parse::listener::parse(&message.encode_to_vec(), &registry)
    };
    let Listener::Server(found) = secured("default").unwrap() else { panic!("a client's") };
    let expect = ServerTls {
        identity: "default".into(),
        clients: Clients::Anonymous,
        protocols: ["istio-h2".into(), "h2".into()].into(),
    };
    assert_eq!(found.chains[0].security.as_deref(), Some(&expect));
    let reject = secured("other").unwrap_err();
    assert!(reject.path.starts_with("filter_chains[0].transport_socket.typed_config."));
    let plain = parse(&one()).unwrap();
    assert_eq!(plain.chains[0].security, None);
}

#[test]
fn managers_say_what_becomes_of_forwarded_certificates() {
    let forwarded = |mode: i32, details: Option<Details>| {
        let mut manager = manager(served());
        manager.forward_client_cert_details = mode;
        manager.set_current_client_cert_details = details;
        let mut message = one();
        message.filter_chains[0].filters = filter_chain(&manager).filters;
        let listener = parse(&message).map_err(|reject| {
            let path = reject.path.strip_prefix("filter_chains[0].filters[0].typed_config.");
            path.unwrap().to_owned()
        })?;
        Ok::<_, String>(listener.chains[0].forwarded.clone())
    };
    assert_eq!(forwarded(0, None), Ok(Forwarded::default()));
    for (mode, expect) in [
        (1, ForwardMode::ForwardOnly),
        (2, ForwardMode::AppendForward),
        (3, ForwardMode::SanitizeSet),
        (4, ForwardMode::AlwaysForwardOnly),
    ] {
        let details = Details { subject: yes(), uri: true, dns: true, ..Default::default() };
        let expect =
            Forwarded { mode: expect, subject: true, uri: true, dns: true, ..Forwarded::default() };
        assert_eq!(forwarded(mode, Some(details)), Ok(expect));
    }
    assert_eq!(forwarded(5, None).unwrap_err(), "forward_client_cert_details");
    let cert = Details { cert: true, ..Default::default() };
    let expect = Forwarded { cert: true, ..Forwarded::default() };
    assert_eq!(forwarded(0, Some(cert)), Ok(expect));
    let chain = Details { chain: true, ..Default::default() };
    let expect = Forwarded { chain: true, ..Forwarded::default() };
    assert_eq!(forwarded(0, Some(chain)), Ok(expect));
}

#[test]
fn matches_are_read_as_they_are_meant() {
    let range = |prefix: &str, length: Option<u32>| core::CidrRange {
        address_prefix: prefix.into(),
        prefix_len: length.and_then(u32v),
    };
    let mut message = one();
    message.filter_chains[0].filter_chain_match = Some(lds::FilterChainMatch {
        prefix_ranges: vec![range("10.0.0.0", Some(8)), range("::", None)],
        source_prefix_ranges: vec![range("10.0.0.9", Some(99))],
        source_type: 2,
        transport_protocol: "raw_buffer".into(),
        ..Default::default()
    });
    let found = parse(&message).unwrap();
    let select = |local: &str, remote: &str| {
        let remote = Some((remote.parse().unwrap(), 1));
        let local = Some(local.parse().unwrap());
        found.selector.select(&Connection {
            local,
            remote,
            transport: Transport::Plain,
            hello: None,
        })
    };
    assert_eq!(select("10.1.1.1", "10.0.0.9"), Some(0));
    assert_eq!(select("::9", "10.0.0.9"), Some(0));
    assert_eq!(select("11.1.1.1", "10.0.0.9"), None);
    assert_eq!(select("10.1.1.1", "10.0.0.8"), None);
    let broken = range("host", None);
    assert_eq!(
        match_path(|m| m.prefix_ranges = vec![range("10.0.0.0", None), broken.clone()]),
        "prefix_ranges[1].address_prefix"
    );
    assert_eq!(
        match_path(|m| m.source_prefix_ranges = vec![broken]),
        "source_prefix_ranges[0].address_prefix"
    );
    assert_eq!(match_path(|m| m.source_type = 3), "source_type");
    assert_eq!(match_path(|m| m.source_ports = vec![1, 65_536]), "source_ports[1]");
    assert_eq!(
        match_path(|m| m.direct_source_prefix_ranges = vec![range("::", None)]),
        "direct_source_prefix_ranges"
    );
}

#[test]
fn the_connection_manager_is_the_last_filter_and_the_only_one() {
    let chain = filter_chain(&manager(served()));
    let manager_filter = chain.filters[0].clone();
    let gate = network_filter("gate", any("test.Gate", &()));
    let mut message = one();
    message.filter_chains[0].filters = vec![gate.clone(), manager_filter.clone()];
    let found = parse(&message).unwrap();
    assert!(found.chains[0].connection_filters[0].admit(&Peer::default()).is_err());
    let filters = |filters: Vec<lds::Filter>| path(|l| l.filter_chains[0].filters = filters);
    let at = |n: usize, field: &str| format!("filter_chains[0].filters[{n}].{field}");
    assert_eq!(filters(vec![]), "filter_chains[0].filters");
    assert_eq!(filters(vec![manager_filter.clone(), gate.clone()]), at(0, "typed_config"));
    let second = lds::Filter { name: "second".into(), ..manager_filter.clone() };
    assert_eq!(filters(vec![manager_filter.clone(), second]), at(0, "typed_config"));
    assert_eq!(filters(vec![gate.clone()]), at(0, "typed_config"));
    let unknown = network_filter("u", any("test.Unknown", &()));
    assert_eq!(filters(vec![unknown, manager_filter.clone()]), at(0, "typed_config"));
    let broken = network_filter("b", text("x"));
    assert_eq!(filters(vec![broken, manager_filter.clone()]), at(0, "typed_config"));
    let wrong = any("test.Gate", &protobuf::StringValue { value: "x".into() });
    let wrong = network_filter("w", wrong);
    assert_eq!(filters(vec![wrong, manager_filter.clone()]), at(0, "typed_config"));
    let bare = lds::Filter { config_type: None, ..gate.clone() };
    assert_eq!(filters(vec![bare, manager_filter.clone()]), at(0, "typed_config"));
    let unnamed = lds::Filter { name: String::new(), ..gate.clone() };
    assert_eq!(filters(vec![unnamed, manager_filter.clone()]), at(0, "name"));
    assert_eq!(filters(vec![gate.clone(), gate, manager_filter]), at(1, "name"));
}

#[test]
fn filters_of_the_other_side_are_unknown() {
    let client = http_filter("c", any("test.ClientText", &()));
    let refused = managed(|m| m.http_filters = vec![client.clone(), router()]);
    assert_eq!(refused.unwrap_err(), "http_filters[0].typed_config");
    let optional = hcm::HttpFilter { is_optional: true, ..client };
    assert!(managed(|m| m.http_filters = vec![optional, router()]).is_ok());
}

fn upgrade() -> UpgradeConfig {
    UpgradeConfig { upgrade_type: "websocket".into(), ..Default::default() }
}

#[test]
fn managers_set_bounds_and_may_not_rewrite() {
    let seconds = |seconds| Some(protobuf::Duration { seconds, nanos: 0 });
    let keepalive = core::KeepaliveSettings { interval: seconds(9), ..Default::default() };
    let bounds = managed(|m| {
        m.common_http_protocol_options = Some(core::HttpProtocolOptions {
            idle_timeout: seconds(3),
            max_connection_duration: seconds(4),
            max_headers_count: u32v(6),
            headers_with_underscores_action: 2,
            ..Default::default()
        });
        // As Istio sends it.
        m.upgrade_configs = vec![upgrade()];
        m.request_headers_timeout = seconds(5);
        m.max_request_headers_kb = u32v(8);
        m.http2_protocol_options = Some(core::Http2ProtocolOptions {
            max_concurrent_streams: u32v(7),
            connection_keepalive: Some(keepalive),
            ..Default::default()
        });
    });
    let bounds = bounds.unwrap();
    let all = [bounds.idle_timeout, bounds.max_age, bounds.header_timeout];
    assert_eq!(all.map(|bound| bound.unwrap().as_secs()), [3, 4, 5]);
    assert_eq!((bounds.max_header_bytes, bounds.max_concurrent_streams), (Some(8192), Some(7)));
    assert_eq!(bounds.keepalive.unwrap().interval.as_secs(), 9);
    assert_eq!((bounds.max_header_fields, bounds.underscores), (Some(6), Underscores::Drop));
    type Change = fn(&mut hcm::HttpConnectionManager);
    let table: [(&str, Change); 15] = [
        ("codec_type", |m| m.codec_type = 3),
        ("path_with_escaped_slashes_action", |m| m.path_with_escaped_slashes_action = 9),
        ("early_header_mutation_extensions", |m| {
            m.early_header_mutation_extensions = vec![Default::default()];
        }),
        ("path_normalization_options", |m| {
            m.path_normalization_options = Some(Default::default());
        }),
        ("strip_matching_host_port", |m| m.strip_matching_host_port = true),
        ("strip_port_mode", |m| {
            m.strip_port_mode =
                Some(hcm::http_connection_manager::StripPortMode::StripAnyHostPort(true));
        }),
        ("strip_trailing_host_dot", |m| m.strip_trailing_host_dot = true),
        ("max_request_headers_kb", |m| m.max_request_headers_kb = u32v(0)),
        ("http2_protocol_options.max_concurrent_streams", |m| {
            m.http2_protocol_options = Some(core::Http2ProtocolOptions {
                max_concurrent_streams: u32v(0),
                ..Default::default()
            });
        }),
        ("common_http_protocol_options.max_headers_count", |m| {
            m.common_http_protocol_options = Some(core::HttpProtocolOptions {
                max_headers_count: u32v(0),
                ..Default::default()
            });
        }),
        ("common_http_protocol_options.headers_with_underscores_action", |m| {
            m.common_http_protocol_options = Some(core::HttpProtocolOptions {
                headers_with_underscores_action: 9,
                ..Default::default()
            });
        }),
        ("upgrade_configs[1].enabled", |m| {
            let enabled = Some(protobuf::BoolValue { value: false });
            m.upgrade_configs = vec![upgrade(), UpgradeConfig { enabled, ..upgrade() }];
        }),
        ("upgrade_configs[0].filters", |m| {
            m.upgrade_configs = vec![UpgradeConfig { filters: vec![router()], ..upgrade() }];
        }),
        ("xff_num_trusted_hops", |m| m.xff_num_trusted_hops = 1),
        ("original_ip_detection_extensions", |m| {
            m.original_ip_detection_extensions = vec![Default::default()];
        }),
    ];
    for (field, change) in table {
        assert_eq!(managed(change).unwrap_err(), field);
    }
}
