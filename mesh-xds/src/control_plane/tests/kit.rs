use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use envoy_types::pb::{
    envoy::{
        config::core::v3::Node,
        service::discovery::v3::{
            DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
            aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
        },
    },
    google::rpc,
};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{
    Status, Streaming,
    transport::{Channel, server::TcpIncoming},
};

use crate::control_plane::{Client, ControlPlane, ResourceSet, ServeError};

/// A server on a free port.
pub(super) struct Server {
    pub(super) control_plane: ControlPlane,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) served: JoinHandle<Result<(), ServeError>>,
    url: String,
}

impl Server {
    pub(super) async fn start(control_plane: ControlPlane) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let served = tokio::spawn(control_plane.serve(listener, shutdown));
        Self { control_plane, stop, served, url }
    }

    /// A server to which only one connection ever comes.
    pub(super) async fn start_for_one(control_plane: ControlPlane) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let incoming = TcpIncoming::from(listener).take(1);
        let served = tokio::spawn(control_plane.serve_incoming(incoming, shutdown));
        Self { control_plane, stop, served, url }
    }

    pub(super) fn set(&self, resources: &[(&str, &str, &str)]) -> crate::control_plane::Revision {
        self.control_plane.set(ControlPlane::DEFAULT_GROUP, set(resources))
    }

    /// Waits until exactly one client is there and is as `condition` says.
    pub(super) async fn client_is(&self, condition: impl Fn(&Client) -> bool) -> Arc<Client> {
        let clients = self.control_plane.clients_when(|all| all.len() == 1 && condition(&all[0]));
        soon(clients).await.remove(0)
    }

    async fn stub(&self) -> AggregatedDiscoveryServiceClient<Channel> {
        AggregatedDiscoveryServiceClient::connect(self.url.clone()).await.unwrap()
    }

    pub(super) async fn sotw(&self, node: &str) -> Sotw {
        let (requests, receiver) = mpsc::channel(8);
        let responses =
            self.stub().await.stream_aggregated_resources(ReceiverStream::new(receiver)).await;
        let responses = responses.unwrap().into_inner();
        Sotw { requests, responses, node: Some(self::node(node)), versions: BTreeMap::new() }
    }

    pub(super) async fn delta(&self, node: &str) -> Delta {
        let (requests, receiver) = mpsc::channel(8);
        let responses =
            self.stub().await.delta_aggregated_resources(ReceiverStream::new(receiver)).await;
        let responses = responses.unwrap().into_inner();
        Delta { requests, responses, node: Some(self::node(node)) }
    }
}

/// A state-of-the-world client.
pub(super) struct Sotw {
    requests: mpsc::Sender<DiscoveryRequest>,
    responses: Streaming<DiscoveryResponse>,
    node: Option<Node>,
    versions: BTreeMap<String, String>,
}

impl Sotw {
    pub(super) async fn subscribe(&mut self, type_url: &str, names: &[&str]) {
        self.send(type_url, names, "", None).await;
    }

    /// The next response: nonce, version and contents.
    pub(super) async fn receive(&mut self) -> Result<(String, Vec<String>), Status> {
        let response = soon(self.responses.message()).await?.unwrap();
        self.versions.insert(response.type_url, response.version_info);
        let contents = response.resources.into_iter().map(|it| text(it.value)).collect();
        Ok((response.nonce, contents))
    }

    pub(super) async fn ack(&mut self, type_url: &str, names: &[&str], nonce: &str) {
        self.send(type_url, names, nonce, None).await;
    }

    pub(super) async fn nack(&mut self, type_url: &str, names: &[&str], nonce: &str) {
        let error = rpc::Status { message: "no good".to_owned(), ..rpc::Status::default() };
        self.send(type_url, names, nonce, Some(error)).await;
    }

    async fn send(
        &mut self,
        type_url: &str,
        names: &[&str],
        nonce: &str,
        error: Option<rpc::Status>,
    ) {
        let version = self.versions.get(type_url).filter(|_| error.is_none() && !nonce.is_empty());
        let request = DiscoveryRequest {
            node: self.node.take(),
            type_url: type_url.to_owned(),
            resource_names: names.iter().map(|it| (*it).to_owned()).collect(),
            response_nonce: nonce.to_owned(),
            version_info: version.cloned().unwrap_or_default(),
            error_detail: error,
            ..DiscoveryRequest::default()
        };
        self.requests.send(request).await.unwrap();
    }
}

/// An incremental client.
pub(super) struct Delta {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
    node: Option<Node>,
}

impl Delta {
    pub(super) async fn send(&mut self, request: DeltaDiscoveryRequest) {
        let request = DeltaDiscoveryRequest { node: self.node.take(), ..request };
        self.requests.send(request).await.unwrap();
    }

    pub(super) async fn receive(&mut self) -> DeltaDiscoveryResponse {
        soon(self.responses.message()).await.unwrap().unwrap()
    }
}

pub(super) fn set(resources: &[(&str, &str, &str)]) -> ResourceSet {
    let mut set = ResourceSet::new();
    for (type_url, name, content) in resources {
        set.insert(type_url, name, content.as_bytes().to_vec());
    }
    set
}

/// What comes must come within ten seconds.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), future).await.expect("nothing came")
}

pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn node(id: &str) -> Node {
    Node { id: id.to_owned(), cluster: format!("{id}-cluster"), ..Node::default() }
}
