//! What each method does.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tonic::metadata::MetadataMap;
use tonic::server::StreamingService;
use tonic::{Request, Response, Status, Streaming};

use super::ledger::{Entry, Ledger};

type Sender = mpsc::Sender<Result<Bytes, Status>>;

/// One call.
pub(super) struct Script {
    pub(super) method: String,
    pub(super) peer: SocketAddr,
    pub(super) ledger: Arc<Ledger>,
}

impl StreamingService<Bytes> for Script {
    type Response = Bytes;
    type ResponseStream = Answers;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answers>, Status>> + Send>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let (method, ledger) = (std::mem::take(&mut self.method), self.ledger.clone());
        let peer = self.peer.to_string();
        Box::pin(async move {
            let (metadata, _, mut asks) = request.into_parts();
            let (sender, receiver) = mpsc::channel(1);
            if method == "Report" || method == "Release" {
                let case = asks.message().await?.unwrap_or_default();
                let case = String::from_utf8_lossy(&case);
                if method == "Release" {
                    ledger.release(&case).notify_one();
                }
                sender.try_send(Ok(ledger.report(&case).into())).ok();
                return Ok(Response::new(Answers { receiver, entry: None }));
            }
            // Behind a proxy, the connection that counts is the one to the proxy.
            let connection = text(&metadata, "x-connection").unwrap_or(&peer);
            let case = text(&metadata, "x-case").unwrap_or_default();
            let id = text(&metadata, "x-id").unwrap_or_default();
            let mut entry = ledger.enter(case, id, connection);
            if method == "Refuse" {
                entry.end();
                return Err(Status::failed_precondition("not today"));
            }
            let pause = text(&metadata, "x-pause-ms").and_then(|pause| pause.parse().ok());
            let pause = Duration::from_millis(pause.unwrap_or_default());
            let release = ledger.release(case);
            tokio::spawn(async move {
                // The only pauses that there are; the callers wait for what comes after them.
                tokio::time::sleep(pause).await;
                if method == "Hold" {
                    release.notified().await;
                }
                play(&method, asks, sender).await;
            });
            Ok(Response::new(Answers { receiver, entry: Some(entry) }))
        })
    }
}

fn text<'a>(metadata: &'a MetadataMap, name: &str) -> Option<&'a str> {
    metadata.get(name)?.to_str().ok()
}

async fn play(method: &str, asks: Streaming<Bytes>, sender: Sender) {
    match method {
        "Chat" => chat(asks, sender).await,
        "Count" | "Hold" => count(asks, sender).await,
        "Flood" => flood(asks, sender).await,
        "Early" => drop(sender.send(Ok(Bytes::from_static(b"early"))).await),
        "Hang" => hang(asks, sender).await,
        _ => drop(sender.send(Err(Status::unimplemented(method))).await),
    }
}

/// Sends every message back.
async fn chat(mut asks: Streaming<Bytes>, sender: Sender) {
    while let Ok(Some(message)) = asks.message().await {
        if sender.send(Ok(message)).await.is_err() {
            return;
        }
    }
}

/// Says how many messages and bytes came.
async fn count(mut asks: Streaming<Bytes>, sender: Sender) {
    let (mut messages, mut bytes) = (0, 0);
    while let Ok(Some(message)) = asks.message().await {
        messages += 1;
        bytes += message.len();
    }
    sender.send(Ok(format!("{messages} {bytes}").into())).await.ok();
}

/// Sends as many one-byte messages as it is asked for.
async fn flood(mut asks: Streaming<Bytes>, sender: Sender) {
    let Ok(Some(wanted)) = asks.message().await else { return };
    let wanted: u32 = String::from_utf8_lossy(&wanted).parse().unwrap_or_default();
    for _ in 0..wanted {
        if sender.send(Ok(Bytes::from_static(b"x"))).await.is_err() {
            return;
        }
    }
}

/// Answers some messages, and never ends by itself.
async fn hang(mut asks: Streaming<Bytes>, sender: Sender) {
    while let Ok(Some(_)) = asks.message().await {
        if sender.send(Ok(Bytes::from_static(&[0; 16 * 1024]))).await.is_err() {
            return;
        }
    }
    sender.closed().await;
}

/// The answers to one call; when they are dropped before their end, the call was cancelled.
pub(super) struct Answers {
    receiver: mpsc::Receiver<Result<Bytes, Status>>,
    entry: Option<Entry>,
}

impl Stream for Answers {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.receiver.poll_recv(cx));
        if let (None, Some(entry)) = (&next, &mut self.entry) {
            entry.end();
        }
        Poll::Ready(next)
    }
}
