//! The connections to one cluster.
//!
//! ```text
//! call ── Pool::pick ──► Picks (arc-swap) ──► Stream of a connection
//!   │ none ready                 ▲
//!   └─ Pool::wait                │ rebuilt when something changed
//!        └─ Demand, Wanted ──► keeper: one task per cluster, the shell of mesh_core::balance
//!                        └─ spawns connections on the runtime of the call that asked
//! ```
//!
//! A pool is made at a cluster's first call and lives as long as somebody holds the cluster.

mod aside;
mod breakers;
mod keeper;
mod outliers;
mod picks;
mod supervise;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mesh_core::balance::Condition;
use mesh_core::cluster::{Cluster, Pending, Permit, Usage};
use mesh_core::hedge::{Allowance, Latencies};
use mesh_core::request::RoutingPriority;
use mesh_core::retry::{Budget, Dialect, Limit};
use mesh_core::rng::Rng;

pub(crate) use aside::Avoid;
pub(crate) use picks::{Miss, Picks};

use crate::context::Context;
use crate::error::{Error, Kind};
use crate::runtime;
use crate::transport::connection::Stream;
use crate::transport::signals::Signals;

/// How long a call without a deadline waits for a connection (the connect timeout of gRPC, A6 era
/// default: 20 s).
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer than anybody waits.
const FOREVER: Duration = Duration::from_secs(86_400 * 365);

/// How a call waits for a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want<'a> {
    /// When it must have one; default after 20 s.
    pub(crate) deadline: Option<Instant>,
    /// Whether it waits although nothing can be reached at present.
    pub(crate) patient: bool,
    /// Whether it has been decided that the call is not among those to drop.
    pub(crate) draw: Draw,
    /// Where it had better not go.
    pub(crate) avoid: Option<Avoid<'a>>,
    /// Whose limit on waiting requests holds; `None` for gRPC calls, which have none (gRFC A32).
    pub(crate) pending: Option<RoutingPriority>,
}

/// Whether a call has still to be drawn for being dropped; each is once, however often it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draw {
    /// At the next look.
    Due,
    /// It was, and is not dropped.
    Done,
}

/// The connections to one cluster.
pub(crate) struct Pool {
    picks: ArcSwap<Picks>,
    signals: Arc<Signals>,
    usage: Arc<Usage>,
    /// Bound retries, those of each priority. Kept when the configuration changes.
    budgets: [Arc<Budget>; 2],
    /// Bounds hedging, and what that goes by; made for the first call that may be.
    hedging: OnceLock<Hedging>,
}

/// What calls that may be made more than once at a time share.
#[derive(Debug)]
pub(crate) struct Hedging {
    pub(crate) allowance: Allowance,
    pub(crate) latencies: Latencies,
}

impl Pool {
    /// The pool of `cluster`, made if this is the first call to it.
    #[inline]
    pub(crate) fn of<'a>(
        cluster: &'a Arc<Cluster>,
        context: &Arc<Context>,
    ) -> Option<&'a Arc<Self>> {
        match cluster.attached::<Arc<Self>>() {
            Some(pool) => Some(pool),
            None => cluster.attachment(|| Self::start(cluster, context)),
        }
    }

    fn start(cluster: &Arc<Cluster>, context: &Arc<Context>) -> Arc<Self> {
        let (signals, events) =
            Signals::new(cluster.name().clone(), context.timers.clone(), context.recorder.clone());
        let limits =
            cluster.version().load().as_ref().map(|version| picks::limits(&version.config));
        let picks = ArcSwap::from_pointee(Picks::none(limits.unwrap_or_default()));
        let (usage, budgets) = (cluster.usage().clone(), Default::default());
        let pool = Arc::new(Self { picks, signals, usage, budgets, hedging: OnceLock::new() });
        pool.signals.belong_to(&pool);
        keeper::spawn(cluster, &pool, events, context);
        pool
    }

    pub(crate) fn publish(&self, picks: Picks) {
        self.picks.store(Arc::new(picks));
        self.signals.changed();
    }

    /// Counts the calls of `priority` that may be sent again, and those that are.
    pub(crate) fn budget(&self, priority: RoutingPriority) -> &Arc<Budget> {
        let [default, high] = &self.budgets;
        match priority {
            RoutingPriority::Default => default,
            RoutingPriority::High => high,
        }
    }

    pub(crate) fn hedging(&self) -> &Hedging {
        /// Latencies are remembered for so long.
        const WINDOW: Duration = Duration::from_secs(60);
        self.hedging.get_or_init(|| Hedging {
            allowance: Allowance::default(),
            latencies: Latencies::new(WINDOW, runtime::now()),
        })
    }

    /// How many may be sent again at once. Where nothing is said, three as in Envoy; gRPC bounds
    /// attempts only (gRFC A44).
    pub(crate) fn retry_limit(&self, priority: RoutingPriority, dialect: Dialect) -> Option<Limit> {
        self.picks.load().retries(priority).or(match dialect {
            Dialect::Envoy => Some(Limit::AtMost(3)),
            Dialect::Grpc => None,
        })
    }

    /// A stream for a call, if one can be had without waiting and nobody waits already.
    #[inline]
    pub(crate) fn pick(&self, rng: &mut dyn Rng) -> Result<Stream, Miss> {
        if self.signals.waiting.load(Ordering::Relaxed) > 0 {
            return Err(Miss::Behind);
        }
        self.look(Draw::Due, None, rng)
    }

    #[inline]
    fn look(
        &self,
        draw: Draw,
        avoid: Option<Avoid<'_>>,
        rng: &mut dyn Rng,
    ) -> Result<Stream, Miss> {
        let picks = self.picks.load();
        let picked = match avoid {
            None => picks.pick(draw, None, rng),
            Some(avoid) => picks.pick_apart(draw, avoid, rng),
        };
        if let Err(Miss::Saturated(endpoint)) = &picked {
            self.signals.saturated(endpoint);
        }
        picked
    }

    /// Counts a request to `cluster` of `priority`, which is to be sent on `stream`.
    ///
    /// # Errors
    /// When as many are under way as there may be.
    #[inline]
    pub(crate) fn admit(
        &self,
        cluster: &Arc<Cluster>,
        priority: RoutingPriority,
        stream: &Stream,
    ) -> Result<Permit, Error> {
        self.picks
            .load()
            .admit(cluster, priority, stream)
            .map_err(|max| self.error(Kind::Overloaded, &format!("{max} requests are under way")))
    }

    /// A stream for a call, waiting for a connection or a free stream if need be.
    ///
    /// # Errors
    /// When there is no endpoint, none can be reached (unless the call is patient), the breakers of
    /// all refuse, too many calls wait already, or the wait outlasts the deadline.
    ///
    /// A retry that wants another priority than the active one waits for that first, but not longer
    /// than its cluster's `connect_timeout`.
    ///
    /// # Cancel safety
    /// Dropping the future gives the place in the queue to the next call.
    pub(crate) async fn wait(&self, want: Want<'_>) -> Result<Stream, Error> {
        let Want { deadline, patient, mut draw, avoid, pending } = want;
        let mut place = Place::new(self, pending);
        if let Some(avoid) = avoid.filter(|avoid| avoid.hosts.priorities.is_some()) {
            Box::pin(self.reach(avoid, deadline, &mut place)).await?;
        }
        let waiting = Waiting::enter(&self.signals);
        let until = match (deadline, patient) {
            (Some(deadline), _) => deadline,
            (None, true) => runtime::after(FOREVER),
            (None, false) => runtime::after(PATIENCE),
        };
        let mut expired = std::pin::pin!(runtime::sleep_until(until));
        if waiting.ahead > 0 {
            place.take()?;
            // Whoever was woken for a stream comes first, or a caller in a tight loop starves it.
            tokio::task::yield_now().await;
        }
        loop {
            // Enrolled before the look, so that a change in between is not missed.
            let mut freed = std::pin::pin!(self.signals.freed());
            freed.as_mut().enable();
            match runtime::with_rng(|rng| self.look(draw, avoid, rng)) {
                Ok(stream) => return Ok(stream),
                Err(Miss::Dropped(category)) => return Err(self.dropped(&category)),
                Err(Miss::Refused) => return Err(self.refused()),
                Err(Miss::NotReady) => {
                    // Also before a refusal: the runtime that attempts were made on may be gone.
                    self.signals.demand();
                    if self.signals.is_closed() {
                        return Err(self.error(Kind::NoEndpoint, "the mesh has shut down"));
                    }
                    let picks = self.picks.load_full();
                    self.refuse(&picks.condition, patient)?;
                }
                Err(Miss::Saturated(_)) => draw = Draw::Done,
                Err(Miss::Behind) => {}
            }
            place.take()?;
            tokio::select! {
                () = freed => {}
                () = &mut expired => return Err(self.expired(deadline.is_some())),
            }
        }
    }

    /// Whether there is no endpoint that could ever take a call, as far as is known, or no mesh.
    pub(crate) fn has_nobody(&self) -> bool {
        self.picks.load().condition == Condition::Empty || self.signals.is_closed()
    }

    fn refuse(&self, condition: &Condition, patient: bool) -> Result<(), Error> {
        match condition {
            Condition::Failed { why, .. } if !patient => Err(self.error(Kind::NoEndpoint, why)),
            Condition::Empty if !patient => {
                Err(self.error(Kind::NoEndpoint, "it has no usable endpoint"))
            }
            Condition::Idle
            | Condition::Connecting
            | Condition::Ready
            | Condition::Failed { .. }
            | Condition::Empty => Ok(()),
        }
    }

    fn expired(&self, by_deadline: bool) -> Error {
        let picks = self.picks.load();
        let why = match &picks.condition {
            Condition::Ready => "every stream of every connection is taken".into(),
            Condition::Failed { why, .. } => why.to_string(),
            Condition::Empty => "it has no usable endpoint".into(),
            Condition::Idle | Condition::Connecting => "still connecting".to_owned(),
        };
        let kind = if by_deadline { Kind::Deadline } else { Kind::NoEndpoint };
        self.error(kind, &why)
    }

    pub(crate) fn dropped(&self, category: &str) -> Error {
        self.error(Kind::Dropped, &format!("dropped by category {category}"))
    }

    pub(crate) fn refused(&self) -> Error {
        self.error(Kind::Overloaded, "the breakers of all endpoints are open")
    }

    pub(crate) fn error(&self, kind: Kind, why: &str) -> Error {
        Error::new(kind, format!("cluster {}: {why}", self.signals.cluster))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.signals.shut_down();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("picks", &self.picks.load()).finish_non_exhaustive()
    }
}

/// A place in the queue of calls that wait.
struct Waiting<'a> {
    signals: &'a Signals,
    ahead: u32,
}

impl<'a> Waiting<'a> {
    fn enter(signals: &'a Signals) -> Self {
        let ahead = signals.waiting.fetch_add(1, Ordering::SeqCst);
        Self { signals, ahead }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.signals.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place among the requests that wait, for a call that has one once it has to.
struct Place<'a> {
    pool: &'a Pool,
    /// Whose limit holds, as long as the call has no place.
    due: Option<RoutingPriority>,
    taken: Option<Pending>,
}

impl<'a> Place<'a> {
    fn new(pool: &'a Pool, due: Option<RoutingPriority>) -> Self {
        Self { pool, due, taken: None }
    }

    /// The call waits from now on.
    ///
    /// # Errors
    /// When as many wait as may.
    fn take(&mut self) -> Result<(), Error> {
        let Some(priority) = self.due.take() else { return Ok(()) };
        let max = self.pool.picks.load().limits(priority).max_pending;
        self.taken = self.pool.usage.wait(priority, max);
        match self.taken {
            Some(_) => Ok(()),
            None => Err(self.pool.error(Kind::Overloaded, &format!("{max} calls wait already"))),
        }
    }
}

#[cfg(test)]
impl Pool {
    /// Calls that wait, and streams that are taken of the connections that take calls.
    pub(crate) fn load(&self) -> (u32, u32) {
        let waiting = self.signals.waiting.load(Ordering::SeqCst);
        (waiting, self.picks.load().connections().map(|c| c.gauge.streams()).sum())
    }

    /// Connects as if a call waited.
    pub(crate) fn demand(&self) {
        self.signals.demand();
    }

    /// How many connections take calls.
    pub(crate) fn connected(&self) -> usize {
        self.picks.load().connections().count()
    }
}
