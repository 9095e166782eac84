//! What is refused, presented by either side, and what is said about it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::identity::{Identity, Material, SanMatcher, Trust};
use mesh_core::matcher::StringMatcher;

use super::kit::{Pair, fixed, workload};
use crate::identity::{DevCa, Request};
use crate::tls::Credentials;

/// Presents `bad` from either side to a good one that trusts `trust`, and expects its refusal for
/// the reason `why`, and the alert for the other side.
fn check(ca: &DevCa, bad: &Arc<Credentials>, trust: &Trust, why: &str, alert: &str) {
    let good = ca.issue(&ca.workload("/good")).unwrap().identity();
    let good = fixed(Material { identity: Some(good), trust: trust.clone(), crls: Vec::new() });
    let accepted = vec![SanMatcher::any(StringMatcher::prefix("spiffe://td/").unwrap())];
    let alert = format!("received fatal alert: {alert}");

    let mut pair = Pair::new(good.clone(), bad.clone());
    pair.accepted_servers = accepted.clone();
    let outcome = pair.connect();
    let (client, server) = outcome.faults();
    assert_eq!((client, server), (Some(why), Some(&*alert)), "presented by the server");

    let mut pair = Pair::new(bad.clone(), good);
    pair.accepted_clients = accepted;
    let outcome = pair.connect();
    let (client, server) = outcome.faults();
    assert_eq!((client, server), (Some(&*alert), Some(why)), "presented by the client");
}

/// Presents what `ca` issues for `request`, where its trust domain is trusted.
fn refuses(ca: &DevCa, request: &Request, why: &str, alert: &str) {
    check(ca, &workload(ca, request), &ca.trust(&[]), why, alert);
}

fn other(why: &str) -> String {
    format!("the peer's certificate is refused: {why}")
}

#[test]
fn certificates_that_are_no_workloads_are_refused() {
    let ca = DevCa::new("td").unwrap();
    let good = || ca.workload("/bad");
    for (request, why) in [
        (good().without_uris(), "it has 0 URI names, not exactly one"),
        (good().without_uris().dns_name("td"), "it has 0 URI names, not exactly one"),
        (good().uri("spiffe://td/good"), "it has 2 URI names, not exactly one"),
        (good().uri("https://td/good"), "it has 2 URI names, not exactly one"),
        (ca.workload("/good\0/bad"), "one of its names has a control character"),
        (good().dns_name("td\0.evil"), "one of its names has a control character"),
        (
            ca.workload("/bad/"),
            "its URI name is no SPIFFE ID: the path of a SPIFFE ID has an empty segment",
        ),
        (
            ca.workload("/ba%64"),
            "its URI name is no SPIFFE ID: '%' may not be in the path of a SPIFFE ID",
        ),
        (
            good().without_uris().uri("SPIFFE://td/good"),
            "its URI name is no SPIFFE ID: a SPIFFE ID begins with spiffe://",
        ),
        (
            good().without_uris().uri("spiffe://TD/good"),
            "its URI name is no SPIFFE ID: 'T' may not be in a trust domain",
        ),
        (ca.workload(""), "its SPIFFE ID names a trust domain, not a workload"),
        (good().authority(), "it is a certificate authority's"),
    ] {
        refuses(&ca, &request, &other(why), "CertificateUnknown");
    }
}

#[test]
fn certificates_outside_of_their_time_are_refused() {
    let ca = DevCa::new("td").unwrap();
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    let expired = workload(&ca, &ca.workload("/bad").valid(now - 2 * hour, now - hour));
    let early = workload(&ca, &ca.workload("/bad").valid(now + hour, now + 2 * hour));
    for (bad, expect) in [
        (expired, "certificate expired: verification time "),
        (early, "certificate not valid yet: verification time "),
    ] {
        let good = workload(&ca, &ca.workload("/good"));
        for (client, server) in [(&good, &bad), (&bad, &good)] {
            let outcome = Pair::new(client.clone(), server.clone()).connect();
            let faults = [outcome.faults().0.unwrap(), outcome.faults().1.unwrap()];
            let why = format!("invalid peer certificate: {expect}");
            let told = "received fatal alert: CertificateExpired";
            assert_eq!(
                faults.iter().filter(|fault| fault.starts_with(&why)).count(),
                1,
                "{faults:?}"
            );
            assert_eq!(faults.iter().filter(|fault| **fault == told).count(), 1, "{faults:?}");
        }
    }
}

#[test]
fn only_the_authorities_of_its_own_trust_domain_vouch_for_a_workload() {
    let (ca, foreign) = (DevCa::new("td").unwrap(), DevCa::new("other").unwrap());
    let presented = |identity: Identity| {
        let trust = ca.trust(&[&foreign]);
        fixed(Material { identity: Some(identity), trust, crls: Vec::new() })
    };
    let theirs = foreign.issue(&foreign.workload("/bad")).unwrap().identity();
    check(
        &ca,
        &presented(theirs),
        &ca.trust(&[]),
        &other("trust domain other is not trusted"),
        "CertificateUnknown",
    );
    // Federated, but somebody else's names are not its own to give.
    let usurper = foreign.workload("/bad").without_uris().uri("spiffe://td/good");
    let usurper = foreign.issue(&usurper).unwrap().identity();
    check(
        &ca,
        &presented(usurper),
        &ca.trust(&[&foreign]),
        "invalid peer certificate: UnknownIssuer",
        "UnknownCA",
    );
    // Federated and honest, but nobody whom the configuration accepts.
    let theirs = foreign.issue(&foreign.workload("/bad")).unwrap().identity();
    let why = other(r#"none of its names is accepted: "spiffe://other/bad""#);
    check(&ca, &presented(theirs), &ca.trust(&[&foreign]), &why, "CertificateUnknown");
}

#[test]
fn a_strangers_certificate_is_refused() {
    let (ca, stranger) = (DevCa::new("td").unwrap(), DevCa::new("td").unwrap());
    let identity = Some(stranger.issue(&stranger.workload("/bad")).unwrap().identity());
    let bad = fixed(Material { identity, trust: ca.trust(&[]), crls: Vec::new() });
    check(&ca, &bad, &ca.trust(&[]), "invalid peer certificate: UnknownIssuer", "UnknownCA");
}

#[test]
fn spiffe_rules_hold_where_authorities_are_not_by_trust_domain() {
    let ca = DevCa::new("td").unwrap();
    let trust = Trust::Authorities(vec![ca.root_der().clone()]);
    let presented = |request: &Request| {
        let identity = Some(ca.issue(request).unwrap().identity());
        fixed(Material { identity, trust: trust.clone(), crls: Vec::new() })
    };
    let two = presented(&ca.workload("/bad").uri("spiffe://td/good"));
    check(&ca, &two, &trust, &other("it has 2 URI names, not exactly one"), "CertificateUnknown");
    let named = presented(&ca.workload("/bad").without_uris().dns_name("a.example"));
    let why = other(r#"none of its names is accepted: "a.example""#);
    check(&ca, &named, &trust, &why, "CertificateUnknown");
    // Without matchers, whoever the authorities vouch for is accepted (gRFC A29).
    let outcome = Pair::new(named.clone(), named).connect();
    assert_eq!(outcome.faults(), (None, None));
}

#[test]
fn what_is_revoked_is_refused() {
    let ca = DevCa::new("td").unwrap();
    let issued = ca.issue(&ca.workload("/bad")).unwrap();
    let list = ca.revocation_list(&[&issued]).unwrap();
    let identity = |issued: &crate::identity::Issued| Some(issued.identity());
    let bad = Material { identity: identity(&issued), trust: ca.trust(&[]), crls: Vec::new() };
    let good = ca.issue(&ca.workload("/good")).unwrap();
    let good = Material { identity: identity(&good), trust: ca.trust(&[]), crls: vec![list] };
    let (good, bad) = (fixed(good), fixed(bad));
    let outcome = Pair::new(good.clone(), bad.clone()).connect();
    let revoked = (
        Some("invalid peer certificate: Revoked"),
        Some("received fatal alert: CertificateRevoked"),
    );
    assert_eq!(outcome.faults(), revoked);
    let outcome = Pair::new(bad, good.clone()).connect();
    assert_eq!(outcome.faults(), (revoked.1, revoked.0));
    assert_eq!(Pair::new(good.clone(), good).connect().faults(), (None, None));
}
