//! Identities and authorities that are replaced under traffic.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_core::identity::{Feed, Material, Trust};
use mesh_xds::identity::{DevCa, Issued};

use crate::{World, call, cluster, door, tls};

/// An identity of `ca`, and trust in all of `trusted`.
fn material(issued: &Issued, trusted: &[&DevCa]) -> Material {
    let authorities = trusted.iter().map(|ca| ca.root_der().clone()).collect();
    let domain = mesh_core::identity::TrustDomain::parse("td").unwrap();
    let trust = Trust::Domains([(domain, authorities)].into());
    Material { identity: Some(issued.identity()), trust, crls: Vec::new() }
}

#[tokio::test]
async fn no_call_fails_while_certificates_and_authorities_are_replaced() {
    const STEPS: usize = 60;
    let (old, new) = (DevCa::new("td").unwrap(), DevCa::new("td").unwrap());
    let issue = |ca: &DevCa, path: &str| ca.issue(&ca.workload(path)).unwrap();
    let server = Arc::new(Feed::of(material(&issue(&old, "/server"), &[&old])));
    let client = Arc::new(Feed::of(material(&issue(&old, "/client"), &[&old])));
    let door = door(server.clone()).await;
    // A connection for each call, so that each has a handshake.
    let more = [&tls("spiffe://td/server"), "max_requests_per_connection: 1\n"].concat();
    let world = World::new(client.clone(), &cluster(door.address(), &more));
    let mut caller = world.client();
    for step in 0..STEPS {
        // First both authorities are trusted, then the new one is used, then the old one is gone.
        let (ca, trusted): (_, &[&DevCa]) = match step * 4 / STEPS {
            0 => (&old, &[&old]),
            1 => (&old, &[&old, &new]),
            2 => (&new, &[&old, &new]),
            _ => (&new, &[&new]),
        };
        server.publish(material(&issue(ca, "/server"), trusted));
        client.publish(material(&issue(ca, "/client"), trusted));
        for _ in 0..2 {
            assert_eq!(call(&mut caller).await, Ok("a".into()), "step {step}");
        }
    }
    let shown: BTreeSet<_> =
        door.entries().into_iter().filter_map(|session| Some(session?.certificate?.der)).collect();
    assert!(shown.len() >= STEPS / 2, "{} certificates seen", shown.len());
    assert_eq!(door.calls(), 2 * STEPS as u64);
}
