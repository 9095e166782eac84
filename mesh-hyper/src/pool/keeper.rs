//! The task that keeps a pool: the shell around `mesh_core::balance`.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use mesh_core::balance::{Action, Balance, ConnectionId};
use mesh_core::cell::Listen;
use mesh_core::cluster::{Cluster, Config, Endpoint, Version};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::outliers::Outliers;
use super::{Picks, Pool, supervise};
use crate::context::Context;
use crate::runtime;
use crate::transport::connect::Dialer;
use crate::transport::connection::{Connection, End};
use crate::transport::signals::{Event, Signals};

/// Events taken in before the picks are rebuilt once for all of them.
const BATCH: usize = 256;

/// An attempt to open a connection.
struct Attempt {
    handle: AbortHandle,
    endpoint: Arc<Endpoint>,
}

struct Keeper {
    cluster: Weak<Cluster>,
    pool: Weak<Pool>,
    signals: Arc<Signals>,
    events: mpsc::UnboundedReceiver<Event>,
    dialer: Dialer,
    balance: Balance,
    outliers: Outliers,
    version: Arc<Version>,
    open: HashMap<ConnectionId, Arc<Connection>>,
    attempts: HashMap<ConnectionId, Attempt>,
    /// Attempts at a successor for a connection that has aged. The successor takes the place and
    /// the id of the old one, so that there is no moment without a connection.
    successors: HashMap<ConnectionId, AbortHandle>,
    /// Where connections are opened: the runtime of the last call that asked.
    app: Option<Handle>,
    /// Asked for while no runtime was known.
    held: Vec<(ConnectionId, Arc<Endpoint>)>,
}

/// Starts the keeper of `pool` on the mesh's own runtime.
pub(super) fn spawn(
    cluster: &Arc<Cluster>,
    pool: &Arc<Pool>,
    events: mpsc::UnboundedReceiver<Event>,
    context: &Context,
) {
    let listener: Arc<dyn Listen> = pool.signals.clone();
    cluster.version().listen(&listener);
    let Some(version) = cluster.version().load_full() else { return };
    let now = runtime::now();
    let mut outliers = Outliers::default();
    outliers.configure(&version, now);
    let keeper = Keeper {
        cluster: Arc::downgrade(cluster),
        pool: Arc::downgrade(pool),
        signals: pool.signals.clone(),
        events,
        dialer: context.dialer.clone(),
        balance: Balance::new(version.clone(), now),
        outliers,
        version,
        open: HashMap::new(),
        attempts: HashMap::new(),
        successors: HashMap::new(),
        app: None,
        held: Vec::new(),
    };
    context.runtime.spawn(keeper.run());
}

impl Keeper {
    async fn run(mut self) {
        loop {
            self.eject();
            self.act();
            if self.balance.take_changed() {
                self.publish();
            }
            let wakes = [self.balance.poll_timeout(), self.outliers.poll_timeout()];
            let wake = wakes.into_iter().flatten().min();
            tokio::select! {
                biased;
                // First, so that a flood of events does not keep time from passing.
                () = until(wake) => self.timeout(),
                event = self.events.recv() => {
                    let Some(event) = event else { return };
                    let mut next = Some(event);
                    let mut room = BATCH;
                    while let Some(event) = next {
                        if matches!(event, Event::ShutDown) {
                            return self.close();
                        }
                        self.take(event);
                        room -= 1;
                        next = if room == 0 { None } else { self.events.try_recv().ok() };
                    }
                }
            }
        }
    }

    fn timeout(&mut self) {
        let now = runtime::now();
        runtime::with_rng(|rng| self.balance.handle_timeout(now, rng));
        self.outliers.handle_timeout(now);
        // An endpoint whose further connection had failed can be asked for one again.
        self.signals.look_again();
    }

    fn take(&mut self, event: Event) {
        self.signals.rearm(&event);
        let now = runtime::now();
        match event {
            Event::Demand(handle) => {
                self.run_on(handle);
                self.balance.handle_demand(now);
            }
            Event::Wanted(handle) => {
                self.run_on(handle);
                for priority in self.signals.take_wanted() {
                    self.balance.handle_wanted(priority, now);
                }
            }
            Event::Saturated(endpoint, handle) => {
                self.run_on(handle);
                self.balance.handle_saturated(&endpoint, now);
            }
            Event::Aged(id) => self.succeed(id),
            Event::Published => {
                let cluster = self.cluster.upgrade();
                let Some(version) = cluster.and_then(|c| c.version().load_full()) else { return };
                self.version = version.clone();
                self.outliers.configure(&version, now);
                for connection in self.open.values() {
                    watch(connection, &self.outliers);
                }
                self.balance.reconfigure(version, now);
                // Limits and drops may have changed although no connection has.
                self.publish();
            }
            Event::Tripped => self.outliers.handle_tripped(now),
            Event::Connected(connection) => self.connected(connection, now),
            Event::Failed { id, why, runtime_gone } => {
                if self.successors.remove(&id).is_some() {
                    // The old one has to go all the same; the balance sees to the rest.
                    if let Some(old) = self.open.get(&id) {
                        old.retire("it has reached its maximum age", End::Used);
                    }
                    return;
                }
                let Some(Attempt { endpoint, .. }) = self.attempts.remove(&id) else {
                    // Abandoned: the balance has forgotten it already.
                    return;
                };
                if runtime_gone {
                    // That says nothing about the endpoint: whoever waits brings another runtime.
                    self.app = None;
                    self.connect(id, endpoint);
                    return self.signals.changed();
                }
                self.outliers.unreachable(&endpoint, now);
                let why = Arc::from(why);
                runtime::with_rng(|rng| self.balance.handle_failed(id, why, now, rng));
            }
            Event::Closed { id, closed, runtime_gone } => {
                if runtime_gone {
                    self.app = None;
                }
                if let Some(successor) = self.successors.remove(&id) {
                    successor.abort();
                }
                if self.open.remove(&id).is_some() {
                    runtime::with_rng(|rng| self.balance.handle_closed(id, closed, now, rng));
                }
            }
            Event::ShutDown => {}
        }
    }

    fn connected(&mut self, connection: Arc<Connection>, now: Instant) {
        let id = connection.id;
        watch(&connection, &self.outliers);
        if self.successors.remove(&id).is_some() {
            if let Some(old) = self.open.insert(id, connection) {
                old.gauge.spend();
            }
            return self.publish();
        }
        self.attempts.remove(&id);
        self.open.insert(id, connection);
        self.balance.handle_connected(id, now);
    }

    /// Opens connections on `app` from now on, also those that could not be opened so far.
    fn run_on(&mut self, app: Option<Handle>) {
        let Some(app) = app else { return };
        self.app = Some(app);
        for (id, endpoint) in std::mem::take(&mut self.held) {
            self.connect(id, endpoint);
        }
    }

    /// Passes on what outlier detection has decided.
    fn eject(&mut self) {
        let now = runtime::now();
        while let Some((endpoint, how)) =
            self.outliers.poll_change(self.signals.recorder.as_deref())
        {
            self.balance.set_ejected(&endpoint, how, now);
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.balance.poll_action() {
            match action {
                Action::Connect { id, endpoint } => self.connect(id, endpoint),
                Action::Retire { id } => {
                    if let Some(successor) = self.successors.remove(&id) {
                        successor.abort();
                    }
                    if let Some(connection) = self.open.remove(&id) {
                        connection.gauge.spend();
                    }
                }
                Action::Abandon { id } => {
                    self.held.retain(|(held, _)| *held != id);
                    if let Some(attempt) = self.attempts.remove(&id) {
                        attempt.handle.abort();
                    }
                }
            }
        }
    }

    fn connect(&mut self, id: ConnectionId, endpoint: Arc<Endpoint>) {
        match self.attempt(id, endpoint.clone()) {
            Some(handle) => drop(self.attempts.insert(id, Attempt { handle, endpoint })),
            None => self.held.push((id, endpoint)),
        }
    }

    /// Opens another connection in the place of `id`, which goes on until then.
    fn succeed(&mut self, id: ConnectionId) {
        let Some(old) = self.open.get(&id) else { return };
        match self.attempt(id, old.endpoint.clone()) {
            Some(handle) => drop(self.successors.insert(id, handle)),
            None => old.retire("it has reached its maximum age", End::Used),
        }
    }

    fn attempt(&self, id: ConnectionId, endpoint: Arc<Endpoint>) -> Option<AbortHandle> {
        // Without a call to tell a runtime, that of another connection is as good.
        let any = self.open.values().next().map(|connection| &connection.runtime);
        let app = self.app.as_ref().or(any)?;
        let attempt = supervise::Attempt {
            id,
            config: config_of(&self.version, &endpoint).clone(),
            endpoint,
            dialer: self.dialer.clone(),
            signals: self.signals.clone(),
        };
        Some(app.spawn(attempt.run()).abort_handle())
    }

    fn publish(&self) {
        let Some(pool) = self.pool.upgrade() else { return };
        if let Some(cluster) = self.cluster.upgrade() {
            let open = u32::try_from(self.open.len()).unwrap_or(u32::MAX);
            cluster.usage().set_connections(open);
        }
        let (view, condition) = (self.balance.view(), self.balance.condition());
        let asides = self.balance.asides();
        let picks = |view, condition| {
            runtime::with_rng(|rng| Picks::new(&self.version, view, condition, &self.open, rng))
        };
        let mut active = picks(view, condition);
        active.asides = asides.into_iter().map(|(view, why)| picks(view, why)).collect();
        pool.publish(active);
    }

    /// The cluster is gone: attempts end, connections close with their last call.
    fn close(&self) {
        for attempt in self.attempts.values() {
            attempt.handle.abort();
        }
        for successor in self.successors.values() {
            successor.abort();
        }
        for connection in self.open.values() {
            connection.gauge.spend();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Also when its runtime shuts down: calls that wait are told that nothing will come.
        self.events.close();
        self.signals.changed();
    }
}

/// Has the attempts on `connection` counted, if its cluster wants to know.
fn watch(connection: &Connection, outliers: &Outliers) {
    let Some(counter) = outliers.counter(&connection.endpoint) else { return };
    // Once only; a detector and its counters stay as long as its cluster has the endpoint.
    let own = connection.counter.get_or_init(|| counter.clone());
    if !Arc::ptr_eq(own, counter) {
        connection.retire("its endpoint is of another cluster now", End::Used);
    }
}

/// The settings for `endpoint`: of an aggregate, those of the leaf that it belongs to.
fn config_of<'a>(version: &'a Version, endpoint: &Endpoint) -> &'a Arc<Config> {
    if version.assignment.leaves.is_empty() {
        return &version.config;
    }
    let mut localities = version.assignment.localities.iter();
    let place = localities.find(|l| l.endpoints.iter().any(|e| e.is_same(endpoint)));
    let leaf = place.and_then(|place| version.assignment.leaf(place.priority));
    leaf.map_or(&version.config, |leaf| &leaf.version.config)
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => runtime::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
