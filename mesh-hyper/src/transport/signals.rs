//! What calls, connections and the keeper of a pool tell each other.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use mesh_core::balance::{Closed, ConnectionId};
use mesh_core::cell::Listen;
use mesh_core::cluster::Endpoint;
use mesh_core::record::{self, Recorder};
use tokio::runtime::Handle;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, mpsc};

use super::connection::Connection;
use super::timer::Timers;
use crate::runtime;

/// Something for the keeper.
pub(crate) enum Event {
    /// A call waits; connections may be opened on its runtime.
    Demand(Option<Handle>),
    /// Retries want other priorities than the active one, which may be connected to on the runtime.
    Wanted(Option<Handle>),
    /// All streams of the endpoint's connections are taken; more may be opened on the runtime.
    Saturated(Arc<Endpoint>, Option<Handle>),
    /// The connection is old: it takes calls until another one takes its place.
    Aged(ConnectionId),
    /// A new version of the cluster is there.
    Published,
    /// An endpoint has failed too often in a row.
    Tripped,
    Connected(Arc<Connection>),
    Failed {
        id: ConnectionId,
        why: String,
        runtime_gone: bool,
    },
    Closed {
        id: ConnectionId,
        closed: Closed,
        runtime_gone: bool,
    },
    /// Nobody holds the cluster any more.
    ShutDown,
}

/// The last priority that retries may want.
pub(crate) const LAST: u32 = 63;

/// Shared by a pool, its keeper and its connections.
///
/// The queue of events is unbounded in type but not in fact: demands, wants, publications and the
/// like are folded into one, and all others are one per connection or endpoint.
pub(crate) struct Signals {
    pub(crate) cluster: Arc<str>,
    pub(crate) timers: Arc<Timers>,
    /// Calls that wait for a stream.
    pub(crate) waiting: AtomicU32,
    freed: Notify,
    moved: Notify,
    events: mpsc::UnboundedSender<Event>,
    demanded: AtomicBool,
    /// The priorities that are wanted, one bit for each.
    wanted: AtomicU64,
    published: AtomicBool,
    saturated: AtomicBool,
    tripped: AtomicBool,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
    /// The pool that all of this belongs to; what it is does not show on this floor.
    owner: OnceLock<Weak<dyn Any + Send + Sync>>,
}

impl Signals {
    pub(crate) fn new(
        cluster: Arc<str>,
        timers: Arc<Timers>,
        recorder: Option<Arc<dyn Recorder>>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Event>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let signals = Self {
            cluster,
            timers,
            waiting: AtomicU32::new(0),
            freed: Notify::new(),
            moved: Notify::new(),
            events,
            demanded: AtomicBool::new(false),
            wanted: AtomicU64::new(0),
            published: AtomicBool::new(false),
            saturated: AtomicBool::new(false),
            tripped: AtomicBool::new(false),
            recorder,
            owner: OnceLock::new(),
        };
        (Arc::new(signals), receiver)
    }

    pub(crate) fn belong_to<T: Any + Send + Sync>(&self, owner: &Arc<T>) {
        let owner: Weak<T> = Arc::downgrade(owner);
        self.owner.set(owner).ok();
    }

    /// The pool, if anybody still holds its cluster.
    pub(crate) fn owner<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.owner.get()?.upgrade()?.downcast().ok()
    }

    /// Resolves when a stream is free or the picks have changed.
    pub(crate) fn freed(&self) -> Notified<'_> {
        self.freed.notified()
    }

    /// Resolves when the picks have changed; for those that are in no queue for a stream.
    pub(crate) fn moved(&self) -> Notified<'_> {
        self.moved.notified()
    }

    /// A stream was given back.
    #[inline]
    pub(crate) fn stream_freed(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    /// Everybody who waits looks again.
    pub(crate) fn changed(&self) {
        self.freed.notify_waiters();
        self.moved.notify_waiters();
    }

    /// Calls that wait look again, if there are any.
    pub(crate) fn look_again(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.changed();
        }
    }

    pub(crate) fn demand(&self) {
        if !self.demanded.swap(true, Ordering::AcqRel) {
            self.send(Event::Demand(runtime::current()));
        }
    }

    /// A retry wants `priority`, which is not after [`LAST`].
    #[cold]
    pub(crate) fn wanted(&self, priority: u32) {
        if self.wanted.fetch_or(1 << priority.min(LAST), Ordering::AcqRel) == 0 {
            self.send(Event::Wanted(runtime::current()));
        }
    }

    /// The priorities that are wanted, which have to be reported again from now on.
    pub(crate) fn take_wanted(&self) -> impl Iterator<Item = u32> + use<> {
        let wanted = self.wanted.swap(0, Ordering::AcqRel);
        (0..=LAST).filter(move |priority| wanted & (1 << priority) != 0)
    }

    pub(crate) fn saturated(&self, endpoint: &Arc<Endpoint>) {
        if !self.saturated.swap(true, Ordering::AcqRel) {
            self.send(Event::Saturated(endpoint.clone(), runtime::current()));
        }
    }

    /// An endpoint may have to be ejected.
    #[cold]
    pub(crate) fn tripped(&self) {
        if !self.tripped.swap(true, Ordering::AcqRel) {
            self.send(Event::Tripped);
        }
    }

    /// From now on demands, saturation, publications and endpoints that fail are reported again.
    pub(crate) fn rearm(&self, event: &Event) {
        match event {
            Event::Demand(_) => self.demanded.store(false, Ordering::Release),
            Event::Saturated(..) => self.saturated.store(false, Ordering::Release),
            Event::Published => self.published.store(false, Ordering::Release),
            Event::Tripped => self.tripped.store(false, Ordering::Release),
            Event::Wanted(_)
            | Event::Aged(_)
            | Event::Connected(_)
            | Event::Failed { .. }
            | Event::Closed { .. }
            | Event::ShutDown => {}
        }
    }

    pub(crate) fn connected(&self, connection: Arc<Connection>) {
        self.record(&connection.endpoint, record::Connection::Opened);
        self.send(Event::Connected(connection));
    }

    pub(crate) fn failed(&self, id: ConnectionId, endpoint: &Endpoint, why: &str, gone: bool) {
        self.record(endpoint, record::Connection::Failed(why));
        self.send(Event::Failed { id, why: why.to_owned(), runtime_gone: gone });
    }

    pub(crate) fn closed(&self, id: ConnectionId, endpoint: &Endpoint, closed: Closed, gone: bool) {
        self.record(endpoint, record::Connection::Closed(&closed.why));
        self.send(Event::Closed { id, closed, runtime_gone: gone });
    }

    pub(crate) fn aged(&self, id: ConnectionId) {
        self.send(Event::Aged(id));
    }

    /// Whether the keeper is gone, and nothing will ever be connected again.
    pub(crate) fn is_closed(&self) -> bool {
        self.events.is_closed()
    }

    pub(crate) fn shut_down(&self) {
        self.send(Event::ShutDown);
    }

    fn send(&self, event: Event) {
        // Without a keeper the pool is shutting down, and nobody is left to be told.
        self.events.send(event).ok();
    }

    /// The breaker of an endpoint does something else from now on.
    pub(crate) fn breaker(&self, endpoint: &Endpoint, change: record::Breaker) {
        let (cluster, address) = (&*self.cluster, &endpoint.address);
        match change {
            record::Breaker::Refuses(wait) => {
                tracing::warn!(cluster, %address, ?wait, "the breaker of an endpoint refuses calls");
            }
            record::Breaker::Passes | _ => {
                tracing::info!(cluster, %address, "the breaker of an endpoint lets calls pass again");
            }
        }
        if let Some(recorder) = &self.recorder {
            let address = address.to_string();
            recorder.record(&record::Event::Breaker { cluster, address: &address, change });
        }
    }

    fn record(&self, endpoint: &Endpoint, change: record::Connection<'_>) {
        if let Some(recorder) = &self.recorder {
            let address = endpoint.address.to_string();
            let cluster = &self.cluster;
            recorder.record(&record::Event::Connection { cluster, address: &address, change });
        }
    }
}

impl Listen for Signals {
    fn published(&self) {
        if !self.published.swap(true, Ordering::AcqRel) {
            self.send(Event::Published);
        }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}
