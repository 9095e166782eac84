//! A server that does nothing at all for a while: nobody reads its sockets.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::process::Command;
use tokio::task::JoinSet;

use super::Size;
use crate::client::{Lane, endless};
use crate::findings::Findings;
use crate::memory::Peak;

/// What the client may need for that, in KiB.
const MEMORY: u64 = 8 << 10;

/// Calls at once; with the large one fewer than any server allows on a connection.
const CALLS: u8 = 90;

pub(super) async fn run(lane: Lane, size: Size, mut found: Findings) -> Findings {
    let Some(pid) = lane.servers.pid else { return found };
    let link = lane.plain(|config| config.connections.per_endpoint = 1);
    link.say(Bytes::from_static(b"hello")).await.unwrap();
    let peak = Peak::start();
    signal("-STOP", pid).await;
    let (body, taken) = endless(Bytes::from(vec![0; 64 << 10]), size.mebibytes << 4);
    let large = tokio::spawn({
        let link = link.clone();
        async move {
            let mut answers = link.open("Count", Duration::ZERO, body).await?.into_inner();
            answers.message().await
        }
    });
    let mut calls = JoinSet::new();
    for n in 0..CALLS {
        let link = link.clone();
        calls.spawn(async move { link.say(vec![n; 16 << 10].into()).await });
    }
    tokio::time::sleep(size.stall).await;
    found.at_most("KiB sent while frozen", taken.load(Ordering::SeqCst) * 64, lane.windows());
    if let Some(growth) = peak.growth() {
        found.at_most("KiB more while frozen", growth, MEMORY);
    }
    found.exactly("calls answered", calls.try_join_next().into_iter().count() as u64, 0);
    signal("-CONT", pid).await;
    let outcomes = calls.join_all().await;
    let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    found.failures(&failures);
    let counted = large.await.unwrap().unwrap().unwrap();
    assert_eq!(counted, format!("{} {}", size.mebibytes << 4, size.mebibytes << 20));
    let report = lane.report().await;
    found.exactly("calls at handlers", report.calls, u64::from(CALLS) + 2);
    found.exactly("twice", report.twice, 0);
    found.exactly("connections", report.connections, 1);
    found.exactly("left under way", link.left_under_way().await, 0);
    found
}

async fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status().await.unwrap();
    assert!(sent.success(), "kill {name} {pid}");
}
