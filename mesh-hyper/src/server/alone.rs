//! A connection that no socket has accepted.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use mesh_core::identity::Peer;
use tower_service::Service;

use super::body::ServerBody;
use super::connection::{self, Shared};
use super::secure::Greet;
use super::settings::Settings;
use super::state::{Source, Status};
use crate::context::Context;
use crate::error::BoxError;
use crate::transport::connect::Io;

/// How long configuration is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a server serves by.
pub(crate) struct Served {
    pub(crate) source: Source,
    pub(crate) context: Arc<Context>,
    pub(crate) greet: Option<Arc<dyn Greet>>,
}

/// Serves a connection to its end, as a server by `by` with the default bounds does that is told to
/// stop once `stop` is over.
pub(crate) async fn serve<S, B>(
    by: Served,
    (io, peer): (Box<dyn Io>, Peer),
    service: S,
    stop: impl Future<Output = ()>,
) where
    S: Service<Request<ServerBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let status = Status::new(by.source, None);
    let mut watch = status.watch();
    let known = async {
        while status.snapshot().is_none() {
            watch.changed().await;
        }
    };
    // Without configuration the connection is closed, as it should be.
    let _ = tokio::time::timeout(PATIENCE, known).await;
    let shared = Shared {
        status: status.clone(),
        settings: Settings::default(),
        recorder: by.context.recorder.clone(),
        context: by.context,
        on_accept: None,
        greet: by.greet,
        trusted: Box::default(),
        handshakes: AtomicUsize::new(0),
    };
    let stopped = async {
        stop.await;
        status.drain();
        std::future::pending().await
    };
    tokio::select! {
        biased;
        () = connection::serve(io, peer, Arc::new(shared), service) => {}
        () = stopped => {}
    }
}
