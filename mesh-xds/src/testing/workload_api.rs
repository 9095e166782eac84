//! A SPIFFE agent for tests.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use mesh_core::identity::Identity;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_stream::{Stream, StreamExt as _, wrappers::UnixListenerStream, wrappers::WatchStream};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::identity::DevCa;
use crate::proto::workload::{X509Svid, X509SvidRequest, X509SvidResponse};

/// A SPIFFE agent (Workload API) for tests: gives what it is told to.
///
/// Gives nobody an identity until it is told to. Cheap to clone; stops with its last clone.
///
/// # Examples
///
/// ```
/// use mesh_xds::identity::DevCa;
/// use mesh_xds::testing::{Grant, WorkloadApi};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let socket = directory.path().join("agent.sock");
/// let agent = WorkloadApi::new();
/// agent.listen(&socket)?;
/// let ca = DevCa::new("cluster.local")?;
/// let cart = ca.issue(&ca.workload("/ns/shop/sa/cart"))?;
/// agent.grant(Grant::new(&ca, &cart.identity()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct WorkloadApi(Arc<Inner>);

struct Inner {
    said: watch::Sender<Said>,
    streams: Arc<AtomicU64>,
    servers: std::sync::Mutex<Vec<AbortHandle>>,
}

/// What the agent says to everybody.
#[derive(Clone)]
enum Said {
    Response(Box<X509SvidResponse>),
    End(Status),
}

/// What a workload is given: see [`WorkloadApi::grant`].
#[derive(Clone, Debug)]
#[must_use = "a grant does nothing until it is given"]
pub struct Grant(X509SvidResponse);

impl Grant {
    /// `identity`, of the trust domain of `ca`.
    pub fn new(ca: &DevCa, identity: &Identity) -> Self {
        Self(X509SvidResponse::default()).and(ca, identity, "")
    }

    /// Another identity, with a hint at what it is for.
    pub fn and(mut self, ca: &DevCa, identity: &Identity, hint: &str) -> Self {
        let mut svid = X509Svid::default();
        svid.spiffe_id = identity.chain.first().map(|own| spiffe_id(own)).unwrap_or_default();
        svid.x509_svid = identity.chain.concat();
        svid.x509_svid_key = identity.key.secret_der().to_vec();
        svid.bundle = ca.root_der().to_vec();
        svid.hint = hint.to_owned();
        self.0.svids.push(svid);
        self
    }

    /// Trust in `ca` for the workloads of its own trust domain.
    pub fn federated(mut self, ca: &DevCa) -> Self {
        let name = format!("spiffe://{}", ca.trust_domain());
        self.0.federated_bundles.insert(name, ca.root_der().to_vec());
        self
    }

    /// Trust in the authorities `roots` of the identity's own trust domain, instead of that which
    /// issued it.
    pub fn bundle(mut self, roots: &[&DevCa]) -> Self {
        let bundle: Vec<u8> = roots.iter().flat_map(|ca| ca.root_der().to_vec()).collect();
        for svid in &mut self.0.svids {
            svid.bundle.clone_from(&bundle);
        }
        self
    }

    /// A revocation list (DER).
    pub fn revocation_list(mut self, list: &[u8]) -> Self {
        self.0.crl.push(list.to_vec());
        self
    }

    /// The message itself, to spoil it.
    pub fn message(&mut self) -> &mut X509SvidResponse {
        &mut self.0
    }
}

impl WorkloadApi {
    /// An agent that has an identity for nobody.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Inner {
            said: watch::Sender::new(denial()),
            streams: Arc::default(),
            servers: std::sync::Mutex::default(),
        }))
    }

    /// Answers at the socket `path`, on the runtime around.
    ///
    /// # Errors
    /// When there can be no socket at `path`.
    pub fn listen(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.serve(UnixListenerStream::new(UnixListener::bind(path)?));
        Ok(())
    }

    /// Answers on the connections of `incoming`, on the runtime around.
    pub(crate) fn serve<C>(&self, incoming: impl Stream<Item = io::Result<C>> + Send + 'static)
    where
        C: tokio::io::AsyncRead + tokio::io::AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let agent = Agent { said: self.0.said.subscribe(), streams: self.0.streams.clone() };
        let serving = Server::builder().add_service(agent).serve_with_incoming(incoming);
        // A test that ends first has seen all that it wanted.
        let task = tokio::spawn(async { drop(serving.await) });
        let mut servers = self.0.servers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        servers.push(task.abort_handle());
    }

    /// Gives this to everybody who asks, and who has asked.
    pub fn grant(&self, grant: Grant) {
        self.0.said.send_replace(Said::Response(Box::new(grant.0)));
    }

    /// Has no identity for anybody (any more): refuses with PERMISSION_DENIED.
    pub fn deny(&self) {
        self.0.said.send_replace(denial());
    }

    /// Ends all streams, and refuses new ones with UNAVAILABLE until something else is said.
    pub fn interrupt(&self) {
        self.0.said.send_replace(Said::End(Status::unavailable("the agent restarts")));
    }

    /// How often somebody has asked.
    #[must_use]
    pub fn streams(&self) -> u64 {
        self.0.streams.load(Ordering::Acquire)
    }
}

impl Default for WorkloadApi {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let servers = self.servers.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        servers.iter().for_each(AbortHandle::abort);
    }
}

impl fmt::Debug for WorkloadApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkloadApi").field("streams", &self.streams()).finish_non_exhaustive()
    }
}

fn denial() -> Said {
    Said::End(Status::new(Code::PermissionDenied, "no identity issued"))
}

fn spiffe_id(own: &[u8]) -> String {
    let names = crate::tls::leaf(own).map(|leaf| leaf.names.uris).unwrap_or_default();
    names.first().map(|uri| uri.to_string()).unwrap_or_default()
}

/// The gRPC service.
#[derive(Clone)]
struct Agent {
    said: watch::Receiver<Said>,
    streams: Arc<AtomicU64>,
}

impl NamedService for Agent {
    const NAME: &'static str = "SpiffeWorkloadAPI";
}

impl Service<http::Request<Body>> for Agent {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let agent = self.clone();
        Box::pin(async move {
            if request.uri().path() != "/SpiffeWorkloadAPI/FetchX509SVID" {
                return Ok(Status::unimplemented("only FetchX509SVID").into_http());
            }
            let codec = ProstCodec::<X509SvidResponse, X509SvidRequest>::default();
            Ok(Grpc::new(codec).server_streaming(agent, request).await)
        })
    }
}

impl ServerStreamingService<X509SvidRequest> for Agent {
    type Response = X509SvidResponse;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<X509SvidResponse, Status>> + Send>>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<X509SvidRequest>) -> Self::Future {
        std::future::ready(self.answer(&request))
    }
}

impl Agent {
    fn answer(
        &self,
        request: &Request<X509SvidRequest>,
    ) -> Result<Response<<Self as ServerStreamingService<X509SvidRequest>>::ResponseStream>, Status>
    {
        self.streams.fetch_add(1, Ordering::AcqRel);
        let header = request.metadata().get("workload.spiffe.io");
        if header.is_none_or(|value| value != "true") {
            return Err(Status::invalid_argument("security header missing from request"));
        }
        // A status ends the stream for whoever is on the other side.
        let answers = WatchStream::new(self.said.clone()).map(|said| match said {
            Said::Response(response) => Ok(*response),
            Said::End(status) => Err(status),
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
