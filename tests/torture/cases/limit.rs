//! A server that takes one stream at a time on each connection.

use tokio::task::JoinSet;

use super::Size;
use crate::client::Lane;
use crate::findings::Findings;

const CONNECTIONS: u32 = 4;

pub(super) async fn run(lane: Lane, size: Size, mut found: Findings) -> Findings {
    let link = lane.link(lane.servers.one, |config| config.connections.per_endpoint = CONNECTIONS);
    let mut calls = JoinSet::new();
    for n in 0..size.calls {
        let link = link.clone();
        calls.spawn(async move { link.say(n.to_be_bytes().to_vec().into()).await });
    }
    let outcomes = calls.join_all().await;
    let failures: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    found.failures(&failures);
    let report = lane.report().await;
    found.exactly("calls at handlers", report.calls, size.calls.into());
    found.exactly("twice", report.twice, 0);
    found.at_most("connections", report.connections, CONNECTIONS.into());
    found.exactly("left under way", link.left_under_way().await, 0);
    found
}
