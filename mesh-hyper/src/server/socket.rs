//! Where connections come from.

use std::io;
use std::net::SocketAddr;

use mesh_core::cluster::Address;
use mesh_core::identity::Peer;
use tokio::net::{TcpListener, UnixListener};

use crate::transport::connect::Io;

/// A socket that connections are accepted on.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    /// A new connection, and whose it is.
    ///
    /// # Cancel safety
    /// No connection is lost when the future is dropped.
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Io>, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, remote) = listener.accept().await?;
                // A client that has gone already shows when it is read from.
                stream.set_nodelay(true).ok();
                let local = stream.local_addr().map_err(|_| io::ErrorKind::NotConnected)?;
                let peer = Peer {
                    remote: Some(canonical(remote)),
                    local: Some(canonical(local)),
                    session: None,
                };
                Ok((Box::new(stream), peer))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), Peer::default()))
            }
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => Ok(Address::Socket(listener.local_addr()?)),
            Self::Unix(listener) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().and_then(|path| path.to_str());
                let path = path.ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
                Ok(Address::Unix(path.into()))
            }
        }
    }
}

/// An IPv4 address as such, also on a socket that takes both families.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
