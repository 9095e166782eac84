//! A control plane with one fixed answer per resource type (state of the world only).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use tokio::sync::mpsc;
use tokio_stream::Pending;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::resources;

pub(crate) fn service(endpoints: Vec<SocketAddr>) -> AggregatedDiscoveryServiceServer<Ads> {
    AggregatedDiscoveryServiceServer::new(Ads { endpoints: endpoints.into() })
}

#[derive(Debug)]
pub(crate) struct Ads {
    endpoints: Arc<[SocketAddr]>,
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for Ads {
    type StreamAggregatedResourcesStream = ReceiverStream<Result<DiscoveryResponse, Status>>;
    type DeltaAggregatedResourcesStream = Pending<Result<DeltaDiscoveryResponse, Status>>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        let (responses, receiver) = mpsc::channel(1);
        tokio::spawn(answer(request.into_inner(), responses, Arc::clone(&self.endpoints)));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn delta_aggregated_resources(
        &self,
        _: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("state of the world only"))
    }
}

/// Answers each subscription once: as nothing ever changes, a request that asks for the same
/// names again is an ACK.
async fn answer(
    mut requests: Streaming<DiscoveryRequest>,
    responses: mpsc::Sender<Result<DiscoveryResponse, Status>>,
    endpoints: Arc<[SocketAddr]>,
) {
    let mut asked = HashMap::new();
    while let Ok(Some(request)) = requests.message().await {
        let DiscoveryRequest { type_url, resource_names, error_detail, .. } = request;
        if let Some(error) = error_detail {
            eprintln!("the client refused {type_url}: {}", error.message);
        }
        let before = asked.insert(type_url.clone(), resource_names.clone());
        if before.as_ref() == Some(&resource_names) {
            continue;
        }
        let response = DiscoveryResponse {
            version_info: "1".to_owned(),
            nonce: "1".to_owned(),
            resources: resources::of_type(&type_url, &endpoints).into_iter().collect(),
            type_url,
            ..DiscoveryResponse::default()
        };
        if responses.send(Ok(response)).await.is_err() {
            return;
        }
    }
}
