//! The mesh's channels.

use std::net::SocketAddr;

use http::Uri;
use mesh_hyper::Client;
use mesh_tonic::{Channel, Mesh};
use mesh_xds::bootstrap::Bootstrap;

use crate::shared::{Error, Run};

/// Runs the client that the command line describes.
///
/// # Errors
/// The command line is wrong, or a call failed.
pub fn client() -> Result<(), Error> {
    let run = Run::from_args()?;
    let mesh = Mesh::builder().bootstrap(bootstrap(run.address()?)?).build()?;
    Run::block_on(async {
        match run.kind.as_str() {
            "mesh" => run.grpc(Channel::new(&mesh, "xds:///echo")?).await,
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
