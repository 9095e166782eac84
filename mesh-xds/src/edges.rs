//! What the control side meets the world with: sockets, names, randomness. Tests bring their own.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::bootstrap::ServerUri;

/// A byte stream of any kind.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Something that the network is asked for.
pub(crate) type Asked<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// How servers and names are reached.
pub(crate) trait Network: Send + Sync {
    /// Opens a byte stream to a management server.
    fn dial(&self, server: &ServerUri) -> Asked<Box<dyn Io>>;

    /// The addresses of a name, in any order.
    fn look_up(&self, name: &str) -> Asked<Vec<IpAddr>>;
}

/// What a driver meets the world with.
#[derive(Clone)]
pub(crate) struct Edges {
    pub(crate) network: Arc<dyn Network>,
    /// What the jitter of its backoff is drawn from.
    pub(crate) seed: u64,
}

impl Default for Edges {
    fn default() -> Self {
        Self { network: Arc::new(System), seed: seed() }
    }
}

/// Different in each process and mesh, so that many do not retry in step.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// The operating system's sockets and resolver.
struct System;

impl Network for System {
    fn dial(&self, server: &ServerUri) -> Asked<Box<dyn Io>> {
        let server = server.clone();
        Box::pin(async move {
            if let Some(path) = server.unix_path() {
                return Ok(Box::new(UnixStream::connect(path).await?) as Box<dyn Io>);
            }
            let stream = match server.host() {
                Some((host, port)) => TcpStream::connect((host, port)).await?,
                None => TcpStream::connect(server.addresses()).await?,
            };
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }

    fn look_up(&self, name: &str) -> Asked<Vec<IpAddr>> {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}
