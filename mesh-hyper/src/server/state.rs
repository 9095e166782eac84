//! What a server is served by at the moment, and who hears when that changes.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Context as Task;

use mesh_core::cell::{Cell, Listen};
use mesh_core::identity::Forwarded;
use mesh_core::listener::Selector;
use mesh_core::matcher::PathMatcher;
use mesh_core::route::{Action, Route, RouteMatch, Table, VirtualHost};
use mesh_core::snapshot::{
    Connections, FilterChain, Inspection, Routes, Routing, ServerRoot, ServerSnapshot, Stamp,
};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Whether a server serves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServingState {
    /// Connections are served.
    Serving,
    /// They are closed without a byte.
    NotServing {
        /// What is missing, refused or wrong.
        why: Arc<str>,
    },
    /// They are served still, and the server is about to stop.
    Stopping,
}

/// Where a server's configuration comes from.
pub(crate) struct Source {
    root: Arc<Cell<ServerRoot>>,
    /// What lives as long as the server: the subscription, and the mesh.
    _keep: Option<Box<dyn Any + Send + Sync>>,
    /// Whether handshakes can go on, or why not.
    ready: Option<Ready>,
}

/// Says why there should be no new work, if so.
type Ready = Box<dyn Fn() -> Result<(), String> + Send + Sync>;

impl Source {
    pub(crate) fn new(
        root: Arc<Cell<ServerRoot>>,
        keep: Option<Box<dyn Any + Send + Sync>>,
    ) -> Self {
        Self { root, _keep: keep, ready: None }
    }

    /// Is ready only while `ready` says so.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing expires"))]
    pub(crate) fn ready_if(
        self,
        ready: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { ready: Some(Box::new(ready)), ..self }
    }
}

/// What a server is served by, and its phase. One per server, shared by its connections.
pub(super) struct Status {
    source: Source,
    /// What is served by while there has never been any configuration.
    open: Option<Arc<ServerSnapshot>>,
    was_configured: AtomicBool,
    is_stopping: AtomicBool,
    is_draining: AtomicBool,
    changes: Arc<Changes>,
}

/// Counts what connections have to look at.
#[derive(Default)]
struct Changes {
    count: AtomicU64,
    notify: Arc<Notify>,
}

impl Listen for Changes {
    fn published(&self) {
        self.count.fetch_add(1, Ordering::Release);
        self.notify.notify_waiters();
    }
}

impl Status {
    pub(super) fn new(source: Source, open: Option<Arc<ServerSnapshot>>) -> Arc<Self> {
        let changes = Arc::new(Changes::default());
        let listener: Arc<dyn Listen> = changes.clone();
        source.root.listen(&listener);
        Arc::new(Self {
            source,
            open,
            was_configured: AtomicBool::new(false),
            is_stopping: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
            changes,
        })
    }

    /// What connections are decided by, if they are to be served.
    pub(super) fn snapshot(&self) -> Option<Arc<ServerSnapshot>> {
        match self.source.root.load().as_deref() {
            Some(ServerRoot::Serving(snapshot)) => {
                self.was_configured.store(true, Ordering::Relaxed);
                Some(snapshot.clone())
            }
            Some(ServerRoot::Waiting { .. } | ServerRoot::NotServing { .. }) | None => {
                let is_open = !self.was_configured.load(Ordering::Relaxed);
                self.open.clone().filter(|_| is_open)
            }
        }
    }

    pub(super) fn serving(&self) -> ServingState {
        if self.is_stopping() {
            return ServingState::Stopping;
        }
        if self.snapshot().is_some() {
            return ServingState::Serving;
        }
        ServingState::NotServing { why: self.why() }
    }

    /// Whether new work should come to what serves. Ends before handshakes fail.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check_ready(&self) -> Result<(), String> {
        self.source.ready.as_ref().map_or(Ok(()), |ready| ready())
    }

    /// What is missing.
    fn why(&self) -> Arc<str> {
        match self.source.root.load().as_deref() {
            Some(ServerRoot::Waiting { why, .. } | ServerRoot::NotServing { why, .. }) => {
                why.clone()
            }
            Some(ServerRoot::Serving(_)) => Arc::default(),
            None => "nothing has been heard of its listener yet".into(),
        }
    }

    /// From now on the server is about to stop: not ready, but serving.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.changes.published();
    }

    /// Whether it was told to stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// From now on all connections drain.
    pub(super) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
        self.changes.published();
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    /// Notices changes; the first look finds one, so that none falls between this and what was
    /// read before.
    pub(super) fn watch(&self) -> Watch {
        Watch {
            seen: u64::MAX,
            notified: Box::pin(self.changes.notify.clone().notified_owned()),
            is_registered: false,
            changes: self.changes.clone(),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status").field("serving", &self.serving()).finish_non_exhaustive()
    }
}

/// Notices changes, for one task. Looking when nothing has changed is one atomic load.
pub(super) struct Watch {
    changes: Arc<Changes>,
    seen: u64,
    notified: Pin<Box<OwnedNotified>>,
    is_registered: bool,
}

impl Watch {
    /// Whether anything has changed since this was last asked. The task is woken when it does.
    pub(super) fn poll(&mut self, cx: &mut Task<'_>) -> bool {
        let count = self.changes.count.load(Ordering::Acquire);
        if self.is_registered && count == self.seen {
            return false;
        }
        // Registered first, then counted: what changes in between is not missed.
        loop {
            self.notified.set(self.changes.notify.clone().notified_owned());
            if self.notified.as_mut().poll(cx).is_pending() {
                break;
            }
        }
        self.is_registered = true;
        let count = self.changes.count.load(Ordering::Acquire);
        std::mem::replace(&mut self.seen, count) != count
    }

    /// Waits for a change.
    ///
    /// # Cancel safety
    /// No change is lost when the future is dropped.
    pub(super) async fn changed(&mut self) {
        std::future::poll_fn(|cx| match self.poll(cx) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        })
        .await;
        // The next one to wait may be another task.
        self.is_registered = false;
    }
}

/// A configuration that serves everything to everybody, for development.
pub(super) fn open() -> Option<Arc<ServerSnapshot>> {
    let mut table = Table::builder();
    let all = RouteMatch::new(PathMatcher::prefix(""));
    let route = Route::new(all, Action::NonForwarding);
    table.virtual_host(VirtualHost::new("unconfigured", &["*"]).route(route));
    let routes = Routes::new(Arc::new(table.build().ok()?), &[], None);
    let chain = FilterChain {
        name: "unconfigured".into(),
        security: None,
        forwarded: Forwarded::default(),
        filters: Arc::default(),
        connections: Connections::default(),
        routing: Routing::Ready(Arc::new(routes)),
    };
    Some(Arc::new(ServerSnapshot {
        listener: Arc::default(),
        stamp: Stamp::default(),
        epoch: 0,
        inspection: Inspection::Addresses,
        selector: Arc::new(Selector::default()),
        chains: Arc::default(),
        default: Some(Arc::new(chain)),
    }))
}
