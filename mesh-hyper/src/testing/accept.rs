//! Servers of a test, without sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use mesh_core::cluster::Address;
use mesh_core::identity::Peer;
use tower_service::Service;

use super::mesh::Mesh;
use crate::error::{BoxError, Error};
use crate::server::{ServerBody, alone};
use crate::transport::connect::Io;
use crate::xds;

impl Mesh {
    /// Serves one connection, `io`, to its end: as a [`Server`](crate::Server) at `address`, by the
    /// listener that the configuration has for it. The client's address is 192.0.2.1:1024.
    ///
    /// Without such a listener the connection is closed without a byte.
    ///
    /// # Errors
    /// When the mesh serves another data plane.
    ///
    /// # Cancel safety
    /// Dropping the future breaks the connection off.
    pub async fn accept<S, B>(
        &self,
        address: SocketAddr,
        io: impl Io + 'static,
        service: S,
    ) -> Result<(), Error>
    where
        S: Service<Request<ServerBody>, Response = Response<B>> + Clone + Send + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let peer = Peer { remote: Some(CLIENT), local: Some(address), session: None };
        let by = xds::served(self, Address::Socket(address))?;
        alone::serve(by, (Box::new(io), peer), service, std::future::pending()).await;
        Ok(())
    }
}

/// Where the clients of servers in memory are.
pub(super) const CLIENT: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1024);
