//! Several identities in one process.

use mesh_core::identity::Session;
use mesh_tests::yaml::{LISTENER, routes};
use mesh_tests::{EchoClient, Message};
use mesh_tonic::Channel;
use mesh_xds::identity::DevCa;

use crate::{cluster, door, feed, tls};

#[tokio::test]
async fn connections_are_not_shared_between_identities() {
    let ca = DevCa::new("td").unwrap();
    let door = door(feed(&ca, &ca.workload("/server"))).await;
    let directory = tempfile::tempdir().unwrap();
    // Two clusters with the same endpoint, and one channel that uses both.
    let to = |tenant: &str| {
        format!("{{ match: {{ path: /test.Echo/{tenant} }}, route: {{ cluster: {tenant} }} }}")
    };
    let own = |tenant: &str| {
        let secured = tls("spiffe://td/server").replacen("default", tenant, 1);
        cluster(door.address(), &secured).replace("name: a\n", &format!("name: {tenant}\n"))
    };
    let all = [LISTENER, &routes(&[&to("red"), &to("blue")]), &own("red"), &own("blue")].concat();
    std::fs::write(directory.path().join("mesh.yaml"), all).unwrap();
    let mesh = mesh_xds::Mesh::builder()
        .files(directory.path())
        .identity("default", feed(&ca, &ca.workload("/nobody")))
        .identity("red", feed(&ca, &ca.workload("/ns/red/sa/web")))
        .identity("blue", feed(&ca, &ca.workload("/ns/blue/sa/web")))
        .build()
        .unwrap();
    let mut client = EchoClient::new(Channel::new(&mesh, "xds:///greeter").unwrap());
    for _ in 0..3 {
        client.call("/test.Echo/red", Message::default()).await.unwrap();
        client.call("/test.Echo/blue", Message::default()).await.unwrap();
    }
    assert_eq!(door.calls(), 6);
    let names = door.entries().into_iter().map(|entry| id(&entry.unwrap())).collect::<Vec<_>>();
    assert_eq!(names, ["spiffe://td/ns/red/sa/web", "spiffe://td/ns/blue/sa/web"]);
}

fn id(session: &Session) -> String {
    session.certificate.as_ref().unwrap().spiffe_id.as_ref().unwrap().to_string()
}
