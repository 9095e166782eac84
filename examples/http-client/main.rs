//! An HTTP client in a mesh: the authority of a URI names what is asked.
//!
//! ```text
//! GRPC_XDS_BOOTSTRAP=bootstrap.json cargo run -p mesh-examples --bin http-client
//! ```

use mesh_hyper::{Client, Mesh};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let http = Client::new(&Mesh::from_env()?);
    println!("{}", http.get("http://greeter/hello").await?.text().await?);
    Ok(())
}
