//! Makes inputs of the fuzz targets' corpus from files of resources:
//! `cargo run -p mesh-tests --bin fuzz-seeds -- FILE...`, from the root.
//!
//! Resources are taken apart: what is packed in them (filters, TLS contexts) are inputs, too.

use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::hash::{Hash, Hasher};
use std::path::Path;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType as Socket;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType as NetworkFilter;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType as HttpFilter;
use envoy_types::pb::google::protobuf::Any;
use mesh_xds::name::ResourceType;
use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    for file in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&file)?;
        write("files", text.as_bytes())?;
        for resource in mesh_xds::file::parse(&text, Path::new(&file))? {
            let folder = match ResourceType::from_url(&resource.type_url) {
                Some(ResourceType::Listener) => {
                    listener(&resource.value)?;
                    "listeners"
                }
                Some(ResourceType::RouteConfiguration) => "routes",
                Some(ResourceType::Cluster) => {
                    socket(Cluster::decode(&*resource.value)?.transport_socket.as_ref())?;
                    "clusters"
                }
                Some(ResourceType::ClusterLoadAssignment) => "endpoints",
                _ => continue,
            };
            write(folder, &resource.value)?;
        }
    }
    Ok(())
}

fn listener(value: &[u8]) -> Result<(), Box<dyn Error>> {
    let listener = Listener::decode(value)?;
    for chain in listener.filter_chains.iter().chain(&listener.default_filter_chain) {
        socket(chain.transport_socket.as_ref())?;
        for filter in &chain.filters {
            let Some(NetworkFilter::TypedConfig(any)) = &filter.config_type else { continue };
            packed(any)?;
            if !any.type_url.ends_with(".HttpConnectionManager") {
                continue;
            }
            for filter in HttpConnectionManager::decode(&*any.value)?.http_filters {
                if let Some(HttpFilter::TypedConfig(any)) = &filter.config_type {
                    packed(any)?;
                }
            }
        }
    }
    Ok(())
}

fn socket(socket: Option<&TransportSocket>) -> std::io::Result<()> {
    match socket.and_then(|socket| socket.config_type.as_ref()) {
        Some(Socket::TypedConfig(any)) => packed(any),
        None => Ok(()),
    }
}

fn packed(any: &Any) -> std::io::Result<()> {
    let folder = match any.type_url.rsplit('/').next().unwrap_or_default() {
        "envoy.extensions.filters.http.rbac.v3.RBAC" => "authz",
        "envoy.extensions.filters.network.rbac.v3.RBAC" => "connections",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext" => "downstream",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext" => "upstream",
        _ => return Ok(()),
    };
    write(folder, &any.value)
}

fn write(folder: &str, input: &[u8]) -> std::io::Result<()> {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let folder = Path::new("fuzz/corpus").join(folder);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("{:016x}", hasher.finish())), input)
}
