//! One of several attempts at a call that is made more than once at a time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use mesh_core::cluster::Permit;
use mesh_core::retry;

use super::again::Home;
use crate::error::Error;
use crate::transport::connection::{Stream, Wire};
use crate::transport::exchange::Exchange;
use crate::transport::h1;

/// One of several attempts.
pub(super) struct Lane {
    pub(super) run: Run,
    /// When it is over if it is not answered.
    pub(super) until: Option<Instant>,
    pub(super) permit: Option<retry::Permit>,
}

impl Lane {
    pub(super) fn is_sent(&self) -> bool {
        matches!(self.run, Run::Sent(_))
    }

    /// The stream of an attempt that is under way.
    pub(super) fn stream(&self) -> Option<&Stream> {
        match &self.run {
            Run::Coming(_) => None,
            Run::Sent(sent) => sent.leg.stream(),
        }
    }
}

#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub(super) enum Run {
    /// It waits for its time or a stream.
    Coming(Pin<Box<dyn Future<Output = Result<Sent, Error>> + Send>>),
    Sent(Sent),
}

/// An attempt that has been sent. The exchange goes before what it is on.
pub(super) struct Sent {
    pub(super) exchange: Exchange,
    pub(super) leg: Leg,
}

/// The stream of an attempt, and its place among the requests under way.
pub(super) struct Leg(Option<(Stream, Permit)>);

impl Leg {
    pub(super) fn new(stream: Stream, permit: Permit) -> Self {
        Self(Some((stream, permit)))
    }

    /// For an attempt that has ended.
    pub(super) fn take(&mut self) -> Option<(Stream, Permit)> {
        self.0.take()
    }

    pub(super) fn stream(&self) -> Option<&Stream> {
        self.0.as_ref().map(|(stream, _)| stream)
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        if let Some((stream, _permit)) = self.0.take()
            && matches!(stream.0.wire, Wire::H1(_))
        {
            h1::recycle(stream);
        }
    }
}

/// What an attempt costs.
pub(super) enum Cost {
    /// A place among the retries, if these are bounded.
    Retry(Option<retry::Permit>),
    Hedge(Fee),
}

/// What is paid for an attempt beside others. It is given back unless the attempt is sent.
pub(super) struct Fee(Option<Arc<Home>>);

impl Fee {
    /// It has been spent.
    pub(super) fn paid(home: &Arc<Home>) -> Self {
        Self(Some(home.clone()))
    }

    /// The attempt has been sent.
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Fee {
    fn drop(&mut self) {
        if let Some(home) = self.0.take() {
            home.pool.hedging().allowance.refund();
        }
    }
}
