use tonic::Code;

use super::kit::{Server, set, soon};
use crate::control_plane::{
    ControlPlane, Node,
    type_url::{CLUSTER, LISTENER, ROUTES},
};

#[tokio::test]
async fn a_client_gets_what_it_asks_for_and_then_changes() {
    let server = Server::start(ControlPlane::new()).await;
    let first = server.set(&[(LISTENER, "a", "1"), (LISTENER, "b", "2"), (ROUTES, "r", "3")]);
    let mut client = server.sotw("one").await;
    client.subscribe(LISTENER, &["a"]).await;
    let (nonce, contents) = client.receive().await.unwrap();
    assert_eq!(contents, ["1"]);
    client.ack(LISTENER, &["a"], &nonce).await;
    server.client_is(|client| client.is_in_force(first.number())).await;
    client.subscribe(ROUTES, &["r"]).await;
    let (nonce, contents) = client.receive().await.unwrap();
    assert_eq!(contents, ["3"]);
    client.ack(ROUTES, &["r"], &nonce).await;

    let second = server.set(&[(LISTENER, "a", "4"), (ROUTES, "r", "3")]);
    let (nonce, contents) = client.receive().await.unwrap();
    assert_eq!(contents, ["4"]);
    client.ack(LISTENER, &["a"], &nonce).await;
    soon(server.control_plane.in_force(&second)).await.unwrap();

    let seen = &server.control_plane.clients()[0];
    assert_eq!((seen.node.id.as_str(), seen.node.cluster.as_str()), ("one", "one-cluster"));
    assert_eq!(seen.group, ControlPlane::DEFAULT_GROUP);
    let listeners = &seen.subscriptions[LISTENER];
    assert_eq!(listeners.names.iter().collect::<Vec<_>>(), ["a"]);
    assert_eq!(listeners.acked, listeners.sent);
}

#[tokio::test]
async fn a_refusal_is_reported_with_its_reason() {
    let server = Server::start(ControlPlane::new()).await;
    let mut client = server.sotw("one").await;
    client.subscribe(CLUSTER, &[]).await;
    let (nonce, _) = client.receive().await.unwrap();
    client.ack(CLUSTER, &[], &nonce).await;
    let revision = server.set(&[(CLUSTER, "a", "bad")]);
    let (nonce, _) = client.receive().await.unwrap();
    client.nack(CLUSTER, &[], &nonce).await;
    let rejection = soon(server.control_plane.in_force(&revision)).await.unwrap_err();
    assert_eq!(
        rejection.to_string(),
        format!("one rejected version {} of {CLUSTER}: no good", rejection.version)
    );

    let revision = server.set(&[(CLUSTER, "a", "good")]);
    let (nonce, _) = client.receive().await.unwrap();
    client.ack(CLUSTER, &[], &nonce).await;
    soon(server.control_plane.in_force(&revision)).await.unwrap();
}

#[tokio::test]
async fn nodes_are_served_what_their_group_has() {
    let by_cluster = |node: &Node| node.cluster.clone();
    let server = Server::start(ControlPlane::builder().group(by_cluster).build()).await;
    server.control_plane.set("one-cluster", set(&[(CLUSTER, "a", "for one")]));
    server.control_plane.set("two-cluster", set(&[(CLUSTER, "a", "for two")]));
    for (node, expected) in [("one", vec!["for one"]), ("two", vec!["for two"]), ("three", vec![])]
    {
        let mut client = server.sotw(node).await;
        client.subscribe(CLUSTER, &[]).await;
        assert_eq!(client.receive().await.unwrap().1, expected);
    }
}

#[tokio::test]
async fn a_client_that_left_is_forgotten() {
    let server = Server::start(ControlPlane::new()).await;
    let mut client = server.sotw("one").await;
    client.subscribe(CLUSTER, &[]).await;
    server.client_is(|_| true).await;
    drop(client);
    soon(server.control_plane.clients_when(<[_]>::is_empty)).await;
}

#[tokio::test]
async fn a_request_without_a_type_ends_the_stream() {
    let server = Server::start(ControlPlane::new()).await;
    let mut client = server.sotw("one").await;
    client.subscribe("", &[]).await;
    let status = client.receive().await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "the request has no type_url")
    );
}

#[tokio::test]
async fn shutdown_ends_streams_and_then_the_server() {
    let server = Server::start(ControlPlane::new()).await;
    let mut client = server.sotw("one").await;
    client.subscribe(CLUSTER, &[]).await;
    client.receive().await.unwrap();
    server.stop.send(()).unwrap();
    let status = client.receive().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "shutting down"));
    drop(client);
    soon(server.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_is_heard_when_no_connection_can_come_any_more() {
    let server = Server::start_for_one(ControlPlane::new()).await;
    let mut client = server.sotw("one").await;
    client.subscribe(CLUSTER, &[]).await;
    client.receive().await.unwrap();
    server.stop.send(()).unwrap();
    let status = client.receive().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "shutting down"));
    drop(client);
    soon(server.served).await.unwrap().unwrap();
}

#[tokio::test]
async fn faults_do_what_they_say() {
    let server = Server::start(ControlPlane::new()).await;
    server.set(&[(CLUSTER, "a", "1"), (ROUTES, "r", "2")]);
    let faults = server.control_plane.faults();
    faults.hold(CLUSTER);
    let mut client = server.sotw("one").await;
    client.subscribe(CLUSTER, &["a"]).await;
    client.subscribe(ROUTES, &["r"]).await;
    assert_eq!(client.receive().await.unwrap().1, ["2"]);
    let held = server.client_is(|client| client.subscriptions.len() == 2).await;
    assert!(held.subscriptions[CLUSTER].is_due);
    faults.release(CLUSTER);
    assert_eq!(client.receive().await.unwrap().1, ["1"]);

    faults.inject(CLUSTER, "junk", &[b"garbage"]);
    let (nonce, contents) = client.receive().await.unwrap();
    assert_eq!(contents, ["garbage"]);
    client.nack(CLUSTER, &["a"], &nonce).await;
    server.client_is(|client| client.subscriptions[CLUSTER].answer.is_some()).await;

    faults.drop_streams();
    assert_eq!(client.receive().await.unwrap_err().code(), Code::Unavailable);
    let mut again = server.sotw("one").await;
    again.subscribe(CLUSTER, &["a"]).await;
    assert_eq!(again.receive().await.unwrap().1, ["1"], "neither dropped nor given the garbage");
}
