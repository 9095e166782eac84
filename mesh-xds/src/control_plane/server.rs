use std::{future::Future, time::Duration};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::watch,
};
use tokio_stream::Stream;
use tonic::transport::{
    Server,
    server::{Connected, TcpIncoming},
};

use super::{ControlPlane, Service};

/// Serving ended before it was told to.
#[derive(Debug, Error)]
#[error("the control plane cannot serve")]
pub struct ServeError(#[source] tonic::transport::Error);

impl ControlPlane {
    /// Serves on `listener` until `shutdown`.
    ///
    /// Then streams end with `UNAVAILABLE`, and connections get five seconds to close.
    ///
    /// # Errors
    ///
    /// The listener broke.
    pub fn serve<F: Future<Output = ()>>(
        &self,
        listener: TcpListener,
        shutdown: F,
    ) -> impl Future<Output = Result<(), ServeError>> + use<F> {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        self.serve_incoming(incoming, shutdown)
    }

    /// Serves the connections of `incoming` until it ends or `shutdown`; as [`Self::serve`].
    ///
    /// # Errors
    ///
    /// `incoming` gave an error that is not of one connection.
    pub fn serve_incoming<I, C, E, F>(
        &self,
        incoming: I,
        shutdown: F,
    ) -> impl Future<Output = Result<(), ServeError>> + use<I, C, E, F>
    where
        I: Stream<Item = Result<C, E>>,
        C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
        F: Future<Output = ()>,
    {
        let (running, streams) = watch::channel(());
        let mut told = streams.clone();
        let service = Service::new(self.clone(), Some(streams)).into_server();
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_concurrent_streams(MAX_STREAMS)
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, async move {
                while told.changed().await.is_ok() {}
            });
        async move {
            // Not left to the server: it does not look any more once `incoming` has ended.
            let shutdown = async {
                shutdown.await;
                drop(running);
                tokio::time::sleep(GRACE).await;
            };
            tokio::select! {
                served = server => served.map_err(ServeError),
                () = shutdown => Ok(()),
            }
        }
    }
}

/// Well below the idle timeouts of common middleboxes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Per connection. Clients use one, some one per type.
const MAX_STREAMS: u32 = 128;
const GRACE: Duration = Duration::from_secs(5);
