//! Many messages of one byte, to a reader that pauses.

use std::time::Duration;

use bytes::Bytes;

use super::Size;
use crate::client::{Lane, Link, endless};
use crate::findings::Findings;

pub(super) async fn server_pauses(lane: Lane, size: Size, mut found: Findings) -> Findings {
    let link = lane.plain(|_| {});
    let (body, _) = endless(Bytes::from_static(b"x"), size.messages.into());
    let mut answers = link.open("Chat", size.pause, body).await.unwrap().into_inner();
    let mut read = 0;
    while answers.message().await.unwrap().is_some() {
        read += 1;
    }
    finish(&lane, &link, size, read, &mut found).await;
    found
}

pub(super) async fn client_pauses(lane: Lane, size: Size, mut found: Findings) -> Findings {
    let link = lane.plain(|_| {});
    let body = tokio_stream::once(Bytes::from(size.messages.to_string()));
    let mut answers = link.open("Flood", Duration::ZERO, body).await.unwrap().into_inner();
    link.wait(size.pause).await.unwrap();
    let mut read = 0;
    while answers.message().await.unwrap().is_some() {
        read += 1;
    }
    finish(&lane, &link, size, read, &mut found).await;
    found
}

async fn finish(lane: &Lane, link: &Link, size: Size, read: u64, found: &mut Findings) {
    found.exactly("messages", read, size.messages.into());
    // Whoever breaks the connection is found here.
    link.say(Bytes::from_static(b"still there?")).await.unwrap();
    let report = lane.report().await;
    found.exactly("twice", report.twice, 0);
    found.exactly("connections", report.connections, 1);
    found.exactly("left under way", link.left_under_way().await, 0);
}
