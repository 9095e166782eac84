//! A SPIFFE agent that gives, takes away, talks nonsense and is gone.

use std::sync::Arc;
use std::time::Duration;

use mesh_core::identity::{Refusal, Source, Trust};
use mesh_core::record::Recorder;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::runtime::Handle;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::kit::{Notes, presents, until};
use crate::bootstrap;
use crate::identity::{AgentSettings, DevCa, Fed, Issued};
use crate::proto::workload::X509SvidResponse;
use crate::testing::{Grant, InMemory, WorkloadApi as Agent, settle};
use crate::tls::{Credentials, PeerCheck, Side};

/// An agent in memory, and a source that asks it.
struct World {
    network: Arc<InMemory>,
    agent: Agent,
    notes: Arc<Notes>,
    source: Arc<Fed>,
}

impl World {
    fn new(hint: Option<&str>) -> Self {
        let (network, agent) = (Arc::new(InMemory::default()), Agent::new());
        agent.serve(UnboundedReceiverStream::new(network.listen()));
        let notes = Arc::new(Notes::default());
        let settings = AgentSettings {
            name: "default".into(),
            agent: bootstrap::WorkloadApi {
                socket: Some(bootstrap::ServerUri::parse("unix:/agent").unwrap()),
                hint: hint.map(str::to_owned),
            },
            crypto: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            recorder: Some(notes.clone() as Arc<dyn Recorder>),
        };
        let source = settings.reached_by(network.edges(), &Handle::current());
        Self { network, agent, notes, source: Arc::new(source) }
    }

    async fn grant(&self, grant: Grant) {
        self.agent.grant(grant);
        // Longer than the longest pause before the agent is asked again.
        tokio::time::sleep(Duration::from_secs(40)).await;
    }

    fn presents(&self, issued: &Issued) -> bool {
        presents(&self.source.current(), issued)
    }

    /// Whether this source lets `peer` in.
    fn admits(&self, peer: &Issued) -> Result<(), Refusal> {
        let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let credentials = Arc::new(Credentials::new("default", self.source.clone(), crypto));
        let check = PeerCheck::new(credentials, &[], Side::Client);
        check.check(&[CertificateDer::from(peer.der().to_vec())], UnixTime::now())
    }
}

fn issue(ca: &DevCa, path: &str) -> Issued {
    ca.issue(&ca.workload(path)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_the_agent_says_replaces_all_that_it_has_said() {
    let (ca, other) = (DevCa::new("td").unwrap(), DevCa::new("other").unwrap());
    let (first, second) = (issue(&ca, "/w"), issue(&ca, "/w"));
    let world = World::new(None);
    world.grant(Grant::new(&ca, &first.identity()).federated(&other)).await;
    assert!(world.presents(&first));
    assert_eq!(world.source.current().unwrap().trust, ca.trust(&[&other]));
    let list = ca.revocation_list(&[&first]).unwrap();
    world.grant(Grant::new(&ca, &second.identity()).revocation_list(&list)).await;
    assert!(world.presents(&second));
    let material = world.source.current().unwrap();
    assert_eq!((&material.trust, &material.crls), (&ca.trust(&[]), &vec![list]));
    let told = world.notes.lines();
    assert_eq!(told[told.len() - 2..], ["default: renewed", "default: renewed"]);
    assert_eq!(world.admits(&first), Err(Refusal::Revoked));
}

#[tokio::test(start_paused = true)]
async fn who_is_denied_has_no_identity_any_more() {
    let ca = DevCa::new("td").unwrap();
    let own = issue(&ca, "/w");
    let world = World::new(None);
    settle().await;
    let denied = "the agent says PermissionDenied: no identity issued";
    assert_eq!(world.source.current().unwrap_err().to_string(), denied);
    world.grant(Grant::new(&ca, &own.identity())).await;
    assert!(world.presents(&own));
    world.agent.deny();
    settle().await;
    assert_eq!(world.source.current().unwrap_err().to_string(), denied);
    assert!(world.notes.lines().ends_with(&[format!("default: withdrawn: {denied}")]));
    assert!(matches!(world.admits(&own), Err(Refusal::NoAuthorities(_))));
    world.grant(Grant::new(&ca, &own.identity())).await;
    assert!(world.presents(&own));
    // A message without an identity says the same.
    world.agent.grant(empty(&ca, &own));
    settle().await;
    let gone = world.source.current().unwrap_err().to_string();
    assert_eq!(gone, "the agent gives no identity");
}

fn empty(ca: &DevCa, own: &Issued) -> Grant {
    let mut grant = Grant::new(ca, &own.identity());
    grant.message().svids.clear();
    grant
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_keeps_what_is_in_force() {
    let (ca, other) = (DevCa::new("td").unwrap(), DevCa::new("other").unwrap());
    let (own, next) = (issue(&ca, "/w"), issue(&ca, "/w"));
    let world = World::new(None);
    world.grant(Grant::new(&ca, &own.identity())).await;
    type Spoil = fn(&mut X509SvidResponse);
    let cases: [(Spoil, &str); 9] = [
        (|m| m.svids[0].x509_svid.clear(), "svid: it has no certificate"),
        (|m| m.svids[0].x509_svid.truncate(99), "svid: no certificate begins at byte 0"),
        (|m| m.svids[0].x509_svid.push(0), "svid: no certificate begins at byte "),
        (|m| m.svids[0].x509_svid_key.truncate(30), "svid: the "),
        (
            |m| m.svids[0].spiffe_id.push('x'),
            "svid: the certificate is not that of \"spiffe://td/wx\"",
        ),
        (|m| m.svids[0].bundle.clear(), "bundle: it has no certificate"),
        (|m| m.crl.push(vec![1]), "crl: a revocation list cannot be read"),
        (
            |m| drop(m.federated_bundles.insert("spiffe://TD".into(), vec![])),
            "federated bundle \"spiffe://TD\": 'T' may not be in a trust domain",
        ),
        (
            |m| m.federated_bundles.values_mut().for_each(|bundle| bundle.push(1)),
            "federated bundle \"spiffe://other\": no certificate begins at byte ",
        ),
    ];
    for (spoil, why) in cases {
        let mut grant = Grant::new(&ca, &next.identity()).federated(&other);
        spoil(grant.message());
        world.grant(grant).await;
        assert!(world.presents(&own), "{why}");
        let told = world.notes.lines().pop().unwrap();
        assert!(told.starts_with(&format!("default: failed: {why}")), "{told}");
    }
    // The key of another certificate.
    let mut grant = Grant::new(&ca, &next.identity());
    grant.message().svids[0].x509_svid_key = own.identity().key.secret_der().to_vec();
    world.grant(grant).await;
    let told = world.notes.lines().pop().unwrap();
    assert_eq!(told, "default: failed: svid: the private key is not that of the certificate");
    // More than is read: it ends the stream.
    let mut grant = Grant::new(&ca, &next.identity());
    grant.message().svids[0].bundle = vec![0; 5 << 20];
    world.grant(grant).await;
    let told = world.notes.lines().pop().unwrap();
    assert!(told.starts_with("default: failed: the agent says OutOfRange: "), "{told}");
    assert!(world.presents(&own));
    world.grant(Grant::new(&ca, &next.identity())).await;
    assert!(world.presents(&next));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_gone_is_asked_again_ever_later() {
    let ca = DevCa::new("td").unwrap();
    let (own, next) = (issue(&ca, "/w"), issue(&ca, "/w"));
    let world = World::new(None);
    world.grant(Grant::new(&ca, &own.identity())).await;
    let before = world.agent.streams();
    world.agent.interrupt();
    tokio::time::sleep(Duration::from_secs(10)).await;
    // After 1, 1.6, 2.56 and 4.1 seconds, each give or take a fifth.
    let asked = world.agent.streams() - before;
    assert!((3..=4).contains(&asked), "{asked}");
    assert!(world.presents(&own));
    world.network.close();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(world.presents(&own));
    let told = world.notes.lines().pop().unwrap();
    assert!(told.starts_with("default: failed: cannot connect to unix:/agent: "), "{told}");
    world.agent.serve(UnboundedReceiverStream::new(world.network.listen()));
    world.grant(Grant::new(&ca, &next.identity())).await;
    assert!(world.presents(&next));
}

#[tokio::test(start_paused = true)]
async fn a_hint_chooses_among_identities() {
    let ca = DevCa::new("td").unwrap();
    let (outside, inside) = (issue(&ca, "/outside"), issue(&ca, "/inside"));
    let world = World::new(Some("inside"));
    let grant = Grant::new(&ca, &outside.identity());
    world.grant(grant.clone().and(&ca, &inside.identity(), "inside")).await;
    assert!(world.presents(&inside));
    world.grant(grant).await;
    let gone = world.source.current().unwrap_err().to_string();
    assert_eq!(gone, "the agent gives no identity with the hint \"inside\"");
}

#[tokio::test(start_paused = true)]
async fn workloads_of_a_federated_domain_need_its_own_bundle() {
    let (ca, other) = (DevCa::new("td").unwrap(), DevCa::new("other").unwrap());
    // The same name, from somebody else.
    let impostor = DevCa::new("other").unwrap();
    let own = issue(&ca, "/w");
    let world = World::new(None);
    let peer = issue(&other, "/peer");
    world.grant(Grant::new(&ca, &own.identity())).await;
    let domain = other.trust_domain().clone();
    assert_eq!(world.admits(&peer), Err(Refusal::TrustDomain(domain)));
    world.grant(Grant::new(&ca, &own.identity()).federated(&other)).await;
    assert_eq!(world.admits(&peer), Ok(()));
    assert_eq!(world.admits(&issue(&ca, "/peer")), Ok(()));
    assert_eq!(world.admits(&issue(&impostor, "/peer")), Err(Refusal::UnknownIssuer));
    // Each vouches for its own domain only.
    let crossed = ca.workload("/x").without_uris().uri("spiffe://other/peer");
    assert_eq!(world.admits(&ca.issue(&crossed).unwrap()), Err(Refusal::UnknownIssuer));
    // A federated bundle does not speak for the own domain.
    let twin = DevCa::new("td").unwrap();
    world.grant(Grant::new(&ca, &own.identity()).federated(&twin)).await;
    assert_eq!(world.source.current().unwrap().trust, ca.trust(&[]));
    assert_eq!(world.admits(&issue(&twin, "/peer")), Err(Refusal::UnknownIssuer));
}

#[tokio::test]
async fn the_bootstrap_names_the_agent() {
    let (ca, directory) = (DevCa::new("td").unwrap(), tempfile::tempdir().unwrap());
    let (agent, socket) = (Agent::new(), directory.path().join("agent.sock"));
    agent.listen(&socket).unwrap();
    let own = issue(&ca, "/w");
    agent.grant(Grant::new(&ca, &own.identity()));
    let provider = serde_json::json!({
        "plugin_name": "spiffe_workload_api",
        "config": { "socket_path": socket },
    });
    let bootstrap = serde_json::json!({
        "xds_servers": [{ "server_uri": "xds:1", "channel_creds": [{ "type": "insecure" }] }],
        "certificate_providers": { "agent": provider },
    });
    let bootstrap = bootstrap::Bootstrap::from_json(&bootstrap.to_string()).unwrap();
    let mesh =
        crate::Mesh::builder().bootstrap(bootstrap).runtime(Handle::current()).build().unwrap();
    settle().await;
    let source = mesh.identities().credentials(&"agent".into()).unwrap().source().clone();
    until(&*source, |current| presents(current, &own)).await;
    assert!(matches!(source.current().unwrap().trust, Trust::Domains(_)));
}
