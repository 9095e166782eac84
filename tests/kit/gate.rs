//! A port that stays the same while what is behind it comes and goes.
//!
//! A port that is given up may become the local port of somebody else's connection, even of one to
//! itself; so it is kept, and who comes while nothing is behind it is hung up on.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// A port. It is given up when the gate is dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    behind: Behind,
    task: AbortHandle,
}

type Behind = Arc<Mutex<Option<mpsc::UnboundedSender<TcpStream>>>>;

impl Gate {
    /// A free port on loopback, shut.
    pub(crate) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, behind) = (listener.local_addr()?, Behind::default());
        let task = tokio::spawn(accept(listener, behind.clone())).abort_handle();
        Ok(Self { address, behind, task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets connections in until it is shut or opened again.
    pub(crate) fn open(
        &self,
    ) -> impl tokio_stream::Stream<Item = io::Result<TcpStream>> + Send + use<> {
        let (sender, connections) = mpsc::unbounded_channel();
        self.put(Some(sender));
        UnboundedReceiverStream::new(connections).map(Ok)
    }

    /// Hangs up on whoever comes from now on.
    pub(crate) fn shut(&self) {
        self.put(None);
    }

    fn put(&self, sender: Option<mpsc::UnboundedSender<TcpStream>>) {
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = sender;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, behind: Behind) {
    while let Ok((connection, _)) = listener.accept().await {
        let behind = behind.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*behind {
            // A server that has stopped hangs up as well.
            sender.send(connection).ok();
        }
    }
}
