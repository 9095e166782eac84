//! A gRPC service as a server of the mesh: what tonic generates, unchanged.
//!
//! ```text
//! GRPC_XDS_BOOTSTRAP=bootstrap.json cargo run -p mesh-examples --bin tonic-server
//! ```

use helloworld::greeter_server::{Greeter, GreeterServer};
use helloworld::{HelloReply, HelloRequest};
use mesh_tonic::{Mesh, Server, signal};
use tonic::{Request, Response, Status, service::Routes};

#[expect(unreachable_pub, reason = "generated from helloworld.proto by tonic-prost-build")]
mod helloworld {
    include!("../greeter/helloworld.rs");
}

struct Polite;

#[tonic::async_trait]
impl Greeter for Polite {
    async fn say_hello(
        &self,
        asked: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        let message = format!("Hello {} from {:?}!", asked.get_ref().name, asked.remote_addr());
        Ok(Response::new(HelloReply { message }))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mesh = Mesh::from_env()?;
    let server = Server::bind(&mesh, "0.0.0.0:50051").await?.shutdown(signal::terminate());
    Ok(server.serve(Routes::new(GreeterServer::new(Polite)).prepare()).await?)
}
