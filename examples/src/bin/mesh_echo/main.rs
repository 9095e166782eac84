//! A backend that tells what it was asked, for trying a mesh out; see [`mesh_examples::echo`].
//!
//! ```text
//! cargo run -p mesh-examples --bin mesh-echo -- --listen 127.0.0.1:50051 --name v1
//! ```

mod refusals;

use std::{error::Error, net::SocketAddr, path::PathBuf, sync::Arc};

use clap::Parser;
use mesh_examples::echo;
use mesh_hyper::{Address, Mesh, Server, signal};
use mesh_xds::bootstrap::{Bootstrap, TargetError};
use tokio::net::TcpListener;

use crate::refusals::Refusals;

/// Answers every gRPC and HTTP request with JSON that describes it.
///
/// Speaks gRPC, HTTP/1.1 and HTTP/2 with prior knowledge on one port. The first line on stdout is
/// the address that it listens on. A server of the mesh says on stderr whom it has refused, and why.
#[derive(Debug, Parser)]
#[command(name = "mesh-echo", version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// A gRPC bootstrap file. If it has a `server_listener_resource_name_template`, this is a server
    /// of the mesh, and serves once it has a listener.
    #[arg(long, value_name = "FILE")]
    bootstrap: Option<PathBuf>,
    /// Where a server of the mesh answers probes (`/healthz`, `/ready`) and scrapes (`/metrics`) in
    /// plain text.
    #[arg(long, value_name = "ADDR", requires = "bootstrap")]
    probes: Option<String>,
    /// What `name` and `x-backend` say in answers. Default: the address it listens on.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let bootstrap = arguments.bootstrap.as_ref().map(Bootstrap::from_file).transpose()?;
    let listener = TcpListener::bind(arguments.listen).await?;
    let address = listener.local_addr()?;
    println!("{address}");
    let name = arguments.name.unwrap_or_else(|| address.to_string());
    let place = Address::Socket(address);
    match bootstrap {
        Some(bootstrap)
            if bootstrap.server_listener_name(&place) != Err(TargetError::NoServerTemplate) =>
        {
            let refusals = Arc::new(Refusals::default());
            let mesh = Mesh::builder().bootstrap(bootstrap).recorder(refusals.clone()).build()?;
            let mut server = Server::from_listener(&mesh, listener)?.shutdown(signal::terminate());
            if let Some(probes) = arguments.probes {
                server = server.probes(probes).metrics(move || refusals.to_string());
            }
            Ok(server.serve(echo::Service::new(&name)?).await?)
        }
        Some(_) | None => Ok(echo::serve(listener, &name).await?),
    }
}
