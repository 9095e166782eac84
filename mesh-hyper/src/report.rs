//! Tells the recorder how a call ended. Made only where there is a recorder.

use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, StatusCode};
use mesh_core::filter::End;
use mesh_core::record::{self, Event, Outcome, Reason, Recorder};
use mesh_core::retry::{Conditions, Stop};

use crate::error::Kind;
use crate::runtime;

/// What is known of a call so far. Dropped before the end, it tells that the call was given up.
pub(crate) struct Report {
    recorder: Arc<dyn Recorder>,
    target: Arc<str>,
    cluster: Option<Arc<str>>,
    start: Instant,
    status: Option<StatusCode>,
    grpc: Option<u16>,
    failed: Option<Kind>,
    is_told: bool,
}

impl Report {
    pub(crate) fn new(recorder: Arc<dyn Recorder>, target: Arc<str>, start: Instant) -> Self {
        let (status, grpc, failed) = (None, None, None);
        Self { recorder, target, cluster: None, start, status, grpc, failed, is_told: false }
    }

    pub(crate) fn cluster(&mut self, cluster: &Arc<str>) {
        self.cluster = Some(cluster.clone());
    }

    pub(crate) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.status = Some(status);
        self.saw(headers);
    }

    /// Takes `grpc-status` from header fields or trailers.
    pub(crate) fn saw(&mut self, fields: &HeaderMap) {
        let code = fields.get("grpc-status").and_then(|v| v.to_str().ok());
        self.grpc = code.and_then(|code| code.parse().ok()).or(self.grpc);
    }

    pub(crate) fn failed(&mut self, kind: Kind) {
        self.failed = Some(kind);
    }

    /// The request is sent again, for the time with this `number`.
    pub(crate) fn retried(&self, number: u32, why: Conditions) {
        self.step(record::Retry::Again { number, why: &why.to_string() });
    }

    /// The request is not sent again although its outcome calls for it.
    pub(crate) fn stopped(&self, stop: Stop) {
        self.step(record::Retry::Stopped(stop.as_str()));
    }

    fn step(&self, step: record::Retry<'_>) {
        let cluster = self.cluster.as_deref();
        self.recorder.record(&Event::Retry { target: &self.target, cluster, step });
    }

    pub(crate) fn finish(mut self, end: End) {
        self.tell(end);
    }

    fn tell(&mut self, end: End) {
        self.is_told = true;
        let outcome = match (self.failed, end, self.status) {
            (Some(kind), ..) => reason(kind).map_or(Outcome::Cancelled, Outcome::Failed),
            (None, End::Cancelled, _) | (None, _, None) => Outcome::Cancelled,
            (None, _, Some(status)) => Outcome::Response { http: status.as_u16(), grpc: self.grpc },
        };
        self.recorder.record(&Event::Call {
            target: &self.target,
            cluster: self.cluster.as_deref(),
            outcome,
            elapsed: runtime::now().saturating_duration_since(self.start),
        });
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell(End::Cancelled);
        }
    }
}

impl std::fmt::Debug for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Report").field("target", &self.target).finish_non_exhaustive()
    }
}

fn reason(kind: Kind) -> Option<Reason> {
    Some(match kind {
        Kind::NoConfig | Kind::Outside => Reason::NoConfig,
        Kind::NoRoute => Reason::NoRoute,
        Kind::NoCluster => Reason::NoCluster,
        Kind::NoEndpoint => Reason::NoEndpoint,
        Kind::Dropped => Reason::Dropped,
        Kind::Overloaded => Reason::Overloaded,
        Kind::Deadline => Reason::Deadline,
        Kind::Transport | Kind::Request => Reason::Transport,
        Kind::Cancelled | Kind::Body => return None,
    })
}
