//! Messages to and fro, one at a time.

use std::time::Duration;

use bytes::Bytes;

use super::Size;
use crate::client::{Lane, fed};
use crate::findings::Findings;

pub(super) async fn run(lane: Lane, size: Size, mut found: Findings) -> Findings {
    let link = lane.plain(|_| {});
    let (feed, body) = fed();
    feed.send(Bytes::from_static(b"hello")).await.unwrap();
    let mut answers = link.open("Chat", Duration::ZERO, body).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap(), "hello");
    let mut pongs = 0;
    for n in 0..size.messages {
        let ping = Bytes::from(n.to_string());
        feed.send(ping.clone()).await.unwrap();
        assert_eq!(answers.message().await.unwrap(), Some(ping));
        pongs += 1;
    }
    drop(feed);
    assert_eq!(answers.message().await.unwrap(), None);
    found.exactly("to and fro", pongs, size.messages.into());
    found.exactly("connections", lane.report().await.connections, 1);
    found.exactly("left under way", link.left_under_way().await, 0);
    found
}
