//! Whom a call does not reach, and why; and that nothing leaks on the way.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::identity::{Feed, Material};
use mesh_xds::identity::{DevCa, Request};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::{World, call, cluster, door, feed, tls};

/// What `ca` issues for `request`, where only the good authority is trusted.
fn shows(ca: &DevCa, request: &Request, trusted: &DevCa) -> Arc<Feed> {
    let identity = Some(ca.issue(request).unwrap().identity());
    Arc::new(Feed::of(Material { identity, trust: trusted.trust(&[]), crls: Vec::new() }))
}

#[tokio::test]
async fn servers_that_are_not_who_they_should_be_get_no_call() {
    let (ca, foreign) = (DevCa::new("td").unwrap(), DevCa::new("other").unwrap());
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    let good = || ca.workload("/server");
    for (source, why) in [
        (
            shows(&ca, &ca.workload("/else"), &ca),
            r#"none of its names is accepted: "spiffe://td/else""#,
        ),
        (shows(&foreign, &foreign.workload("/server"), &ca), "trust domain other is not trusted"),
        (shows(&ca, &good().valid(now - 2 * hour, now - hour), &ca), "certificate expired"),
        (shows(&ca, &good().valid(now + hour, now + 2 * hour), &ca), "certificate not valid yet"),
        (shows(&ca, &good().authority(), &ca), "it is a certificate authority's"),
        (shows(&ca, &good().uri("spiffe://td/server"), &ca), "it has 2 URI names, not exactly one"),
        (shows(&ca, &ca.workload("/server\0"), &ca), "one of its names has a control character"),
    ] {
        let door = door(source).await;
        let client = feed(&ca, &ca.workload("/client"));
        let world = World::new(client, &cluster(door.address(), &tls("spiffe://td/server")));
        let error = call(&mut world.client()).await.unwrap_err();
        assert!(error.starts_with("Unavailable: ") && error.contains(why), "{why}: {error}");
        assert_eq!(door.calls(), 0);
    }
}

#[tokio::test]
async fn clients_that_are_not_who_they_should_be_reach_nobody() {
    let (ca, foreign) = (DevCa::new("td").unwrap(), DevCa::new("other").unwrap());
    let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
    let good = || ca.workload("/client");
    for (source, why) in [
        (shows(&foreign, &foreign.workload("/client"), &ca), "trust domain other is not trusted"),
        (shows(&ca, &good().valid(now - 2 * hour, now - hour), &ca), "certificate expired"),
        (shows(&ca, &good().valid(now + hour, now + 2 * hour), &ca), "certificate not valid yet"),
        (shows(&ca, &good().authority(), &ca), "it is a certificate authority's"),
        (shows(&ca, &good().uri("spiffe://td/server"), &ca), "it has 2 URI names, not exactly one"),
        (shows(&ca, &ca.workload("/client\0"), &ca), "one of its names has a control character"),
    ] {
        let door = door(feed(&ca, &ca.workload("/server"))).await;
        let world = World::new(source, &cluster(door.address(), &tls("spiffe://td/server")));
        let error = call(&mut world.client()).await.unwrap_err();
        assert!(error.starts_with("Unavailable: "), "{why}: {error}");
        assert_eq!(door.calls(), 0);
        let refused = door.refused();
        assert!(
            refused.iter().all(|text| text.contains(why)) && !refused.is_empty(),
            "{refused:?}"
        );
    }
}

/// Everything that one connection sends until the client closes it.
async fn record(listener: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    // A reset is an end as well.
    stream.read_to_end(&mut bytes).await.ok();
    bytes
}

#[tokio::test]
async fn tls_that_cannot_be_had_sends_not_a_byte() {
    let ca = DevCa::new("td").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let unusable = |source| World::new(source, &cluster(address, &tls("spiffe://td/server")));
    let trust_only = Material { identity: None, trust: ca.trust(&[]), crls: Vec::new() };
    for (source, why) in [
        (Feed::empty("no agent answers"), "no agent answers"),
        (Feed::of(trust_only), "it gives no certificate of our own"),
    ] {
        let world = unusable(Arc::new(source));
        let mut client = world.client();
        let (error, bytes) = tokio::join!(call(&mut client), record(&listener));
        let error = error.unwrap_err();
        assert!(error.starts_with("Unavailable: ") && error.contains(why), "{error}");
        assert_eq!(bytes, [0u8; 0]);
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing_but_a_hello() {
    let ca = DevCa::new("td").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let more = [&tls("spiffe://td/server"), "connect_timeout: 10s\n"].concat();
    let world = World::new(feed(&ca, &ca.workload("/client")), &cluster(address, &more));
    let mut client = world.client();
    let hello = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![stream.read_u8().await.unwrap()];
        // Until the client gives up, time passes when nothing else is left to do.
        tokio::time::pause();
        stream.read_to_end(&mut bytes).await.ok();
        tokio::time::resume();
        bytes
    };
    let (error, bytes) = tokio::join!(call(&mut client), hello);
    let error = error.unwrap_err();
    assert!(error.contains("no answer to the handshake within 10s"), "{error}");
    // One record of a handshake, and its length is all that there is.
    assert_eq!((bytes[0], bytes[1]), (0x16, 0x03));
    let length = usize::from(bytes[3]) << 8 | usize::from(bytes[4]);
    assert_eq!(bytes.len(), 5 + length);
}
