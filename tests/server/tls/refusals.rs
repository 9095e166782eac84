//! Whom a server does not serve, and why; and that nothing leaks on the way.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::identity::{Feed, Material};
use mesh_xds::identity::{DevCa, Request};
use tokio::io::AsyncWriteExt;

use super::kit::{Caller, World, ask, chain, mutual, rest, strict};

/// What `ca` issues for `request`, where only `trusted` is.
fn shows(ca: &DevCa, request: &Request, trusted: &DevCa) -> Caller {
    let identity = Some(ca.issue(request).unwrap().identity());
    let material = Material { identity, trust: trusted.trust(&[]), crls: Vec::new() };
    Caller::new(Arc::new(Feed::of(material)))
}

const CLIENT: &str = "{ san_type: URI, matcher: { exact: 'spiffe://td/client' } }";

#[tokio::test]
async fn clients_that_are_not_who_they_should_be_are_refused() {
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    let mut world = World::start(&[chain(&mutual(CLIENT), "", "")]).await;
    let (ca, foreign) = (&world.ca, DevCa::new("other").unwrap());
    assert_eq!(world.client("/client").get(world.served.port).await.unwrap(), "spiffe://td/client");
    let good = || ca.workload("/client");
    let certificate = "received fatal alert: CertificateUnknown";
    let cases = [
        (
            shows(ca, &ca.workload("/else"), ca),
            "none of its names is accepted: \"spiffe://td/else\"",
            certificate,
        ),
        (
            shows(&foreign, &foreign.workload("/client"), ca),
            "trust domain other is not trusted",
            certificate,
        ),
        (shows(&DevCa::new("td").unwrap(), &good(), ca), "UnknownIssuer", "UnknownCA"),
        (
            shows(ca, &good().valid(now - 2 * hour, now - hour), ca),
            "certificate expired",
            "CertificateExpired",
        ),
        (
            shows(ca, &good().valid(now + hour, now + 2 * hour), ca),
            "certificate not valid yet",
            "CertificateExpired",
        ),
        (shows(ca, &good().authority(), ca), "it is a certificate authority's", certificate),
        (
            shows(ca, &good().uri("spiffe://td/client"), ca),
            "it has 2 URI names, not exactly one",
            certificate,
        ),
        (
            shows(ca, &ca.workload("/client\0"), ca),
            "one of its names has a control character",
            certificate,
        ),
        (Caller::anonymous(ca), "peer sent no certificates", "CertificateRequired"),
    ];
    for (caller, why, alert) in cases {
        world.refused.mark_unchanged();
        let error = caller.get(world.served.port).await.unwrap_err();
        assert!(error.contains(alert), "{why}: {error}");
        world.refused.changed().await.unwrap();
        let reason = world.refused.borrow().last().unwrap().clone();
        assert!(reason.starts_with("TLS: ") && reason.contains(why), "{why}: {reason}");
    }
}

#[tokio::test]
async fn where_tls_is_required_plain_text_gets_not_a_byte() {
    let mut world = World::start(&[strict()]).await;
    let mut io = world.plain().await;
    io.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(rest(&mut io).await, [0u8; 0]);
    assert_eq!(world.refusal().await, "it is in plain text, where TLS is required");
}

#[tokio::test]
async fn tls_that_cannot_be_had_is_no_plain_text() {
    let ca = DevCa::new("td").unwrap();
    let source = Arc::new(Feed::empty("no agent answers"));
    let mut world = World::with(ca, source).await;
    world.push(&[strict()]);
    world.served.serving().await;
    let mut io = world.plain().await;
    io.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(rest(&mut io).await, [0u8; 0]);
    let caller = world.client("/client");
    caller.get(world.served.port).await.unwrap_err();
    let why = "TLS: certificate provider \"default\" has nothing to give: no agent answers";
    assert_eq!(world.refusal().await, why);
    // It is looked up at each handshake.
    world.source.publish(world.ca.material(&world.ca.workload("/server")).unwrap());
    assert_eq!(caller.get(world.served.port).await.unwrap(), "spiffe://td/client");
}

#[tokio::test]
async fn what_is_no_handshake_ends_as_one() {
    let mut world = World::start(&[strict()]).await;
    let mut io = world.plain().await;
    io.write_all(&[0x16, 0x03, 0x01, 0x00, 0x04, 0x02, 0x00, 0x00, 0x00]).await.unwrap();
    // An alert at the most, and nothing of HTTP.
    assert!(matches!(rest(&mut io).await.first(), None | Some(0x15)));
    assert!(world.refusal().await.starts_with("TLS: "));
    let mut io = world.client("/client").connect(world.served.port).await.unwrap();
    assert_eq!(ask(&mut io, "").await.unwrap(), "spiffe://td/client");
}
