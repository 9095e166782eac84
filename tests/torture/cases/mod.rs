//! The list.

mod drops;
mod early;
mod frozen;
mod goaway;
mod large;
mod limit;
mod ping_pong;
mod small;
mod stalled;
mod unpolled;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::timeout;

use crate::client::Lane;
use crate::findings::Findings;
use crate::memory::Peak;

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// MiB of a large stream, each way.
    pub(crate) mebibytes: u64,
    /// Calls at once.
    pub(crate) calls: u32,
    /// Messages of a stream.
    pub(crate) messages: u32,
    /// Calls one after the other, some at once.
    pub(crate) requests: u32,
    /// How long a reader pauses.
    pub(crate) pause: Duration,
    /// How long a peer does not read at all.
    pub(crate) stall: Duration,
}

impl Size {
    pub(crate) const FULL: Self = Self {
        mebibytes: 64,
        calls: 1_000,
        messages: 10_000,
        requests: 10_000,
        pause: Duration::from_secs(1),
        stall: Duration::from_secs(10),
    };

    /// For tests.
    #[cfg(test)]
    pub(crate) const SMALL: Self = Self {
        mebibytes: 16,
        calls: 300,
        messages: 3_000,
        requests: 1_000,
        pause: Duration::from_millis(200),
        stall: Duration::from_millis(500),
    };
}

type Judging = Pin<Box<dyn Future<Output = Findings> + Send>>;

/// A case: adds what it finds.
pub(crate) type Case = fn(Lane, Size, Findings) -> Judging;

/// All cases by name.
pub(crate) const ALL: &[(&str, Case)] = &[
    // First, while the allocator keeps no memory from others.
    ("peer-stops-reading", |l, s, f| Box::pin(stalled::run(l, s, f))),
    ("peer-is-frozen", |l, s, f| Box::pin(frozen::run(l, s, f))),
    ("large-each-way-and-1000-calls", |l, s, f| Box::pin(large::run(l, s, f))),
    ("small-messages-server-pauses", |l, s, f| Box::pin(small::server_pauses(l, s, f))),
    ("small-messages-client-pauses", |l, s, f| Box::pin(small::client_pauses(l, s, f))),
    ("bidi-sends-without-polling", |l, s, f| Box::pin(unpolled::run(l, s, f))),
    ("ping-pong", |l, s, f| Box::pin(ping_pong::run(l, s, f))),
    ("answer-before-the-body-is-read", |l, s, f| Box::pin(early::run(l, s, f))),
    ("one-stream-a-connection", |l, s, f| Box::pin(limit::run(l, s, f))),
    ("goaway-every-50", |l, s, f| Box::pin(goaway::run(l, s, f))),
    ("drop-at-every-poll", |l, s, f| Box::pin(drops::run(l, s, f))),
];

/// A case that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of a case, whatever way it ended.
pub(crate) async fn judged(name: &'static str, case: Case, lane: Lane, size: Size) -> Findings {
    let peak = Peak::start();
    let task = tokio::spawn(case(lane, size, Findings::new(name)));
    let abort = task.abort_handle();
    let mut findings = match timeout(PATIENCE, task).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(panic)) => missed(name, format!("it broke off: {panic}")),
        Err(_) => {
            abort.abort();
            missed(name, format!("it did not end within {PATIENCE:?}"))
        }
    };
    if let Some(growth) = peak.growth() {
        findings.note("KiB more at the peak", growth);
    }
    findings.end();
    findings
}

fn missed(name: &'static str, why: String) -> Findings {
    let mut findings = Findings::new(name);
    findings.miss(why);
    findings
}
