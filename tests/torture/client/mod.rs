//! The client's side of a case: channels to its servers, and what the servers have seen.

mod feed;
mod link;

pub(crate) use feed::{Repeated, endless, fed};
pub(crate) use link::Link;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use mesh_core::cluster::Config;
use mesh_hyper::{Client, Mesh};
use tokio::time::{interval, timeout};

use crate::{Kind, Servers};

/// What never comes true within this time is a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether `condition` comes to hold.
pub(crate) async fn eventually(condition: impl Fn() -> bool) -> bool {
    let mut tick = interval(Duration::from_millis(1));
    let holds = async {
        while !condition() {
            tick.tick().await;
        }
    };
    timeout(PATIENCE, holds).await.is_ok()
}

/// The way of one case to its servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    pub(crate) servers: Servers,
    case: &'static str,
}

impl Lane {
    pub(crate) fn new(servers: Servers, case: &'static str) -> Self {
        Self { servers, case }
    }

    pub(crate) fn kind(&self) -> Kind {
        self.servers.kind
    }

    /// What the windows of the servers, and of a proxy, let through to nobody, in KiB at the most.
    pub(crate) fn windows(&self) -> u64 {
        match self.servers.kind {
            Kind::Hyper | Kind::Envoy => 8 << 10,
            // Grow with what seems to be the bandwidth.
            Kind::Ccore => 32 << 10,
        }
    }

    /// A channel without connections yet to the server without limits.
    pub(crate) fn plain(&self, change: impl FnOnce(&mut Config)) -> Link {
        self.link(self.servers.plain, change)
    }

    pub(crate) fn link(&self, to: SocketAddr, change: impl FnOnce(&mut Config)) -> Link {
        Link::new(to, self.case, change)
    }

    /// What has reached the handlers so far.
    pub(crate) async fn report(&self) -> Report {
        // Through a connection that is not the case's.
        let report = self.plain(|_| {});
        let answer = report.unary("Report", self.case.into()).await.unwrap();
        Report::parse(&answer)
    }

    /// Lets the case's handler that holds on read.
    pub(crate) async fn release(&self) {
        self.plain(|_| {}).unary("Release", self.case.into()).await.unwrap();
    }

    /// The report, when it has come to be as `condition` wants it or will not any more.
    pub(crate) async fn report_when(&self, condition: impl Fn(&Report) -> bool) -> Report {
        let until = async {
            let mut tick = interval(Duration::from_millis(20));
            loop {
                tick.tick().await;
                let report = self.report().await;
                if condition(&report) {
                    return report;
                }
            }
        };
        match timeout(PATIENCE, until).await {
            Ok(report) => report,
            Err(_) => self.report().await,
        }
    }

    /// One of Envoy's counters for the server without limits.
    pub(crate) async fn envoy_counter(&self, name: &str) -> Option<u64> {
        let admin = self.servers.admin?;
        let http = Client::new(&Mesh::disabled().unwrap());
        let url = format!("http://{admin}/stats?filter=^http.plain.{name}$");
        let text = http.get(&*url).await.unwrap().text().await.unwrap();
        Some(text.trim().rsplit(' ').next()?.parse().unwrap())
    }
}

/// What the handlers of a case have seen.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) calls: u64,
    /// Calls that came more than once.
    pub(crate) twice: u64,
    /// Calls that were cancelled before their answer had ended.
    pub(crate) cancelled: u64,
    /// Connections that calls came by.
    pub(crate) connections: u64,
}

impl Report {
    fn parse(text: &Bytes) -> Self {
        let text = String::from_utf8_lossy(text);
        let words: Vec<_> = text.split(' ').collect();
        let counts: HashMap<_, u64> =
            words.chunks(2).map(|pair| (pair[0], pair[1].parse().unwrap())).collect();
        Self {
            calls: counts["calls"],
            twice: counts["twice"],
            cancelled: counts["cancelled"],
            connections: counts["connections"],
        }
    }
}
