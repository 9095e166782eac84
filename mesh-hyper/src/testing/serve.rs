//! The backends' side of a connection: hyper, and the script.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_core::cluster::Address;
use mesh_core::identity::Peer;
use mesh_core::request::Protocol;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::{mpsc, oneshot};
use tower_service::Service;

use super::BACKEND;
use super::accept::CLIENT;
use super::reply::Reply;
use super::script::{Answering, End, Stand, Turn};
use crate::Mesh;
use crate::body::Body;
use crate::error::BoxError;
use crate::server::{ServerBody, alone};
use crate::xds;

/// What is behind an address.
#[derive(Clone, Debug)]
pub(super) struct Site {
    address: Address,
    /// The clusters that have the address.
    name: Arc<str>,
    /// What to ask what to do, the first one first.
    stands: Arc<[Arc<Stand>]>,
}

impl Site {
    pub(super) fn new(address: Address, clusters: &[Arc<str>], stands: Vec<Arc<Stand>>) -> Self {
        Self { address, name: clusters.join(", ").into(), stands: stands.into() }
    }

    /// Counts a connection that hears of its end by `end`.
    pub(super) fn connected(&self, end: &mpsc::UnboundedSender<End>) {
        self.stands.iter().for_each(|stand| stand.connected(end.clone()));
    }

    /// What is said instead of answers.
    fn words(&self) -> Option<Arc<[Bytes]>> {
        self.stands.iter().find_map(|stand| stand.words())
    }

    /// Whose server it is served as.
    fn mesh(&self) -> Option<Mesh> {
        self.stands.iter().find_map(|stand| stand.mesh())
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let turns = self.stands.iter().map(|stand| stand.turn());
        let turn = turns.fold(Turn::default(), Turn::or);
        if let Some(delay) = turn.delay {
            tokio::time::sleep(delay).await;
        }
        let mut response = match (turn.failure, turn.service) {
            (None, Some(service)) => service(request).await?,
            (failure, _) => {
                let protocol = Protocol::of(request.headers());
                // To its end, or HTTP/1.1 has to close the connection.
                request.into_body().collect().await?;
                let name = || match protocol {
                    Protocol::Grpc => Reply::message([]),
                    Protocol::Http | _ => Reply::ok(self.name.to_string()),
                };
                failure.unwrap_or_else(name).into_response()?
            }
        };
        if let Ok(name) = HeaderValue::try_from(&*self.name) {
            response.headers_mut().insert(BACKEND, name);
        }
        Ok(response)
    }
}

fn own<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    body.map_err(Into::into).boxed_unsync()
}

/// For servers of the mesh, which take services of tower's.
impl Service<Request<ServerBody>> for Site {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ServerBody>) -> Answering {
        Box::pin(self.clone().answer(request.map(own)))
    }
}

/// Serves a connection until it ends or is told to.
pub(super) async fn serve(far: DuplexStream, site: Site, ends: mpsc::UnboundedReceiver<End>) {
    if let Some(words) = site.words() {
        return speak(far, &words, ends).await;
    }
    if let Some(mesh) = site.mesh() {
        return behind(&mesh, far, site, ends).await;
    }
    let mut io = BufReader::new(far);
    let Ok(ahead) = io.fill_buf().await else { return };
    // The preface of HTTP/2, of which no other request can have the start.
    let is_http2 = ahead.starts_with(b"PRI ");
    let io = TokioIo::new(io);
    let service =
        service_fn(move |request: Request<Incoming>| site.clone().answer(request.map(own)));
    if is_http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.auto_date_header(false);
        let connection = pin!(builder.serve_connection(io, service));
        drive(connection, ends, http2::Connection::graceful_shutdown).await;
    } else {
        let mut builder = http1::Builder::new();
        builder.auto_date_header(false).header_read_timeout(None);
        let connection = pin!(builder.serve_connection(io, service));
        drive(connection, ends, http1::Connection::graceful_shutdown).await;
    }
}

/// Serves a connection as a server of `mesh`.
///
/// Not an `async fn`: that would have it be `Send` for errors of any lifetime.
fn behind(
    mesh: &Mesh,
    far: DuplexStream,
    site: Site,
    ends: mpsc::UnboundedReceiver<End>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let local = match site.address {
        Address::Socket(address) => Some(address),
        Address::Unix(_) | _ => None,
    };
    let peer = Peer { remote: Some(CLIENT), local, session: None };
    // Whether it can was asked when the backend was told.
    let Ok(by) = xds::served(mesh, site.address.clone()) else {
        return Box::pin(std::future::ready(()));
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap_or_default() };
    let mut connection: Pin<Box<dyn Future<Output = ()> + Send>> =
        Box::pin(alone::serve(by, (Box::new(far), peer), site, stopped));
    let mut stop = Some(stop);
    Box::pin(async move {
        // Whoever does not hear it has ended already.
        drive(connection.as_mut(), ends, |_| _ = stop.take().map(|stop| stop.send(()))).await;
    })
}

/// Before each piece of what is said.
const PAUSE: Duration = Duration::from_millis(1);

/// Says `words`, and hears nothing, until the other side has ended the connection, too.
async fn speak(far: DuplexStream, words: &[Bytes], mut ends: mpsc::UnboundedReceiver<End>) {
    let (mut heard, mut said) = tokio::io::split(far);
    let say = async {
        for piece in words {
            // The test's clock goes on when nothing else does: what was said has been read, and what
            // was to be asked for is.
            tokio::time::sleep(PAUSE).await;
            said.write_all(piece).await?;
        }
        said.shutdown().await
    };
    let mut nothing = tokio::io::sink();
    let both = async { tokio::join!(say, tokio::io::copy(&mut heard, &mut nothing)) };
    tokio::select! {
        // Whatever it ends with shows on the other side.
        _ = both => {}
        _ = ends.recv() => {}
    }
}

async fn drive<C: Future + ?Sized>(
    mut connection: Pin<&mut C>,
    mut ends: mpsc::UnboundedReceiver<End>,
    mut go_away: impl FnMut(Pin<&mut C>),
) {
    loop {
        tokio::select! {
            biased;
            Some(end) = ends.recv() => match end {
                End::GoAway => go_away(connection.as_mut()),
                End::Broken => return,
            },
            // Whatever it ends with shows on the other side.
            _ = connection.as_mut() => return,
        }
    }
}
