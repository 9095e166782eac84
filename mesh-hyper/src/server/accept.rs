//! The loop that accepts connections, from the first configuration to the last connection.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use mesh_core::cluster::Address;
use mesh_core::identity::Peer;
use tokio::task::JoinSet;
use tower_service::Service;

use super::body::ServerBody;
use super::builder::{OnState, Server};
use super::connection::{self, Shared};
use super::state::{ServingState, Status, open};
use super::{drain, probes};
use crate::error::BoxError;
use crate::transport::connect::Io;

/// How long nothing may be said while nothing is served.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pause after an accept that failed, for want of descriptors most likely.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves by `server` until it is told to stop.
pub(super) async fn run<S, B>(server: Server, service: S) -> io::Result<()>
where
    S: Service<Request<ServerBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let Server { socket, address, source, context, settings, .. } = server;
    let open = if server.is_open { open() } else { None };
    let status = Status::new(source, open);
    let _probes = match server.probes {
        Some(probes) => {
            let listener = probes.bind().await?;
            Some(Probing(tokio::spawn(probes::serve(listener, status.clone(), server.metrics))))
        }
        None => None,
    };
    let shared = Arc::new(Shared {
        status: status.clone(),
        settings,
        recorder: context.recorder.clone(),
        context,
        on_accept: server.on_accept,
        greet: server.greet,
        trusted: server.trusted.into(),
        handshakes: AtomicUsize::new(0),
    });
    let mut herald = Herald { address, told: None, listener: server.on_state };
    let mut connections = JoinSet::new();
    let mut watch = status.watch();
    let mut late = pin!(tokio::time::sleep(PATIENCE));
    let mut stop = server.shutdown.unwrap_or_else(|| Box::pin(std::future::pending()));
    let mut delay: Option<Pin<Box<tokio::time::Sleep>>> = None;
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok((io, peer)) => admit(io, peer, &shared, &mut connections, &service),
                // The client has gone before it was there.
                Err(error) if is_of_connection(error.kind()) => {}
                Err(error) => {
                    tracing::warn!(%error, "connection not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = watch.changed() => herald.tell_if_known(&status.serving()),
            () = &mut late, if herald.told.is_none() => herald.tell(&status.serving()),
            () = &mut stop, if delay.is_none() => {
                status.stop();
                delay = Some(Box::pin(tokio::time::sleep(shared.settings.drain_delay)));
            }
            () = until(&mut delay) => break,
        }
    }
    drop(socket);
    status.drain();
    drain::finish(connections, shared.settings.drain_timeout).await;
    Ok(())
}

/// Whether an error is that of one connection, and no reason to pause.
fn is_of_connection(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected};
    [ConnectionAborted, ConnectionRefused, ConnectionReset, NotConnected].contains(&kind)
}

async fn until(delay: &mut Option<Pin<Box<tokio::time::Sleep>>>) {
    match delay {
        Some(delay) => delay.await,
        None => std::future::pending().await,
    }
}

/// Serves a connection, unless nothing is served or there are too many.
fn admit<S, B>(
    io: Box<dyn Io>,
    peer: Peer,
    shared: &Arc<Shared>,
    connections: &mut JoinSet<()>,
    service: &S,
) where
    S: Service<Request<ServerBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if connections.len() >= shared.settings.connections {
        return shared.refused(peer.remote, "there are too many connections");
    }
    connections.spawn(connection::serve(io, peer, shared.clone(), service.clone()));
}

/// Ends the probes with the server.
struct Probing(tokio::task::JoinHandle<()>);

impl Drop for Probing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tells the log and the application whether the server serves.
struct Herald {
    address: Address,
    told: Option<ServingState>,
    listener: Option<OnState>,
}

impl Herald {
    /// Tells what is so, if it is news.
    fn tell(&mut self, state: &ServingState) {
        if self.told.as_ref() == Some(state) {
            return;
        }
        let address = &self.address;
        match state {
            ServingState::Serving => tracing::info!(%address, "serving"),
            ServingState::NotServing { why } => tracing::warn!(%address, %why, "not serving"),
            ServingState::Stopping => tracing::info!(%address, "stopping"),
        }
        if let Some(listener) = &self.listener {
            listener(state);
        }
        self.told = Some(state.clone());
    }

    /// That nothing is served yet is no news for a moment.
    fn tell_if_known(&mut self, state: &ServingState) {
        match state {
            ServingState::NotServing { .. } if self.told.is_none() => {}
            ServingState::Serving | ServingState::NotServing { .. } | ServingState::Stopping => {
                self.tell(state);
            }
        }
    }
}
