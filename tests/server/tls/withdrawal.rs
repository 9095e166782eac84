//! Identities and authorities that change while connections come and stay.

use mesh_core::identity::Material;
use mesh_xds::identity::DevCa;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::kit::{Caller, World, ask, feed, rest, strict};

#[tokio::test]
async fn each_handshake_presents_the_newest_identity() {
    let world = World::start(&[strict()]).await;
    let caller = world.client("/client");
    let mut first = caller.connect(world.served.port).await.unwrap();
    assert_eq!(ask(&mut first, "").await.unwrap(), "spiffe://td/client");
    for _ in 0..50 {
        let issued = world.ca.issue(&world.ca.workload("/server")).unwrap();
        let identity = Some(issued.identity());
        world.source.publish(Material { identity, trust: world.ca.trust(&[]), crls: Vec::new() });
        let mut io = caller.connect(world.served.port).await.unwrap();
        let shown = io.get_ref().1.peer_certificates().unwrap()[0].clone();
        assert_eq!(&shown[..], &issued.der()[..]);
        assert_eq!(ask(&mut io, "").await.unwrap(), "spiffe://td/client");
    }
    // Rotation ends no connection.
    assert_eq!(ask(&mut first, "").await.unwrap(), "spiffe://td/client");
}

#[tokio::test]
async fn a_revoked_client_loses_its_open_connection() {
    let mut world = World::start(&[strict()]).await;
    let port = world.served.port;
    let issued = world.ca.issue(&world.ca.workload("/client")).unwrap();
    let trust = || world.ca.trust(&[]);
    let shows = Material { identity: Some(issued.identity()), trust: trust(), crls: Vec::new() };
    let revoked = Caller::new(std::sync::Arc::new(mesh_core::identity::Feed::of(shows)));
    let mut io = revoked.connect(port).await.unwrap();
    assert_eq!(ask(&mut io, "").await.unwrap(), "spiffe://td/client");
    let mut other = world.client("/other").connect(port).await.unwrap();
    assert_eq!(ask(&mut other, "").await.unwrap(), "spiffe://td/other");

    let own = world.ca.issue(&world.ca.workload("/server")).unwrap().identity();
    let crls = vec![world.ca.revocation_list(&[&issued]).unwrap()];
    world.source.publish(Material { identity: Some(own), trust: trust(), crls });
    assert_eq!(rest(&mut io).await, [0u8; 0]);
    let why = "the peer is not accepted any more: it has been revoked";
    assert_eq!(world.refusal().await, why);
    assert_eq!(ask(&mut other, "").await.unwrap(), "spiffe://td/other");
    let error = revoked.get(port).await.unwrap_err();
    assert!(error.contains("CertificateRevoked"), "{error}");
}

#[tokio::test]
async fn trust_that_is_withdrawn_ends_open_connections() {
    let mut world = World::start(&[strict()]).await;
    let mut io = world.client("/client").connect(world.served.port).await.unwrap();
    assert_eq!(ask(&mut io, "").await.unwrap(), "spiffe://td/client");
    let successor = DevCa::new("td").unwrap();
    world.source.publish(successor.material(&successor.workload("/server")).unwrap());
    assert_eq!(rest(&mut io).await, [0u8; 0]);
    assert!(world.refusal().await.starts_with("the peer is not accepted any more: "));
    let caller = Caller::new(feed(&successor, &successor.workload("/new")));
    assert_eq!(caller.get(world.served.port).await.unwrap(), "spiffe://td/new");
}

#[tokio::test]
async fn an_upgraded_connection_ends_with_the_trust_in_its_client() {
    let mut world = World::start(&[strict()]).await;
    let mut io = world.client("/client").connect(world.served.port).await.unwrap();
    let request =
        "GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    io.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(io.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    io.write_all(b"x").await.unwrap();
    assert_eq!(io.read_u8().await.unwrap(), b'x');
    let successor = DevCa::new("td").unwrap();
    world.source.publish(successor.material(&successor.workload("/server")).unwrap());
    assert_eq!(rest(&mut io).await, [0u8; 0]);
    assert!(world.refusal().await.starts_with("the peer is not accepted any more: "));
}
