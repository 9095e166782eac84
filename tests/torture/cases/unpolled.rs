//! A stream in both directions on which the client sends everything before it looks at an answer.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use super::Size;
use crate::client::{Lane, fed};
use crate::findings::Findings;

pub(super) async fn run(lane: Lane, size: Size, mut found: Findings) -> Findings {
    let link = lane.plain(|_| {});
    // There is a connection, so that the call is sent at once.
    link.say(Bytes::from_static(b"hello")).await.unwrap();
    let (feed, body) = fed();
    let mut opening = pin!(link.open("Chat", Duration::ZERO, body));
    let early = poll_fn(|cx| Poll::Ready(opening.as_mut().poll(cx))).await;
    // Nobody polls for the head of the response, nor for what follows.
    let mut sent = 0;
    for n in 0..size.messages {
        feed.send(n.to_string().into()).await.unwrap();
        sent += 1;
    }
    drop(feed);
    let answers = match early {
        Poll::Ready(answers) => answers,
        Poll::Pending => opening.await,
    };
    let (mut answers, mut read) = (answers.unwrap().into_inner(), 0);
    while let Some(message) = answers.message().await.unwrap() {
        assert_eq!(message, read.to_string());
        read += 1;
    }
    found.exactly("sent unpolled", sent, size.messages.into());
    found.exactly("answers", read, size.messages.into());
    found.exactly("connections", lane.report().await.connections, 1);
    found.exactly("left under way", link.left_under_way().await, 0);
    found
}
