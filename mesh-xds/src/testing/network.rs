//! A network that is in memory: one management server, and names without a DNS.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::DuplexStream;
use tokio::sync::mpsc;

use crate::bootstrap::ServerUri;
use crate::edges::{Asked, Edges, Io, Network};

/// Connections that a server is offered.
pub(crate) type Incoming = mpsc::UnboundedReceiver<io::Result<DuplexStream>>;

/// A network that is in memory.
#[derive(Default)]
pub(crate) struct InMemory {
    server: Mutex<Option<mpsc::UnboundedSender<io::Result<DuplexStream>>>>,
    names: Mutex<BTreeMap<Box<str>, IpAddr>>,
}

impl InMemory {
    /// What a mesh on this network meets the world with.
    pub(crate) fn edges(self: &Arc<Self>) -> Edges {
        Edges { network: self.clone(), seed: 1 }
    }

    /// Offers what dials a server to whoever holds the receiver, until the next call or
    /// [`close`](Self::close).
    pub(crate) fn listen(&self) -> Incoming {
        let (sender, incoming) = mpsc::unbounded_channel();
        *lock(&self.server) = Some(sender);
        incoming
    }

    /// Refuses whoever dials a server.
    pub(crate) fn close(&self) {
        *lock(&self.server) = None;
    }

    /// The only address of `name`: the next one of those for documentation (RFC 3849), in the order
    /// in which names are asked for.
    pub(crate) fn address(&self, name: &str) -> IpAddr {
        let mut names = lock(&self.names);
        let number = names.len() + 1;
        let address = Ipv6Addr::from((0x2001_0db8_u128 << 96) | number as u128);
        *names.entry(name.into()).or_insert(IpAddr::V6(address))
    }
}

impl Network for InMemory {
    fn dial(&self, _: &ServerUri) -> Asked<Box<dyn Io>> {
        let (near, far) = tokio::io::duplex(BUFFER);
        let server = lock(&self.server);
        let is_taken = server.as_ref().is_some_and(|server| server.send(Ok(far)).is_ok());
        Box::pin(std::future::ready(match is_taken {
            true => Ok(Box::new(near) as Box<dyn Io>),
            false => Err(io::ErrorKind::ConnectionRefused.into()),
        }))
    }

    fn look_up(&self, name: &str) -> Asked<Vec<IpAddr>> {
        Box::pin(std::future::ready(Ok(vec![self.address(name)])))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under these locks can leave the value half-changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What may be under way in one direction, in bytes: about what a socket holds.
const BUFFER: usize = 64 * 1024;
