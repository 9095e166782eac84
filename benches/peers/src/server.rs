//! Starts the servers, says where they are, and stays until it is no longer wanted.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::shared::{Echo, Error};
use crate::{ads, http1};

/// Endpoints of the balanced clients.
const ENDPOINTS: usize = 8;

/// Serves until standard input ends, so that it never outlives the process that started it.
///
/// Prints a line per protocol: its name, then its addresses.
///
/// # Errors
/// A socket could not be bound.
pub async fn server() -> Result<(), Error> {
    let mut endpoints = Vec::new();
    for _ in 0..ENDPOINTS {
        let (listener, address) = bind().await?;
        let server = Server::builder().add_service(Echo);
        tokio::spawn(server.serve_with_incoming(incoming(listener)));
        endpoints.push(address);
    }

    let (listener, http1) = bind().await?;
    tokio::spawn(http1::serve(listener));

    let (listener, ads) = bind().await?;
    let server = Server::builder().add_service(ads::service(endpoints.clone()));
    tokio::spawn(server.serve_with_incoming(incoming(listener)));

    let endpoints: Vec<_> = endpoints.iter().map(SocketAddr::to_string).collect();
    println!("grpc {}\nhttp1 {http1}\nads {ads}", endpoints.join(" "));
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

pub(crate) async fn bind() -> Result<(TcpListener, SocketAddr), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

pub(crate) fn incoming(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}
