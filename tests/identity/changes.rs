//! Configuration that changes while connections are open.

use std::time::Duration;

use mesh_xds::identity::DevCa;

use crate::{World, call, cluster, door, feed, tls};

#[tokio::test]
async fn both_sides_prove_who_they_are() {
    let ca = DevCa::new("td").unwrap();
    let door = door(feed(&ca, &ca.workload("/server"))).await;
    let client = feed(&ca, &ca.workload("/client"));
    let world = World::new(client, &cluster(door.address(), &tls("spiffe://td/server")));
    let mut client = world.client();
    assert_eq!(call(&mut client).await, Ok("a".into()));
    let entries = door.entries();
    let [Some(session)] = &*entries else { panic!("{entries:?}") };
    assert_eq!(session.server_name.as_deref(), Some("a.example"));
    // Of what is offered to a workload behind a sidecar, this door knows the last.
    assert_eq!(session.protocol.as_deref(), Some(&b"h2"[..]));
    let id = session.certificate.as_ref().unwrap().spiffe_id.as_ref().unwrap();
    assert_eq!(id.as_str(), "spiffe://td/client");
}

#[tokio::test]
async fn from_plain_text_to_tls_at_existing_endpoints() {
    let ca = DevCa::new("td").unwrap();
    let door = door(feed(&ca, &ca.workload("/server"))).await;
    let world = World::new(feed(&ca, &ca.workload("/client")), &cluster(door.address(), ""));
    let mut client = world.client();
    assert_eq!(call(&mut client).await, Ok("a".into()));
    assert_eq!(door.entries(), [None]);
    world.update(&cluster(door.address(), &tls("spiffe://td/server")));
    // Not one call fails while the file is taken and the connection replaced.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while door.entries().len() < 2 {
        assert_eq!(call(&mut client).await, Ok("a".into()));
        assert!(tokio::time::Instant::now() < deadline);
    }
    assert!(door.entries()[1].is_some());
    // And none goes out in plain text from then on.
    for _ in 0..10 {
        assert_eq!(call(&mut client).await, Ok("a".into()));
    }
    assert_eq!(door.entries().len(), 2);
}

#[tokio::test]
async fn endpoints_are_secured_by_their_labels() {
    let ca = DevCa::new("td").unwrap();
    let door = door(feed(&ca, &ca.workload("/server"))).await;
    let socket = tls("spiffe://td/server").replace("\n", "\n    ");
    let matches = |label: &str| {
        format!(
            "transport_socket_matches:\n  - name: istio\n    match: {{ tlsMode: {label} }}\n    {socket}\n"
        )
    };
    let client = feed(&ca, &ca.workload("/client"));
    let world = World::new(client.clone(), &cluster(door.address(), &matches("istio")));
    assert_eq!(call(&mut world.client()).await, Ok("a".into()));
    let world = World::new(client, &cluster(door.address(), &matches("disabled")));
    assert_eq!(call(&mut world.client()).await, Ok("a".into()));
    let secured: Vec<_> = door.entries().iter().map(Option::is_some).collect();
    assert_eq!(secured, [true, false]);
}

#[tokio::test]
async fn a_revoked_peers_connection_is_closed() {
    let ca = DevCa::new("td").unwrap();
    let server = ca.issue(&ca.workload("/server")).unwrap();
    let mut material = ca.material(&ca.workload("/x")).unwrap();
    material.identity = Some(server.identity());
    let door = door(std::sync::Arc::new(mesh_core::identity::Feed::of(material))).await;
    let source = feed(&ca, &ca.workload("/client"));
    let world = World::new(source.clone(), &cluster(door.address(), &tls("spiffe://td/server")));
    let mut client = world.client();
    assert_eq!(call(&mut client).await, Ok("a".into()));
    // News that concerns others leaves it open.
    let other = ca.issue(&ca.workload("/other")).unwrap();
    let mut material = ca.material(&ca.workload("/client")).unwrap();
    material.crls = vec![ca.revocation_list(&[&other]).unwrap()];
    source.publish(material);
    assert_eq!(call(&mut client).await, Ok("a".into()));
    assert_eq!(door.entries().len(), 1);

    let mut material = ca.material(&ca.workload("/client")).unwrap();
    material.crls = vec![ca.revocation_list(&[&other, &server]).unwrap()];
    source.publish(material);
    door.emptied().await;
    let why = call(&mut client).await.unwrap_err();
    assert!(why.starts_with("Unavailable: ") && why.contains("Revoked"), "{why}");
}

#[tokio::test]
async fn without_an_identity_no_new_connection_is_opened() {
    let ca = DevCa::new("td").unwrap();
    let door = door(feed(&ca, &ca.workload("/server"))).await;
    let source = feed(&ca, &ca.workload("/client"));
    let more = [&tls("spiffe://td/server"), "max_requests_per_connection: 1\n"].concat();
    let world = World::new(source.clone(), &cluster(door.address(), &more));
    let mut client = world.client();
    assert_eq!(call(&mut client).await, Ok("a".into()));
    source.withdraw("the workload is not registered any more");
    let mut why = call(&mut client).await;
    // One connection may have been opened for the next call already.
    if why.is_ok() {
        why = call(&mut client).await;
    }
    let why = why.unwrap_err();
    assert!(why.contains("the workload is not registered any more"), "{why}");
    source.publish(ca.material(&ca.workload("/client")).unwrap());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while call(&mut client).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline);
        // Calls that fail at once leave connections no time to be opened on this thread.
        tokio::task::yield_now().await;
    }
}
