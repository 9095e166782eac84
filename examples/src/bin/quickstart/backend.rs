//! A greeter on loopback that can drain and return.

use std::{
    error::Error,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::greeter::Greeter;

/// A backend, running or not. Its count of calls goes on when it returns.
#[derive(Debug)]
pub(crate) struct Backend {
    name: Arc<str>,
    calls: Arc<AtomicU64>,
    port: u16,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Backend {
    /// Starts a backend on a free port.
    pub(crate) async fn start(name: &str) -> io::Result<Self> {
        let calls = Arc::new(AtomicU64::new(0));
        let mut backend = Self { name: name.into(), calls, port: 0, running: None };
        backend.come_back().await?;
        Ok(backend)
    }

    /// Starts it (again), on another free port.
    pub(crate) async fn come_back(&mut self) -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        self.port = listener.local_addr()?.port();
        let (stop, stopped) = oneshot::channel();
        let greeter = Greeter { backend: self.name.clone(), calls: self.calls.clone() };
        let server = Server::builder().add_service(greeter).serve_with_incoming_shutdown(
            TcpListenerStream::new(listener),
            // Also when the sender is gone, with the backend.
            async { drop(stopped.await) },
        );
        self.running = Some(Running { stop, server: tokio::spawn(server) });
        Ok(())
    }

    /// Stops as a server should: takes no new connection, sends GOAWAY on those it has, answers
    /// what it has begun. Resolves when all of that is over.
    pub(crate) async fn drain(&mut self) -> Result<(), Box<dyn Error + Send + Sync>> {
        if let Some(Running { stop, server }) = self.running.take() {
            // It is stopped already if nobody listens.
            stop.send(()).ok();
            server.await??;
        }
        Ok(())
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Calls that have reached it.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}
