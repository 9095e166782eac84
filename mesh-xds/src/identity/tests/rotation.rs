//! Certificates and authorities in files that are replaced again and again, some of them half.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_core::identity::Trust;

use super::kit::{Directory, presents, until, watch};
use crate::identity::{DevCa, Fed, Issued};
use crate::tls::tests::kit::{Pair, credentials};

/// Certificates of each side.
const SERIALS: usize = 500;

/// One side of the handshakes.
struct Place {
    path: &'static str,
    directory: Directory,
    watcher: Arc<Fed>,
    seen: BTreeSet<Vec<u8>>,
}

impl Place {
    fn new(path: &'static str, ca: &DevCa) -> Self {
        let directory = Directory::new();
        directory.write("ca.pem", ca.root_pem());
        directory.write_pair(&ca.issue(&ca.workload(path)).unwrap());
        let (watcher, _) = watch(directory.files());
        Self { path, directory, watcher: Arc::new(watcher), seen: BTreeSet::new() }
    }

    async fn trust(&self, all: &[&DevCa]) {
        self.directory.write("ca.pem", &all.iter().map(|ca| ca.root_pem()).collect::<String>());
        let trust = Trust::Authorities(all.iter().map(|ca| ca.root_der().clone()).collect());
        until(&*self.watcher, |now| now.as_ref().is_ok_and(|now| now.trust == trust)).await;
    }

    fn issue(&self, ca: &DevCa) -> Issued {
        ca.issue(&ca.workload(self.path)).unwrap()
    }

    /// Leaves a certificate that is cut off, or that the key does not fit.
    fn write_half(&self, issued: &Issued, step: usize) {
        let whole = issued.chain_pem();
        let end = if step.is_multiple_of(20) { whole.len() / 2 } else { whole.len() };
        self.directory.write("cert.pem", &whole[..end]);
    }

    async fn write(&self, issued: &Issued) {
        self.directory.write_pair(issued);
        until(&*self.watcher, |current| presents(current, issued)).await;
    }
}

/// A handshake, in which both sides see each other's certificate.
fn shake(pair: &Pair, client: &mut Place, server: &mut Place, step: usize) {
    let outcome = pair.connect();
    assert_eq!(outcome.faults(), (None, None), "step {step}");
    let (of_client, of_server) = (outcome.server.unwrap(), outcome.client.unwrap());
    client.seen.insert(of_client.peer_certificates().unwrap()[0].to_vec());
    server.seen.insert(of_server.peer_certificates().unwrap()[0].to_vec());
}

#[tokio::test]
async fn no_handshake_fails_while_certificates_and_authorities_are_replaced() {
    let (old, new) = (DevCa::new("td").unwrap(), DevCa::new("td").unwrap());
    let (mut client, mut server) = (Place::new("/client", &old), Place::new("/server", &old));
    let pair = Pair::new(credentials(client.watcher.clone()), credentials(server.watcher.clone()));
    for step in 0..SERIALS {
        // Before the new authority issues anything, everybody trusts it; the old one goes last.
        let trusted: Option<&[&DevCa]> = match step * 4 {
            at if at == SERIALS => Some(&[&old, &new]),
            at if at == SERIALS * 3 => Some(&[&new]),
            _ => None,
        };
        if let Some(all) = trusted {
            client.trust(all).await;
            server.trust(all).await;
        }
        let ca = if step * 2 < SERIALS { &old } else { &new };
        let issued = (client.issue(ca), server.issue(ca));
        if step.is_multiple_of(10) {
            client.write_half(&issued.0, step);
            server.write_half(&issued.1, step);
            shake(&pair, &mut client, &mut server, step);
        }
        client.write(&issued.0).await;
        server.write(&issued.1).await;
        shake(&pair, &mut client, &mut server, step);
    }
    assert!(client.seen.len() >= SERIALS && server.seen.len() >= SERIALS);
}
