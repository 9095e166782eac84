//! The list in one process, at a smaller size.

use crate::cases::{self, Size};
use crate::client::Lane;
use crate::{Kind, Servers, server};

async fn passes(name: &'static str) {
    let [plain, one, goaway] = server::start().await;
    let servers = Servers { kind: Kind::Hyper, plain, one, goaway, admin: None, pid: None };
    let (_, case) = cases::ALL.iter().find(|(known, _)| *known == name).unwrap();
    let findings = cases::judged(name, *case, Lane::new(servers, name), Size::SMALL).await;
    assert_eq!(findings.misses(), 0, "{findings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_streams_and_many_calls_share_a_connection() {
    passes("large-each-way-and-1000-calls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_messages_arrive_at_readers_that_pause() {
    passes("small-messages-server-pauses").await;
    passes("small-messages-client-pauses").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_send_everything_before_it_polls() {
    passes("bidi-sends-without-polling").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_to_and_fro() {
    passes("ping-pong").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_may_answer_before_they_read() {
    passes("answer-before-the-body-is-read").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_share_the_single_streams_of_few_connections() {
    passes("one-stream-a-connection").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_or_comes_twice_when_servers_go_away() {
    passes("goaway-every-50").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_may_be_dropped_after_any_poll() {
    passes("drop-at-every-poll").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_stops_reading_costs_no_memory() {
    passes("peer-stops-reading").await;
}
