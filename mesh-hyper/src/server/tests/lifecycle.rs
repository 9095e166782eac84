//! Connections under changing configuration.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use mesh_core::route::Action;
use mesh_core::snapshot::Inspection;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use super::kit::{App, Kit, ask, get, routes};
use crate::server::ServingState;
use crate::server::settings::Settings;

const EVERYTHING: [(&str, Action); 1] = [("", Action::NonForwarding)];

/// Answers when it is told to.
fn patient() -> (App, Arc<Notify>, Arc<Notify>) {
    let (called, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let app = App::new({
        let (called, go) = (called.clone(), go.clone());
        move |request| {
            let (called, go) = (called.clone(), go.clone());
            async move {
                if request.uri().path() == "/wait" {
                    called.notify_one();
                    go.notified().await;
                }
                Response::new(crate::full("served"))
            }
        }
    });
    (app, called, go)
}

#[tokio::test]
async fn nothing_is_served_without_configuration() {
    let kit = Kit::unconfigured(App::text("served"), Settings::default());
    assert!(matches!(kit.status.serving(), ServingState::NotServing { .. }));
    let (mut io, task) = kit.connect();
    let mut bytes = Vec::new();
    assert_eq!(io.read_to_end(&mut bytes).await.unwrap(), 0);
    task.await.unwrap();
    kit.publish(1, routes(&EVERYTHING, &[]));
    let (sender, _) = kit.h2().await;
    assert_eq!(ask(&sender, get("/")).await.unwrap().body, "served");
    kit.withdraw();
    let (mut io, _) = kit.connect();
    assert_eq!(io.read_to_end(&mut bytes).await.unwrap(), 0);
}

#[tokio::test]
async fn a_new_listener_drains_old_connections_and_new_routes_do_not() {
    let (app, called, go) = patient();
    let kit = Kit::serving(app);
    let (sender, connection) = kit.h2().await;
    let waiting = tokio::spawn({
        let sender = sender.clone();
        async move { ask(&sender, get("/wait")).await.unwrap().body }
    });
    called.notified().await;
    kit.publish(1, routes(&[("/wait", Action::NonForwarding)], &[]));
    assert_eq!(ask(&sender, get("/")).await.unwrap().status, 404);
    kit.publish(2, routes(&EVERYTHING, &[]));
    // The old connection says that it goes, and goes on with what it has.
    let refused = loop {
        match ask(&sender, get("/")).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(refused) => break refused,
        }
    };
    assert!(refused.is_go_away() && refused.reason() == Some(h2::Reason::NO_ERROR), "{refused}");
    let (fresh, _) = kit.h2().await;
    assert_eq!(ask(&fresh, get("/")).await.unwrap().body, "served");
    go.notify_one();
    assert_eq!(waiting.await.unwrap(), "served");
    drop(sender);
    connection.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_withdrawn_listener_may_end_within_the_grace() {
    let (app, called, _go) = patient();
    let kit = Kit::serving(app);
    let (sender, _) = kit.h2().await;
    let waiting = tokio::spawn(async move { ask(&sender, get("/wait")).await });
    called.notified().await;
    let start = tokio::time::Instant::now();
    kit.withdraw();
    assert!(waiting.await.unwrap().is_err());
    let elapsed = start.elapsed();
    assert!(
        elapsed >= Duration::from_secs(600) && elapsed < Duration::from_secs(601),
        "{elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn idle_and_old_connections_are_let_go() {
    for (idle, age, expect) in [(Some(9), None, 18), (None, Some(5), 5)] {
        let settings = Settings {
            idle_timeout: idle.map(Duration::from_secs),
            max_age: age.map(Duration::from_secs),
            ..Settings::default()
        };
        let kit = Kit::bounded(App::text("served"), settings);
        let (sender, connection) = kit.h2().await;
        let start = tokio::time::Instant::now();
        assert_eq!(ask(&sender, get("/")).await.unwrap().body, "served");
        connection.await.unwrap().unwrap();
        let elapsed = start.elapsed().as_secs();
        assert_eq!(elapsed, expect);
    }
}

#[tokio::test]
async fn tls_on_a_chain_without_it_gets_no_byte() {
    for inspection in [Inspection::Addresses, Inspection::FirstByte] {
        let kit = Kit::serving(App::text("served"));
        kit.publish_with(1, inspection, routes(&EVERYTHING, &[]));
        let (mut io, task) = kit.connect();
        io.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00]).await.unwrap();
        task.await.unwrap();
        let mut bytes = Vec::new();
        assert_eq!(io.read_to_end(&mut bytes).await.unwrap(), 0);
        let (sender, _) = kit.h2().await;
        assert_eq!(ask(&sender, get("/")).await.unwrap().body, "served");
    }
}

#[tokio::test]
async fn draining_ends_connections_when_their_requests_have_ended() {
    let (app, called, go) = patient();
    let kit = Kit::serving(app);
    let (sender, connection) = kit.h2().await;
    let waiting = tokio::spawn(async move { ask(&sender, get("/wait")).await });
    called.notified().await;
    kit.status.stop();
    assert_eq!(kit.status.serving(), ServingState::Stopping);
    kit.status.drain();
    go.notify_one();
    assert_eq!(waiting.await.unwrap().unwrap().body, "served");
    connection.await.unwrap().unwrap();
    // HTTP/1.1 says that it goes with the next response.
    let (mut io, task) = kit.connect();
    io.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    io.read_to_end(&mut bytes).await.unwrap();
    task.await.unwrap();
}

#[tokio::test]
async fn what_comes_while_a_connection_drains_is_decided_by_the_new_listener() {
    let kit = Kit::serving(App::text("served"));
    let (sender, connection) = kit.h2().await;
    assert_eq!(ask(&sender, get("/")).await.unwrap().body, "served");
    let body = bytes::Bytes::new();
    let gone = Action::DirectResponse { status: StatusCode::GONE, body };
    kit.publish(2, routes(&[("", gone)], &[]));
    // Nobody has told the client yet that the connection drains.
    assert_eq!(ask(&sender, get("/")).await.unwrap().status, StatusCode::GONE);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn where_tls_becomes_required_nothing_more_is_served_in_plain_text() {
    let kit = Kit::serving(App::text("served"));
    let (sender, connection) = kit.h2().await;
    assert_eq!(ask(&sender, get("/")).await.unwrap().body, "served");
    kit.publish_secured(2);
    let answer = ask(&sender, get("/")).await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    connection.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_frozen_client_does_not_outlast_the_drain() {
    let settings = Settings { keepalive: None, ..Settings::default() };
    let kit = Kit::bounded(App::text("served"), settings);
    let (mut io, task) = kit.connect();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    io.write_all(preface).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    kit.withdraw();
    let start = tokio::time::Instant::now();
    task.await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 600);
}
