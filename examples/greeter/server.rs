//! The server of the greeter example: tonic alone, on an address of the greeter's cluster.
//!
//! ```text
//! cargo run -p mesh-examples --bin greeter-server -- 127.0.0.1:50051
//! ```

use helloworld::greeter_server::{Greeter, GreeterServer};
use helloworld::{HelloReply, HelloRequest};
use tokio::net::TcpListener;
use tonic::transport::server::{Server, TcpIncoming};
use tonic::{Request, Response, Status};

#[expect(unreachable_pub, reason = "generated from helloworld.proto by tonic-prost-build")]
mod helloworld {
    include!("helloworld.rs");
}

struct Polite;

#[tonic::async_trait]
impl Greeter for Polite {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        let message = format!("Hello {}!", request.into_inner().name);
        Ok(Response::new(HelloReply { message }))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:50051".into());
    let listener = TcpListener::bind(address).await?;
    println!("{}", listener.local_addr()?);
    let greeter = GreeterServer::new(Polite);
    Server::builder().add_service(greeter).serve_with_incoming(TcpIncoming::from(listener)).await?;
    Ok(())
}
