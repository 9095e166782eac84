//! The aggregated discovery service: one task for each stream.

use std::{
    collections::{BTreeSet, VecDeque},
    pin::Pin,
    sync::Arc,
};

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    aggregated_discovery_service_server::{
        AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
    },
};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{
    ControlPlane,
    client::{Client, Node},
    plane::State,
    resources::Snapshot,
    stream::{Delta, Injection, Machine, Sotw},
};

/// The gRPC service of a [`ControlPlane`], to serve it beside others.
///
/// Its streams end only with their clients; [`ControlPlane::serve`] also ends them on shutdown.
#[derive(Debug, Clone)]
pub struct Service {
    control_plane: ControlPlane,
    /// Closes when the server shuts down.
    shutdown: Option<watch::Receiver<()>>,
}

impl ControlPlane {
    /// The service, for a tonic server of one's own.
    #[must_use]
    pub fn service(&self) -> AggregatedDiscoveryServiceServer<Service> {
        Service::new(self.clone(), None).into_server()
    }
}

impl Service {
    pub(crate) fn new(control_plane: ControlPlane, shutdown: Option<watch::Receiver<()>>) -> Self {
        Self { control_plane, shutdown }
    }

    pub(crate) fn into_server(self) -> AggregatedDiscoveryServiceServer<Self> {
        AggregatedDiscoveryServiceServer::new(self).max_decoding_message_size(MAX_REQUEST)
    }

    fn start<M>(&self, requests: Streaming<M::Request>) -> Response<ResponseStream<M::Response>>
    where
        M: Machine + Send + 'static,
        M::Request: Send + 'static,
        M::Response: Send + 'static,
    {
        let (responses, receiver) = mpsc::channel(1);
        let service = self.clone();
        tokio::spawn(async move {
            let end = tokio::select! {
                end = service.run::<M>(requests, &responses) => end,
                () = responses.closed() => return,
            };
            if let Err(status) = end {
                // Nobody is left to be told when this fails.
                let _ = responses.send(Err(status)).await;
            }
        });
        Response::new(Box::pin(ReceiverStream::new(receiver)))
    }

    async fn run<M: Machine>(
        &self,
        mut requests: Streaming<M::Request>,
        responses: &mpsc::Sender<Result<M::Response, Status>>,
    ) -> Result<(), Status> {
        let Some(mut first) = requests.message().await? else { return Ok(()) };
        let node = M::node(&mut first).map(Node::from).unwrap_or_default();
        let mut session = Session::<M>::new(&self.control_plane, node);
        session.handle_request(first)?;
        let mut shutdown = self.shutdown.clone();
        loop {
            session.publish();
            tokio::select! {
                // Requests go first, so that a response is never about an old subscription.
                biased;
                () = closed(&mut shutdown) => return Err(Status::unavailable("shutting down")),
                request = requests.message() => match request? {
                    Some(request) => session.handle_request(request)?,
                    None => return Ok(()),
                },
                // The sender lives in `self.control_plane`.
                _ = session.state.changed() => session.handle_state()?,
                Ok(permit) = responses.reserve(), if session.may_be_due => {
                    if let Some(response) = session.poll_response() {
                        permit.send(Ok(response));
                    }
                }
            }
        }
    }
}

/// A stream and its place among the clients.
struct Session<M> {
    machine: M,
    control_plane: ControlPlane,
    state: watch::Receiver<State>,
    client: Client,
    snapshot: Arc<Snapshot>,
    held: BTreeSet<String>,
    injections: VecDeque<Arc<Injection>>,
    injected: u64,
    /// Whether the machine has not said yet that it has nothing to send.
    may_be_due: bool,
}

impl<M: Machine> Session<M> {
    fn new(control_plane: &ControlPlane, node: Node) -> Self {
        let mut state = control_plane.state();
        let group = control_plane.group(&node);
        let stream = control_plane.next_stream();
        let current = state.borrow_and_update();
        let snapshot = current.groups.get(&group).cloned().unwrap_or_default();
        let client = Client {
            stream,
            node,
            group,
            variant: M::VARIANT,
            revision: current.revision,
            subscriptions: Default::default(),
        };
        let held = current.held.clone();
        drop(current);
        Self {
            machine: M::new(Arc::clone(&snapshot)),
            control_plane: control_plane.clone(),
            state,
            client,
            snapshot,
            held,
            injections: VecDeque::new(),
            injected: 0,
            may_be_due: true,
        }
    }

    fn handle_request(&mut self, request: M::Request) -> Result<(), Status> {
        self.may_be_due = true;
        let handled = self.machine.handle_request(request);
        handled.map_err(|violation| Status::invalid_argument(violation.to_string()))
    }

    fn handle_state(&mut self) -> Result<(), Status> {
        let state = self.state.borrow_and_update();
        if self.client.stream <= state.dropped {
            return Err(Status::unavailable("dropped"));
        }
        let snapshot = state.groups.get(&self.client.group).cloned().unwrap_or_default();
        if !Arc::ptr_eq(&snapshot, &self.snapshot) {
            self.snapshot = Arc::clone(&snapshot);
            self.machine.handle_resources(snapshot);
        }
        let seen = self.injected;
        for injection in state.injections.iter().filter(|it| it.number > seen) {
            self.injected = injection.number;
            if self.client.stream <= injection.streams {
                self.injections.push_back(Arc::clone(injection));
            }
        }
        self.held.clone_from(&state.held);
        self.client.revision = state.revision;
        self.may_be_due = true;
        Ok(())
    }

    fn poll_response(&mut self) -> Option<M::Response> {
        if let Some(injection) = self.injections.pop_front() {
            return Some(self.machine.inject(&injection));
        }
        let response = self.machine.poll_response(&self.held);
        self.may_be_due = response.is_some();
        response
    }

    fn publish(&mut self) {
        self.client.subscriptions = self.machine.subscriptions();
        self.control_plane.publish(self.client.clone());
    }
}

impl<M> Drop for Session<M> {
    fn drop(&mut self) {
        self.control_plane.forget(self.client.stream);
    }
}

/// Waits for the end of the server, if this one ends.
async fn closed(shutdown: &mut Option<watch::Receiver<()>>) {
    match shutdown {
        Some(shutdown) => while shutdown.changed().await.is_ok() {},
        None => std::future::pending().await,
    }
}

type ResponseStream<T> =
    Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send + 'static>>;

#[async_trait]
impl AggregatedDiscoveryService for Service {
    type StreamAggregatedResourcesStream = ResponseStream<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = ResponseStream<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Ok(self.start::<Sotw>(request.into_inner()))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        Ok(self.start::<Delta>(request.into_inner()))
    }
}

/// A subscription to 100,000 names of 100 bytes is 10 MiB.
const MAX_REQUEST: usize = 16 << 20;
