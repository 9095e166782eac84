//! Who the servers and their clients are.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use mesh_core::identity::{Feed, Material, Trust};
use mesh_xds::identity::{DevCa, Request};

/// Writes an authority's certificate, the server's and those of clients to `folder`, where Envoy and
/// the clients find them; the servers' identity.
pub(crate) fn write(folder: &Path) -> Arc<Feed> {
    let ca = DevCa::new("td").unwrap();
    fs::write(folder.join("authority.pem"), ca.root_pem()).unwrap();
    let issue = |name: &str, request: &Request| {
        let issued = ca.issue(request).unwrap();
        fs::write(folder.join(format!("{name}.pem")), issued.chain_pem()).unwrap();
        fs::write(folder.join(format!("{name}.key")), issued.key_pem()).unwrap();
        issued.identity()
    };
    let nobody = || ca.workload("/nobody").without_uris();
    for (name, request) in [
        ("uri", ca.workload("/a")),
        ("other", ca.workload("/b")),
        ("dns", nobody().dns_name("a.test").dns_name("b.test")),
        ("both", ca.workload("/a").dns_name("a.test")),
        ("subject", nobody()),
    ] {
        issue(name, &request);
    }
    let identity = Some(issue("server", &ca.workload("/server")));
    // Not those of a trust domain, which would let in nobody without a SPIFFE ID.
    let trust = Trust::Authorities(vec![ca.root_der().clone()]);
    Arc::new(Feed::of(Material { identity, trust, crls: Vec::new() }))
}
