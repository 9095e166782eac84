//! HTTP/1.1, in bytes.

use std::sync::Arc;
use std::time::Duration;

use http::Response;
use mesh_core::identity::{Clients, ServerTls};
use mesh_core::listener::ChainMatch;
use mesh_core::route::Action;
use mesh_core::snapshot::Inspection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::kit::{App, Kit, anonymous, everything, routes, say};
use super::pretence::HELLO;

fn echo() -> App {
    App::new(|request| async move {
        let host = request.headers()["host"].to_str().unwrap().to_owned();
        Response::new(crate::full(format!("{host}{} end", request.uri().path())))
    })
}

#[tokio::test]
async fn one_connection_carries_requests_one_after_the_other() {
    let (mut io, _) = Kit::serving(echo()).connect();
    let first = say(&mut io, "GET /a HTTP/1.1\r\nhost: one\r\n\r\n", "end").await;
    assert!(first.starts_with("HTTP/1.1 200 OK") && first.ends_with("one/a end"), "{first}");
    // The absolute form says it all (RFC 9112 §3.2.2).
    let second = "GET http://two/b HTTP/1.1\r\nhost: three\r\n\r\n";
    assert!(say(&mut io, second, "end").await.ends_with("two/b end"));
}

#[tokio::test]
async fn requests_that_are_for_nobody_or_for_two_are_refused() {
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: user@a\r\n\r\n",
        "GET http://user@a/ HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET * HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let (mut io, _) = Kit::serving(echo()).connect();
        let seen = say(&mut io, request, "\r\n\r\n").await;
        assert!(seen.contains(" 400 Bad Request"), "{request:?} {seen}");
    }
}

#[tokio::test]
async fn new_routes_reach_a_connection_that_is_open() {
    let kit = Kit::serving(echo());
    let (mut io, _) = kit.connect();
    let request = "GET /a HTTP/1.1\r\nhost: one\r\n\r\n";
    assert!(say(&mut io, request, "end").await.starts_with("HTTP/1.1 200"));
    kit.publish(1, routes(&[("/b", Action::NonForwarding)], &[]));
    assert!(say(&mut io, request, "request").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn smuggled_lengths_are_refused() {
    for fields in [
        "content-length: 1\r\ncontent-length: 2",
        "transfer-encoding: chunked, identity",
        "content-length: +1",
    ] {
        let (mut io, _) = Kit::serving(echo()).connect();
        let request = format!("POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n");
        let seen = say(&mut io, &request, "\r\n\r\n").await;
        assert!(seen.starts_with("HTTP/1.1 400"), "{fields} {seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_ends_the_connection() {
    for beginning in ["", "GET / HT", "PRI * HTTP/2.0\r\n\r\nSM"] {
        let (mut io, task) = Kit::serving(echo()).connect();
        let start = tokio::time::Instant::now();
        io.write_all(beginning.as_bytes()).await.unwrap();
        task.await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(31), "{beginning:?}");
        let mut rest = Vec::new();
        io.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{beginning:?}");
    }
}

#[tokio::test]
async fn a_server_that_stops_asks_its_clients_to_go() {
    let kit = Kit::serving(echo());
    let (mut io, task) = kit.connect();
    let request = "GET /a HTTP/1.1\r\nhost: one\r\n\r\n";
    let before = say(&mut io, request, "end").await;
    assert!(!before.contains("connection: close"), "{before}");
    kit.status.stop();
    let after = say(&mut io, request, "end").await;
    assert!(after.contains("connection: close\r\n"), "{after}");
    task.await.unwrap();
}

const ASKED: &str = "GET /a HTTP/1.1\r\nhost: one\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn what_is_under_way_when_the_listener_is_replaced_is_answered() {
    let kit = Kit::serving(echo());
    let (mut io, task) = kit.connect();
    let before = say(&mut io, ASKED, "end").await;
    assert!(!before.contains("connection: close"), "{before}");
    // The connection hears of it first, with nothing to be read.
    kit.publish(2, everything());
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    let after = say(&mut io, ASKED, "end").await;
    assert!(
        after.starts_with("HTTP/1.1 200") && after.contains("connection: close\r\n"),
        "{after}"
    );
    task.await.unwrap();
    assert_eq!(io.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_asks_no_more_after_a_new_listener_is_closed_after_the_delay() {
    let kit = Kit::serving(echo());
    let (mut io, task) = kit.connect();
    say(&mut io, ASKED, "end").await;
    let start = tokio::time::Instant::now();
    kit.publish(2, everything());
    // The one after it does not begin the delay anew.
    tokio::time::sleep(Duration::from_secs(3)).await;
    kit.publish(3, everything());
    task.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn who_would_not_be_let_in_any_more_is_closed_at_once() {
    // Also one that is asked to go already.
    for asked_before in [false, true] {
        let kit = Kit::serving(echo());
        let (mut io, task) = kit.connect();
        say(&mut io, ASKED, "end").await;
        let start = tokio::time::Instant::now();
        if asked_before {
            kit.publish(2, everything());
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let chain = (ChainMatch::default(), anonymous(), everything());
        kit.publish_chains(3, Inspection::Addresses, vec![chain]);
        task.await.unwrap();
        assert_eq!(start.elapsed().as_secs(), u64::from(asked_before));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_waited_for_where_nothing_is_served() {
    let kit = Kit::serving(echo());
    let (mut io, task) = kit.connect();
    say(&mut io, ASKED, "end").await;
    let start = tokio::time::Instant::now();
    kit.withdraw();
    task.await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_new_when_the_server_stops_has_its_first_answer() {
    let kit = Kit::serving(echo());
    let tls = ServerTls {
        identity: "default".into(),
        clients: Clients::Anonymous,
        protocols: ["http/1.1".into()].into(),
    };
    let chain = (ChainMatch::default(), Some(Arc::new(tls)), everything());
    kit.publish_chains(1, Inspection::Addresses, vec![chain]);
    let (mut silent, waiting) = kit.connect();
    silent.write_all(&HELLO).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = tokio::time::Instant::now();
    let (mut asking, answered) = kit.connect();
    asking.write_all(&HELLO).await.unwrap();
    kit.status.stop();
    kit.status.drain();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answer = say(&mut asking, ASKED, "end").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    answered.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 1);
    // One that has been silent for longer is not waited for as long.
    waiting.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 4);
}
