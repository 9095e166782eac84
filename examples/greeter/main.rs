//! A gRPC client in a mesh: what tonic generates, on a channel of the mesh.
//!
//! ```text
//! GRPC_XDS_BOOTSTRAP=bootstrap.json cargo run -p mesh-examples --bin greeter
//! ```

use helloworld::{HelloRequest, greeter_client::GreeterClient};
use mesh_tonic::{Channel, Mesh};

#[expect(unreachable_pub, reason = "generated from helloworld.proto by tonic-prost-build")]
mod helloworld {
    include!("helloworld.rs");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mesh = Mesh::from_env()?;
    let mut greeter = GreeterClient::new(Channel::new(&mesh, "xds:///greeter")?);
    let reply = greeter.say_hello(HelloRequest { name: "mesh".into() }).await?;
    println!("{}", reply.into_inner().message);
    Ok(())
}
