//! A backend that takes TLS and plain text on one port, and says what has come.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use mesh_core::identity::{Clients, ServerTls, Session, Source};
use mesh_xds::identity::Identities;
use mesh_xds::tls::{session, why_io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use crate::Backend;

/// A [`Backend`] behind a door that takes whoever comes with TLS or without. Stops when it is
/// dropped.
#[derive(Debug)]
pub struct Door {
    backend: Backend,
    log: Arc<Log>,
}

/// What has come to a door.
#[derive(Debug, Default)]
struct Log {
    entries: Mutex<Vec<Entry>>,
    refused: Mutex<Vec<String>>,
    open: AtomicUsize,
    changed: Notify,
}

/// A connection that came in; with TLS, what its handshake has settled.
pub type Entry = Option<Session>;

impl Door {
    /// A backend called `name`, with the identity and the authorities of `source`.
    pub async fn start(name: &str, source: Arc<dyn Source>, clients: Clients) -> io::Result<Self> {
        let identities = Identities::default();
        identities.insert("default", source);
        let tls = ServerTls { identity: "default".into(), clients, protocols: Box::default() };
        let protocols = vec![b"h2".to_vec()];
        let (config, _) = identities.server(&tls, protocols).map_err(io::Error::other)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let log = Arc::new(Log::default());
        let (sender, incoming) = mpsc::channel(16);
        tokio::spawn(accept(listener, TlsAcceptor::from(config), log.clone(), sender));
        let backend = Backend::start_on(name, address, ReceiverStream::new(incoming));
        Ok(Self { backend, log })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.backend.address()
    }

    /// Calls that have reached it.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.backend.calls()
    }

    /// Connections that came in so far.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        lock(&self.log.entries).clone()
    }

    /// Why others did not.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        lock(&self.log.refused).clone()
    }

    /// Waits until no connection is open.
    pub async fn emptied(&self) {
        loop {
            let changed = self.log.changed.notified();
            if self.log.open.load(Ordering::SeqCst) == 0 {
                return;
            }
            changed.await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    log: Arc<Log>,
    sender: mpsc::Sender<io::Result<Inbound>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, log, sender) = (acceptor.clone(), log.clone(), sender.clone());
        tokio::spawn(async move {
            match enter(stream, &acceptor).await {
                Ok((io, entry)) => {
                    lock(&log.entries).push(entry);
                    log.open.fetch_add(1, Ordering::SeqCst);
                    // Nobody takes it any more when the backend has stopped.
                    sender.send(Ok(Inbound { io, log })).await.ok();
                }
                Err(why) => lock(&log.refused).push(why),
            }
        });
    }
}

async fn enter(stream: TcpStream, acceptor: &TlsAcceptor) -> Result<(Box<dyn Io>, Entry), String> {
    let mut first = [0];
    let read = stream.peek(&mut first).await.map_err(|error| error.to_string())?;
    if read == 0 {
        return Err("it was closed before a byte was sent".to_owned());
    }
    // A TLS record of a handshake.
    if first[0] != 0x16 {
        return Ok((Box::new(stream), None));
    }
    let stream = acceptor.accept(stream).await.map_err(|error| why_io(&error))?;
    let (_, connection) = stream.get_ref();
    let session = session(connection, connection.server_name()).map_err(|why| why.to_string())?;
    Ok((Box::new(stream), Some(session)))
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection that is counted while it is open.
struct Inbound {
    io: Box<dyn Io>,
    log: Arc<Log>,
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.log.open.fetch_sub(1, Ordering::SeqCst);
        self.log.changed.notify_waiters();
    }
}

impl Connected for Inbound {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Inbound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Inbound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
