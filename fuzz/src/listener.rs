//! Listeners of either side, and how they are secured.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType, EdsClusterConfig,
};
use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::config::core::v3::{
    AggregatedConfigSource, ConfigSource, TransportSocket,
};
use envoy_types::pb::envoy::config::listener::v3::Listener as Message;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
use envoy_types::pb::google::protobuf::Any;
use mesh_core::identity::Clients;
use mesh_core::listener::{Connection, Hello, Transport};
use mesh_xds::parse::listener::{Listener, ServerListener};
use mesh_xds::parse::{self, Path, Registry};
use prost::Message as _;

/// The input is a listener. Which chain of a server's listener a connection gets does not depend on
/// the order of the chains.
pub(crate) fn listeners(input: &[u8]) {
    let registry = Registry::default().any_certificate_provider();
    let Ok(listener) = parse::listener::parse(input, &registry) else { return };
    drop(listener.route_names());
    let Listener::Server(_) = listener else { return };
    let mut message = Message::decode(input).expect("the parser has read it");
    for (at, chain) in message.filter_chains.iter_mut().enumerate() {
        chain.name = at.to_string();
    }
    let parse =
        |message: &Message| match parse::listener::parse(&message.encode_to_vec(), &registry) {
            Ok(Listener::Server(server)) => server,
            other => {
                panic!("a good listener with its chains renamed or turned around is {other:?}")
            }
        };
    let straight = parse(&message);
    message.filter_chains.reverse();
    let turned = parse(&message);
    let hello = Hello {
        server_name: Some("a.example.com".into()),
        protocols: vec![b"istio".to_vec().into(), b"h2".to_vec().into()],
    };
    for connection in connections(&hello) {
        let found = chosen(&straight, &connection);
        assert_eq!(found, chosen(&turned, &connection), "{connection:?}");
        assert_eq!(found, chosen(&straight, &connection), "{connection:?}");
    }
}

fn chosen<'a>(listener: &'a ServerListener, connection: &Connection<'_>) -> Option<&'a str> {
    let at = listener.selector.select(connection)?;
    Some(&listener.chains.get(at).expect("a chain that is there is chosen").name)
}

fn connections(hello: &Hello) -> Vec<Connection<'_>> {
    let address = |text: &str| text.parse().expect("the address is good");
    let mut all = Vec::new();
    for (local, remote, port) in [
        ("10.0.0.1", "10.0.0.2", 1024),
        ("10.0.0.1", "127.0.0.1", 80),
        ("::1", "2001:db8::1", 65535),
        ("::ffff:10.0.0.1", "192.0.2.1", 1),
    ] {
        for (transport, hello) in [(Transport::Plain, None), (Transport::Tls, Some(hello))] {
            let (local, remote) = (Some(address(local)), Some((address(remote), port)));
            all.push(Connection { local, remote, transport, hello });
        }
    }
    all.push(Connection { local: None, remote: None, transport: Transport::Plain, hello: None });
    all
}

/// The input is the TLS context of a filter chain. Where it wants certificates, they are wanted.
pub(crate) fn downstream(input: &[u8]) {
    let registry = Registry::default().any_certificate_provider();
    let socket = socket("DownstreamTlsContext", input);
    let Ok(found) = parse::tls::downstream(&socket, &registry, &Path::root()) else { return };
    let found = found.expect("what has a TLS context is never plain text");
    let message = DownstreamTlsContext::decode(input).expect("the parser has read it");
    let wanted = message.require_client_certificate.is_some_and(|required| required.value);
    assert_eq!(matches!(found.clients, Clients::Required(_)), wanted);
}

/// The input is the TLS context of a cluster, which is never plain text then.
pub(crate) fn upstream(input: &[u8]) {
    let registry = Registry::default().any_certificate_provider();
    let ads = ConfigSourceSpecifier::Ads(AggregatedConfigSource::default());
    let source = ConfigSource { config_source_specifier: Some(ads), ..Default::default() };
    let cluster = Cluster {
        name: "c".into(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig {
            eds_config: Some(source),
            ..Default::default()
        }),
        transport_socket: Some(socket("UpstreamTlsContext", input)),
        ..Default::default()
    };
    if let Ok(config) = parse::cluster::parse(&cluster.encode_to_vec(), &registry) {
        assert!(format!("{:?}", config.security).contains("Tls("), "{:?}", config.security);
    }
}

fn socket(message: &str, value: &[u8]) -> TransportSocket {
    let package = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3";
    let any = Any { type_url: format!("{package}.{message}"), value: value.to_vec() };
    TransportSocket {
        name: "envoy.transport_sockets.tls".into(),
        config_type: Some(ConfigType::TypedConfig(any)),
    }
}
