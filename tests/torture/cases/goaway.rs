//! A server whose connections go away all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::task::JoinSet;

use super::Size;
use crate::Kind;
use crate::client::Lane;
use crate::findings::Findings;

/// Calls at once.
const WIDTH: u32 = 32;

/// Requests on a connection until it goes away.
const REQUESTS: u32 = 50;

pub(super) async fn run(lane: Lane, size: Size, mut found: Findings) -> Findings {
    let link = lane.link(lane.servers.goaway, |_| {});
    let next = Arc::new(AtomicU32::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WIDTH {
        let (link, next) = (link.clone(), next.clone());
        workers.spawn(async move {
            let mut failures = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= size.requests {
                    return failures;
                }
                failures.extend(link.say(n.to_be_bytes().to_vec().into()).await.err());
            }
        });
    }
    found.failures(&workers.join_all().await.concat());
    let report = lane.report().await;
    found.exactly("calls at handlers", report.calls, size.requests.into());
    found.exactly("twice", report.twice, 0);
    found.exactly("cancelled", report.cancelled, 0);
    found.at_least(
        "connections",
        report.connections,
        match lane.kind() {
            // Those that are under way when the GOAWAY comes are answered as well.
            Kind::Hyper | Kind::Envoy => u64::from(size.requests / (REQUESTS + WIDTH)),
            // C-core counts no requests; its connections go away when they are 100 ms old.
            Kind::Ccore => 10,
        },
    );
    found.exactly("left under way", link.left_under_way().await, 0);
    found
}
