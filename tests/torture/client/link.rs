//! A channel whose counters can be seen.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use mesh_core::cluster::{
    Address, Assignment, Cluster, Config, Discovery, Endpoint, Locality, Version,
};
use mesh_core::matcher::PathMatcher;
use mesh_core::route::{Action, ClusterChoice, Forward, Route, RouteMatch, Table, VirtualHost};
use mesh_core::snapshot::{ClusterSlot, Snapshot};
use mesh_tonic::{Channel, Mesh};
use tokio_stream::Stream;
use tonic::client::Grpc;
use tonic::{Request, Response, Status, Streaming};

use super::eventually;
use crate::codec::Raw;

/// A channel to one server. Clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    grpc: Grpc<Channel>,
    case: &'static str,
    ids: Arc<AtomicU32>,
    cluster: Arc<Cluster>,
    endpoint: Arc<Endpoint>,
}

impl Link {
    pub(super) fn new(
        to: SocketAddr,
        case: &'static str,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let endpoint = Arc::new(Endpoint::new(Address::Socket(to)));
        let cluster = cluster(&endpoint, change);
        let mesh = Mesh::fixed([snapshot(&cluster)]).unwrap();
        let channel = Channel::new(&mesh, "xds:///backend").unwrap();
        Self { grpc: Grpc::new(channel), case, ids: Arc::default(), cluster, endpoint }
    }

    /// Sends a message and has it back.
    pub(crate) async fn say(&self, message: Bytes) -> Result<(), Status> {
        let answer = self.unary("Chat", message.clone()).await?;
        if answer == message { Ok(()) } else { Err(Status::data_loss("another message came back")) }
    }

    /// Resolves a `pause` after now, by the server's clock.
    pub(crate) async fn wait(&self, pause: Duration) -> Result<(), Status> {
        let body = tokio_stream::once(Bytes::from_static(b"x"));
        let mut answers = self.open("Chat", pause, body).await?.into_inner();
        while answers.message().await?.is_some() {}
        Ok(())
    }

    pub(crate) async fn unary(&self, method: &str, message: Bytes) -> Result<Bytes, Status> {
        let request = self.request(message, Duration::ZERO);
        self.grpc.clone().unary(request, path(method), Raw).await.map(Response::into_inner)
    }

    /// Opens a stream in both directions. The server pauses before it reads.
    pub(crate) async fn open(
        &self,
        method: &str,
        pause: Duration,
        body: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Result<Response<Streaming<Bytes>>, Status> {
        let request = self.request(body, pause);
        self.grpc.clone().streaming(request, path(method), Raw).await
    }

    /// Calls and streams that are counted as under way.
    pub(crate) fn under_way(&self) -> u64 {
        u64::from(self.cluster.requests()) + u64::from(self.endpoint.state.active())
    }

    /// [`under_way`](Self::under_way), when that has become nothing or will not any more.
    pub(crate) async fn left_under_way(&self) -> u64 {
        // Too late shows in what is left.
        eventually(|| self.under_way() == 0).await;
        self.under_way()
    }

    fn request<T>(&self, message: T, pause: Duration) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        metadata.insert("x-case", self.case.parse().unwrap());
        metadata.insert("x-id", id.into());
        if !pause.is_zero() {
            metadata.insert("x-pause-ms", pause.as_millis().to_string().parse().unwrap());
        }
        request
    }
}

fn path(method: &str) -> PathAndQuery {
    format!("/torture.Torture/{method}").parse().unwrap()
}

fn cluster(endpoint: &Arc<Endpoint>, change: impl FnOnce(&mut Config)) -> Arc<Cluster> {
    let locality = Locality {
        name: Arc::default(),
        weight: 1,
        priority: 0,
        endpoints: [endpoint.clone()].into(),
    };
    let assignment = Assignment { localities: vec![locality], ..Assignment::default() };
    let assignment = Arc::new(assignment);
    let mut config = Config::new("backend", Discovery::Static(assignment.clone()));
    change(&mut config);
    Cluster::new(Version { config: Arc::new(config), assignment, note: None })
}

fn snapshot(cluster: &Arc<Cluster>) -> Snapshot {
    let mut table = Table::builder();
    let to = Forward::new(ClusterChoice::One(table.cluster("backend").unwrap()));
    let route = Route::new(RouteMatch::new(PathMatcher::prefix("/")), Action::Forward(to));
    table.virtual_host(VirtualHost::new("all", &["*"]).route(route));
    let table = Arc::new(table.build().unwrap());
    Snapshot::new("backend".into(), table).with_clusters([ClusterSlot::Ready(cluster.clone())])
}
