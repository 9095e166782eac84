//! A program that uses reqwest joins a mesh: one line of middleware.
//!
//! ```text
//! GRPC_XDS_BOOTSTRAP=bootstrap.json cargo run -p mesh-examples --bin reqwest-client
//! ```

use mesh_hyper::{Mesh, MeshMiddleware};
use reqwest_middleware::ClientBuilder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mesh = Mesh::from_env()?;
    let http = ClientBuilder::new(reqwest::Client::new()).with(MeshMiddleware::new(&mesh)).build();
    println!("{}", http.get("http://greeter/hello").send().await?.text().await?);
    Ok(())
}
