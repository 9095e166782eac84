//! One stream to a management server: a task that opens it and carries messages.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use envoy_types::pb::envoy::service::discovery::v3 as pb;
use pb::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient as Ads;
use tokio::sync::{Notify, mpsc};
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use super::connect;
use super::secure::Secure;
use crate::ads::{Mode, Request, Response};
use crate::bootstrap::Server;
use crate::edges::Edges;

/// The largest response that is read, in bytes: about 500 000 clusters.
const MAX_RESPONSE: usize = 128 << 20;

/// Requests that wait for the server to read them.
pub(super) const REQUESTS: usize = 32;

/// What a link tells the driver. `peer` and `stream` say which stream it is about.
pub(super) struct News {
    pub(super) peer: usize,
    pub(super) stream: u64,
    pub(super) event: Event,
}

pub(super) enum Event {
    /// Requests can be written.
    Connected,
    Response(Box<Response>),
    Closed(String),
}

/// What a stream is made of.
pub(super) struct Link {
    pub(super) peer: usize,
    pub(super) stream: u64,
    pub(super) server: Arc<Server>,
    /// How the connection is secured, if it is.
    pub(super) secure: Option<Arc<Secure>>,
    pub(super) edges: Edges,
    pub(super) mode: Mode,
    pub(super) requests: mpsc::Receiver<Request>,
    /// Told each time the server has taken a request.
    pub(super) taken: Arc<Notify>,
    /// Bounded to one: the next response is read when the driver is done with the one before.
    pub(super) news: mpsc::Sender<News>,
}

/// Carries messages until the stream ends, and says why it did.
pub(super) async fn run(link: Link) {
    let (peer, stream, news) = (link.peer, link.stream, link.news.clone());
    let why = match carry(link).await {
        Ok(()) => "the server ended the stream".to_owned(),
        Err(why) => why,
    };
    // Without a driver there is nobody to tell.
    news.send(News { peer, stream, event: Event::Closed(why) }).await.ok();
}

async fn carry(link: Link) -> Result<(), String> {
    let Link { peer, stream, server, secure, edges, mode, requests, taken, news } = link;
    let channel = connect::connect(&server, secure.as_ref(), &edges).await?;
    let credentials = connect::metadata(&server)?;
    let send = |event| news.send(News { peer, stream, event });
    if send(Event::Connected).await.is_err() {
        return Ok(());
    }
    let mut ads = Ads::new(channel).max_decoding_message_size(MAX_RESPONSE);
    let failed = |status: Status| {
        // What a broken connection says of itself is in the causes alone.
        let why = status.source().map_or_else(|| status.message().to_owned(), connect::full);
        format!("{}: {:?}: {why}", server.uri.as_str(), status.code())
    };
    match mode {
        Mode::StateOfTheWorld => {
            let requests = Requests { requests, taken, pick: sotw };
            let mut request = tonic::Request::new(requests);
            if let Some(value) = credentials {
                request.metadata_mut().insert("authorization", value);
            }
            let answer = ads.stream_aggregated_resources(request).await.map_err(failed)?;
            let mut responses: Streaming<pb::DiscoveryResponse> = answer.into_inner();
            while let Some(response) = responses.message().await.map_err(failed)? {
                let response = Box::new(Response::StateOfTheWorld(response));
                if send(Event::Response(response)).await.is_err() {
                    return Ok(());
                }
            }
        }
        Mode::Incremental => {
            let requests = Requests { requests, taken, pick: incremental };
            let mut request = tonic::Request::new(requests);
            if let Some(value) = credentials {
                request.metadata_mut().insert("authorization", value);
            }
            let answer = ads.delta_aggregated_resources(request).await.map_err(failed)?;
            let mut responses: Streaming<pb::DeltaDiscoveryResponse> = answer.into_inner();
            while let Some(response) = responses.message().await.map_err(failed)? {
                let response = Box::new(Response::Incremental(response));
                if send(Event::Response(response)).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn sotw(request: Request) -> Option<pb::DiscoveryRequest> {
    match request {
        Request::StateOfTheWorld(request) => Some(request),
        Request::Incremental(_) => None,
    }
}

fn incremental(request: Request) -> Option<pb::DeltaDiscoveryRequest> {
    match request {
        Request::Incremental(request) => Some(request),
        Request::StateOfTheWorld(_) => None,
    }
}

/// The requests of one protocol variant, as the stream that tonic sends.
struct Requests<T> {
    requests: mpsc::Receiver<Request>,
    taken: Arc<Notify>,
    pick: fn(Request) -> Option<T>,
}

impl<T> Stream for Requests<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let polled = self.requests.poll_recv(cx);
        if polled.is_ready() {
            self.taken.notify_one();
        }
        let pick = self.pick;
        polled.map(|request| request.and_then(pick))
    }
}
