//! A call that is given up after its first poll, its second, and so on through its answer.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::Sender;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Size;
use crate::client::{Lane, Link, fed};
use crate::findings::Findings;

const MESSAGES: u64 = 20;

pub(super) async fn run(lane: Lane, _: Size, mut found: Findings) -> Findings {
    let link = lane.plain(|config| {
        config.connections.max_concurrent_streams = Some(1);
        config.connections.per_endpoint = 1;
    });
    let before = lane.envoy_counter("downstream_rq_rx_reset").await;
    let mut polls = 0;
    // The server never ends its answer: each call ends by being dropped.
    while !is_read(&link, polls).await {
        polls += 1;
        // The only stream is free again, or the next call would wait forever.
        assert_eq!(link.left_under_way().await, 0, "after {polls} polls");
    }
    found.at_least("polls", polls, MESSAGES);
    let report = lane.report_when(|report| report.cancelled == report.calls).await;
    found.at_least("calls at handlers", report.calls, MESSAGES);
    found.exactly("cancelled there", report.cancelled, report.calls);
    found.exactly("twice", report.twice, 0);
    found.exactly("connections", report.connections, 1);
    if let (Some(before), Some(after)) =
        (before, lane.envoy_counter("downstream_rq_rx_reset").await)
    {
        // Some are reset before Envoy has sent them on.
        found.at_least("resets at Envoy", after - before, report.calls);
    }
    found.exactly("left under way", link.left_under_way().await, 0);
    found
}

/// Polls a call and its answer so often, each time when it has asked for it; whether all of the
/// answer was read by then.
async fn is_read(link: &Link, polls: u64) -> bool {
    // Kept here, so that the request does not end.
    let (feed, body) = fed();
    let mut talk = pin!(talk(link, &feed, body));
    let mut left = polls;
    let done = poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        let polled = talk.as_mut().poll(cx);
        if left == 0 && polled.is_pending() {
            return Poll::Ready(None);
        }
        polled.map(Some)
    });
    done.await.transpose().unwrap().is_some()
}

/// Some messages to and fro, of which each takes a poll at least.
async fn talk(
    link: &Link,
    feed: &Sender<Bytes>,
    body: ReceiverStream<Bytes>,
) -> Result<(), Status> {
    let ask = || async { feed.send(Bytes::from_static(b"more")).await.ok() };
    ask().await;
    let mut answers = link.open("Hang", Duration::ZERO, body).await?.into_inner();
    for _ in 0..MESSAGES {
        answers.message().await?;
        ask().await;
    }
    Ok(())
}
