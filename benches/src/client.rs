//! The mesh's channels.

use std::net::SocketAddr;

use http::Uri;
use mesh_hyper::Client;
use mesh_tonic::{Channel, Mesh};
use mesh_xds::bootstrap::Bootstrap;

use crate::grpc_server::temporary;
use crate::shared::{Error, Run};
use crate::tls;

/// Runs the client that the command line describes.
///
/// # Errors
/// The command line is wrong, or a call failed.
pub fn client() -> Result<(), Error> {
    let run = Run::from_args()?;
    let mesh = match run.kind.as_str() {
        "mesh-one" => one(run.address()?, "")?,
        "mesh+mtls" => one(run.address()?, &tls::transport_socket("UpstreamTlsContext"))?,
        _ => Mesh::builder().bootstrap(bootstrap(run.address()?)?).build()?,
    };
    Run::block_on(async {
        match run.kind.as_str() {
            "mesh" | "mesh-one" | "mesh+mtls" => {
                run.grpc(Channel::new(&mesh, "xds:///echo")?).await
            }
            "mesh+policies" => run.grpc(Channel::new(&mesh, "xds:///guarded")?).await,
            "mesh-http" => {
                let client = Client::new(&mesh);
                let get = move |uri: Uri| {
                    let client = client.clone();
                    async move { Ok(client.get(uri).await?.bytes().await?) }
                };
                run.http(Uri::from_static("http://web/"), get).await
            }
            other => Err(format!("unknown kind {other}").into()),
        }
    })
}

/// A mesh whose `echo` is the server at `address`, reached through `transport_socket`, if that is
/// not empty.
fn one(address: SocketAddr, transport_socket: &str) -> Result<Mesh, Error> {
    let (ip, port) = (address.ip(), address.port());
    let secured = if transport_socket.is_empty() {
        String::new()
    } else {
        format!("transport_socket: {transport_socket}")
    };
    let resources = format!(
        r#"
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: echo
api_listener:
  api_listener:
    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
    route_config: {{ virtual_hosts: [{{ name: echo, domains: ['*'], routes: [{{ match: {{ prefix: '' }}, route: {{ cluster: echo }} }}] }}] }}
    http_filters: [{{ name: router, typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }} }}]
---
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: echo
type: STATIC
load_assignment:
  cluster_name: echo
  endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: {ip}, port_value: {port} }} }} }} }}] }}]
{secured}
"#
    );
    let file = temporary(port, &resources)?;
    let mesh =
        Mesh::builder().files(&file).identity("default", tls::identity("client")?).build()?;
    std::fs::remove_file(file)?;
    Ok(mesh)
}

/// The management server at `address` and nothing else.
///
/// # Errors
/// None, as long as an address is a server's URI.
pub fn bootstrap(address: SocketAddr) -> Result<Bootstrap, Error> {
    let json = serde_json::json!({
        "node": { "id": "bench" },
        "xds_servers": [{
            "server_uri": address.to_string(),
            "channel_creds": [{ "type": "insecure" }],
            "server_features": ["delta"],
        }],
    });
    Ok(Bootstrap::from_json(&json.to_string())?)
}
