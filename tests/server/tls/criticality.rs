//! Requests that matter less find no place first, if their callers have proved who they are.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::kit::{World, ask, chain, mutual};
use crate::lifecycle::eventually;

/// Four requests at a time, and a way to hold them.
const FILTERS: &str = r#"
{ name: limit, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency, gradient_controller_config: { concurrency_limit_params: { concurrency_update_interval: 3600s }, min_rtt_calc_params: { fixed_value: 1s, min_concurrency: 4 } } } },
{ name: hold, typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault, delay: { fixed_delay: 3600s, percentage: { numerator: 100 } }, headers: [{ name: x-hold, present_match: true }] } },
"#;

/// Asks without waiting for the answer, which takes an hour.
async fn hold(io: &mut (impl AsyncWrite + Unpin), more: &str) {
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nx-hold: 1\r\n{more}\r\n");
    io.write_all(request.as_bytes()).await.unwrap();
}

/// Waits until requests with `more` find no place.
async fn refused(io: &mut (impl AsyncRead + AsyncWrite + Unpin), more: &str) {
    let status = eventually(async || ask(io, more).await.err()).await;
    assert_eq!(status, "503");
}

const SHEDDABLE: &str = "x-mesh-criticality: sheddable\r\n";
const SHEDDABLE_PLUS: &str = "x-mesh-criticality: sheddable_plus\r\n";
const CRITICAL_PLUS: &str = "x-mesh-criticality: critical_plus\r\n";

#[tokio::test]
async fn what_matters_less_finds_no_place_first() {
    let filters = FILTERS.replace('\n', " ");
    let world = World::start(&[chain(&mutual(""), "", &filters)]).await;
    let client = world.client("/a");
    let connect = async || client.connect(world.served.port).await.unwrap();
    let mut io = connect().await;
    let mut held = Vec::new();
    for (less, more) in [
        (&[SHEDDABLE][..], &[SHEDDABLE_PLUS, "", CRITICAL_PLUS][..]),
        (&[SHEDDABLE, SHEDDABLE_PLUS], &["", CRITICAL_PLUS]),
        (&[SHEDDABLE, SHEDDABLE_PLUS, "", CRITICAL_PLUS], &[]),
    ] {
        // Two, then one more, and one more.
        let places = if held.is_empty() { 2 } else { 1 };
        for _ in 0..places {
            let mut io = connect().await;
            hold(&mut io, "").await;
            held.push(io);
        }
        for criticality in less {
            refused(&mut io, criticality).await;
        }
        for criticality in more {
            assert!(ask(&mut io, criticality).await.is_ok(), "{criticality}");
        }
    }
}

#[tokio::test]
async fn a_stranger_is_not_heard() {
    let filters = FILTERS.replace('\n', " ");
    let world = World::start(&[chain("name: plain", "", &filters)]).await;
    let (mut io, mut held) = (world.plain().await, Vec::new());
    for _ in 0..4 {
        let mut io = world.plain().await;
        hold(&mut io, SHEDDABLE).await;
        held.push(io);
    }
    // They have taken all places, not only half of them.
    refused(&mut io, CRITICAL_PLUS).await;
    drop(held);
    eventually(async || ask(&mut io, SHEDDABLE).await.ok()).await;
}
