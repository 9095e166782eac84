//! What is settled, and what changes while it is in use.

use std::sync::Arc;

use mesh_core::identity::{Feed, Material, Refusal, Trust};
use rustls::HandshakeKind;
use rustls::pki_types::UnixTime;

use super::kit::{Pair, credentials, fixed, shake, workload};
use crate::identity::DevCa;
use crate::tls::{
    Anonymous, ClientSettings, MinimumVersion, PeerCheck, ServerSettings, Side, TlsError,
    client_config, server_config, session,
};

#[test]
fn a_session_says_what_both_sides_have_shown() {
    let ca = DevCa::new("td").unwrap();
    let client = workload(&ca, &ca.workload("/client").dns_name("client.example"));
    let mut pair = Pair::new(client, workload(&ca, &ca.workload("/server")));
    let list = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
    pair.protocols = (list(&["istio", "h2"]), list(&["h2", "http/1.1"]));
    let outcome = pair.connect();
    let (client, server) = (outcome.client.unwrap(), outcome.server.unwrap());

    let seen = session(&client, Some("server.example")).unwrap();
    assert_eq!(seen.server_name.as_deref(), Some("server.example"));
    assert_eq!(seen.protocol.as_deref(), Some(&b"h2"[..]));
    let certificate = seen.certificate.unwrap();
    assert_eq!(certificate.spiffe_id.unwrap().as_str(), "spiffe://td/server");

    let seen = session(&server, server.server_name()).unwrap();
    assert_eq!(seen.server_name.as_deref(), Some("server.example"));
    let certificate = seen.certificate.unwrap();
    assert_eq!(&*certificate.uris, ["spiffe://td/client".into()]);
    assert_eq!(&*certificate.dns_names, ["client.example".into()]);
    assert_eq!(&*certificate.subject, "O=td");
    assert!(crate::tls::is_certificate(&certificate.der));
}

#[test]
fn nothing_is_resumed_in_either_version() {
    let ca = DevCa::new("td").unwrap();
    let both = workload(&ca, &ca.workload("/both"));
    for minimum in [MinimumVersion::Tls13, MinimumVersion::Tls12] {
        let mut pair = Pair::new(both.clone(), both.clone());
        pair.minimum = (minimum, minimum);
        let (client, server) = (pair.client_config(), pair.server_config());
        for _ in 0..3 {
            let outcome = shake(client.clone(), server.clone());
            let kind = outcome.client.unwrap().handshake_kind();
            assert_eq!(kind, Some(HandshakeKind::Full));
        }
    }
}

#[test]
fn old_versions_are_spoken_only_where_both_allow_it() {
    let ca = DevCa::new("td").unwrap();
    let both = workload(&ca, &ca.workload("/both"));
    let mut pair = Pair::new(both.clone(), both);
    let old = rustls::ClientConfig::builder_with_provider(pair.client.crypto().clone())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let outcome = shake(old.clone(), pair.server_config());
    let (_, server) = outcome.faults();
    assert!(server.unwrap().starts_with("peer is incompatible: "), "{server:?}");
    pair.minimum.1 = MinimumVersion::Tls12;
    let outcome = shake(old, pair.server_config());
    // It gets as far as the server's certificate, which this client knows nothing of.
    assert_eq!(outcome.faults().0, Some("invalid peer certificate: UnknownIssuer"));
}

#[test]
fn each_handshake_takes_what_is_in_force() {
    let ca = DevCa::new("td").unwrap();
    let feed = Arc::new(Feed::empty("nothing yet"));
    let server = credentials(feed.clone());
    let client = workload(&ca, &ca.workload("/client"));
    let pair = Pair::new(client, server);
    let (client, server) = (pair.client_config(), pair.server_config());
    let shown = || {
        let outcome = shake(client.clone(), server.clone());
        outcome.client.map(|connection| {
            let certificate = session(&connection, None).unwrap().certificate.unwrap();
            certificate.spiffe_id.unwrap().path().to_owned()
        })
    };
    assert!(shown().unwrap_err().starts_with("received fatal alert: "));
    for path in ["/first", "/second"] {
        feed.publish(ca.material(&ca.workload(path)).unwrap());
        assert_eq!(shown().unwrap(), path);
    }
    feed.withdraw("gone");
    assert!(shown().is_err());
}

#[test]
fn an_identity_that_is_missing_is_no_reason_to_go_without() {
    let ca = DevCa::new("td").unwrap();
    let trust = Material { identity: None, trust: ca.trust(&[]), crls: Vec::new() };
    let check = PeerCheck::new(fixed(trust), &[], Side::Server);
    let attempt = |identity| {
        let settings = ClientSettings {
            identity: Some(identity),
            servers: check.clone(),
            protocols: Vec::new(),
            minimum: MinimumVersion::default(),
        };
        client_config(settings, check.authorities().crypto()).map(drop).unwrap_err()
    };
    let error = attempt(credentials(Arc::new(Feed::empty("still starting"))));
    let expect = TlsError::Unavailable { provider: "default".into(), why: "still starting".into() };
    assert_eq!(error, expect);
    let trust = Material { identity: None, trust: Trust::Unknown, crls: Vec::new() };
    let why = "it gives no certificate of our own".into();
    assert_eq!(attempt(fixed(trust)), TlsError::Unusable { provider: "default".into(), why });
    let mut material = ca.material(&ca.workload("/a")).unwrap();
    let other = ca.issue(&ca.workload("/b")).unwrap().identity();
    if let Some(identity) = &mut material.identity {
        identity.key = other.key;
    }
    let why = "the private key is not that of the certificate".into();
    assert_eq!(attempt(fixed(material)), TlsError::Unusable { provider: "default".into(), why });
}

#[test]
fn anonymous_clients_come_in_only_where_they_may() {
    let ca = DevCa::new("td").unwrap();
    let server = workload(&ca, &ca.workload("/server"));
    let outcome = |clients, anonymous| {
        let settings = ServerSettings {
            identity: server.clone(),
            clients,
            anonymous,
            protocols: Vec::new(),
            minimum: MinimumVersion::default(),
        };
        let config = server_config(settings, server.crypto()).unwrap();
        let settings = ClientSettings {
            identity: None,
            servers: PeerCheck::new(server.clone(), &[], Side::Server),
            protocols: Vec::new(),
            minimum: MinimumVersion::default(),
        };
        shake(client_config(settings, server.crypto()).unwrap(), config)
    };
    let check = || Some(PeerCheck::new(server.clone(), &[], Side::Client));
    assert_eq!(outcome(None, Anonymous::Refuse).faults(), (None, None));
    assert_eq!(outcome(check(), Anonymous::Accept).faults(), (None, None));
    let refused = outcome(check(), Anonymous::Refuse);
    assert_eq!(refused.faults().1, Some("peer sent no certificates"));
}

#[test]
fn an_open_connection_is_checked_against_what_holds_now() {
    let ca = DevCa::new("td").unwrap();
    let peer = ca.issue(&ca.workload("/peer")).unwrap();
    let chain = [rustls::pki_types::CertificateDer::from(peer.der().to_vec())];
    let feed = Arc::new(Feed::of(ca.material(&ca.workload("/own")).unwrap()));
    let check = PeerCheck::new(credentials(feed.clone()), &[], Side::Client);
    let opened = UnixTime::now();
    assert_eq!(check.check(&chain, opened), Ok(()));
    let list = ca.revocation_list(&[&peer]).unwrap();
    let mut material = ca.material(&ca.workload("/own")).unwrap();
    material.crls.push(list);
    feed.publish(material);
    assert_eq!(check.check(&chain, opened), Err(Refusal::Revoked));
    let other = DevCa::new("td").unwrap();
    feed.publish(other.material(&other.workload("/own")).unwrap());
    assert_eq!(check.check(&chain, opened), Err(Refusal::UnknownIssuer));
}

#[test]
fn a_revocation_list_is_about_the_authority_that_has_signed_it() {
    // Two authorities of one name, as in a roll-over.
    let (old, new) = (DevCa::new("td").unwrap(), DevCa::new("td").unwrap());
    let issue = |ca: &DevCa| ca.issue(&ca.workload("/peer")).unwrap();
    let (of_old, of_new) = (issue(&old), issue(&new));
    let (lost_of_old, lost_of_new) = (issue(&old), issue(&new));
    let list_of_old = old.revocation_list(&[&lost_of_old]).unwrap();
    let list_of_new = new.revocation_list(&[&lost_of_new]).unwrap();
    for lists in [
        vec![list_of_old.clone()],
        vec![list_of_new.clone()],
        vec![list_of_old.clone(), list_of_new.clone()],
        vec![list_of_new.clone(), list_of_old.clone()],
    ] {
        let mut material = old.material(&old.workload("/own")).unwrap();
        material.trust = Trust::Authorities(vec![old.root_der().clone(), new.root_der().clone()]);
        material.crls.clone_from(&lists);
        let check = PeerCheck::new(fixed(material), &[], Side::Client);
        let revoked = |list| if lists.contains(list) { Err(Refusal::Revoked) } else { Ok(()) };
        for (peer, expect) in [
            (&of_old, Ok(())),
            (&of_new, Ok(())),
            (&lost_of_old, revoked(&list_of_old)),
            (&lost_of_new, revoked(&list_of_new)),
        ] {
            let chain = [rustls::pki_types::CertificateDer::from(peer.der().to_vec())];
            assert_eq!(check.check(&chain, UnixTime::now()), expect);
        }
    }
}

#[test]
fn a_name_asked_for_takes_the_place_of_matchers() {
    let ca = DevCa::new("td").unwrap();
    let peer = ca.issue(&ca.workload("/peer").dns_name("*.example.com")).unwrap();
    let chain = [rustls::pki_types::CertificateDer::from(peer.der().to_vec())];
    let own = workload(&ca, &ca.workload("/own"));
    let nobody = mesh_core::matcher::StringMatcher::exact("nobody");
    let check = PeerCheck::new(own, &[mesh_core::identity::SanMatcher::any(nobody)], Side::Server);
    let now = UnixTime::now();
    assert!(matches!(check.check(&chain, now), Err(Refusal::Names { .. })));
    assert_eq!(check.clone().for_host("a.example.com").check(&chain, now), Ok(()));
    let refusal = check.for_host("a.example.org").check(&chain, now).unwrap_err();
    let expect = r#"it is not for a.example.org: "spiffe://td/peer", "*.example.com""#;
    assert_eq!(refusal.to_string(), expect);
}
