//! Connections under a listener that replaces another: they drain, by its rules.

use std::sync::Arc;

use h2::client::SendRequest;
use http::StatusCode;
use mesh_core::identity::{ClientRules, Clients, ServerTls};
use mesh_core::listener::{ChainMatch, NamePattern, Transport};
use mesh_core::route::Action;
use mesh_core::snapshot::{Inspection, Routes};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

use super::kit::{App, Kit, ask, get, routes};
use super::pretence::HELLO;

type Client = (SendRequest<bytes::Bytes>, JoinHandle<Result<(), h2::Error>>);

fn served() -> Routes {
    routes(&[("", Action::NonForwarding)], &[])
}

fn gone() -> Routes {
    let gone = Action::DirectResponse { status: StatusCode::GONE, body: bytes::Bytes::new() };
    routes(&[("", gone)], &[])
}

fn tls(clients: Clients) -> Option<Arc<ServerTls>> {
    Some(Arc::new(ServerTls { identity: "default".into(), clients, protocols: Box::default() }))
}

fn required() -> Clients {
    Clients::Required(ClientRules { authorities: "default".into(), accepted: Box::default() })
}

fn of(transport: Transport) -> ChainMatch {
    ChainMatch { transport: Some(transport), ..ChainMatch::default() }
}

/// A connection by TLS that has had an answer, under a listener that knows only such.
async fn secured(kit: &Kit) -> Client {
    let chain = (ChainMatch::default(), tls(Clients::Anonymous), served());
    kit.publish_chains(1, Inspection::Addresses, vec![chain]);
    let (mut io, _) = kit.connect();
    io.write_all(&HELLO).await.unwrap();
    let (sender, connection) = h2::client::handshake(io).await.unwrap();
    let connection = tokio::spawn(connection);
    assert_eq!(ask(&sender, get("/")).await.unwrap().body, "served");
    (sender, connection)
}

/// The answer to what is asked before the client hears that its connection drains, as it does.
async fn last((sender, connection): Client) -> StatusCode {
    let status = ask(&sender, get("/")).await.unwrap().status;
    connection.await.unwrap().unwrap();
    status
}

#[tokio::test]
async fn what_comes_while_a_connection_drains_is_decided_by_the_new_listener() {
    let kit = Kit::serving(App::text("served"));
    let client = kit.h2().await;
    assert_eq!(ask(&client.0, get("/")).await.unwrap().body, "served");
    kit.publish(2, gone());
    assert_eq!(last(client).await, StatusCode::GONE);
}

#[tokio::test]
async fn where_tls_becomes_required_nothing_more_is_served_in_plain_text() {
    let kit = Kit::serving(App::text("served"));
    let client = kit.h2().await;
    assert_eq!(ask(&client.0, get("/")).await.unwrap().body, "served");
    let chain = (ChainMatch::default(), tls(Clients::Anonymous), served());
    kit.publish_chains(2, Inspection::Addresses, vec![chain]);
    assert_eq!(last(client).await, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_connection_by_tls_goes_on_as_one() {
    for (matched, inspection) in [
        (of(Transport::Tls), Inspection::FirstByte),
        (
            ChainMatch {
                server_names: vec![NamePattern::Exact("name".into())],
                ..of(Transport::Tls)
            },
            Inspection::ClientHello,
        ),
    ] {
        let kit = Kit::serving(App::text("served"));
        let client = secured(&kit).await;
        let chains = vec![
            (of(Transport::Plain), None, served()),
            (matched, tls(Clients::Anonymous), gone()),
        ];
        kit.publish_chains(2, inspection, chains);
        assert_eq!(last(client).await, StatusCode::GONE, "{inspection:?}");
    }
}

#[tokio::test]
async fn who_is_not_accepted_any_more_is_served_nothing_more() {
    let kit = Kit::serving(App::text("served"));
    let client = secured(&kit).await;
    let chain = (ChainMatch::default(), tls(required()), served());
    kit.publish_chains(2, Inspection::Addresses, vec![chain]);
    assert_eq!(last(client).await, StatusCode::SERVICE_UNAVAILABLE);
}
