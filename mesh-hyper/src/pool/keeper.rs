//! The task that keeps a pool: the shell around `mesh_core::balance`.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use mesh_core::balance::{Action, Balance, ConnectionId};
use mesh_core::cell::Listen;
use mesh_core::cluster::{Cluster, Config, Endpoint, Version};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::signals::Event;
use super::{Picks, Pool, Signals, supervise};
use crate::client::Context;
use crate::runtime;
use crate::transport::connect::Connect;
use crate::transport::connection::Connection;

/// Events taken in before the picks are rebuilt once for all of them.
const BATCH: usize = 256;

struct Keeper {
    cluster: Weak<Cluster>,
    pool: Weak<Pool>,
    signals: Arc<Signals>,
    connector: Arc<dyn Connect>,
    balance: Balance,
    version: Arc<Version>,
    open: HashMap<ConnectionId, Arc<Connection>>,
    attempts: HashMap<ConnectionId, AbortHandle>,
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
    let keeper = Keeper {
        cluster: Arc::downgrade(cluster),
        pool: Arc::downgrade(pool),
        signals: pool.signals.clone(),
        connector: context.connector.clone(),
        balance: Balance::new(version.clone(), runtime::now()),
        version,
        open: HashMap::new(),
        attempts: HashMap::new(),
        app: None,
        held: Vec::new(),
    };
    context.runtime.spawn(keeper.run(events));
}

impl Keeper {
    async fn run(mut self, mut events: mpsc::UnboundedReceiver<Event>) {
        loop {
            self.act();
            if self.balance.take_changed() {
                self.publish();
            }
            let wake = self.balance.poll_timeout();
            tokio::select! {
                biased;
                event = events.recv() => {
                    let Some(event) = event else { return };
                    let mut next = Some(event);
                    for _ in 0..BATCH {
                        let Some(event) = next.take() else { break };
                        if matches!(event, Event::ShutDown) {
                            return self.close();
                        }
                        self.take(event);
                        next = events.try_recv().ok();
                    }
                    if let Some(event) = next {
                        self.take(event);
                    }
                }
                () = until(wake) => {
                    let now = runtime::now();
                    runtime::with_rng(|rng| self.balance.handle_timeout(now, rng));
                }
            }
        }
    }

    fn take(&mut self, event: Event) {
        self.signals.rearm(&event);
        let now = runtime::now();
        match event {
            Event::Demand(handle) => {
                self.app = handle.or(self.app.take());
                self.balance.handle_demand(now);
                for (id, endpoint) in std::mem::take(&mut self.held) {
                    self.connect(id, endpoint);
                }
            }
            Event::Saturated(endpoint) => self.balance.handle_saturated(&endpoint, now),
            Event::Published => {
                let cluster = self.cluster.upgrade();
                let Some(version) = cluster.and_then(|c| c.version().load_full()) else { return };
                self.version = version.clone();
                self.balance.reconfigure(version, now);
                // Limits and drops may have changed although no connection has.
                self.publish();
            }
            Event::Connected(connection) => {
                let id = connection.id;
                self.attempts.remove(&id);
                self.open.insert(id, connection);
                self.balance.handle_connected(id, now);
            }
            Event::Failed { id, why, runtime_gone } => {
                if self.attempts.remove(&id).is_none() {
                    // Abandoned: the balance has forgotten it already.
                    return;
                }
                self.forget_runtime(runtime_gone);
                let why = Arc::from(why);
                runtime::with_rng(|rng| self.balance.handle_failed(id, why, now, rng));
            }
            Event::Closed { id, closed, runtime_gone } => {
                self.forget_runtime(runtime_gone);
                if self.open.remove(&id).is_some() {
                    runtime::with_rng(|rng| self.balance.handle_closed(id, closed, now, rng));
                }
            }
            Event::ShutDown => {}
        }
    }

    fn forget_runtime(&mut self, gone: bool) {
        if gone {
            self.app = None;
        }
    }

    fn act(&mut self) {
        while let Some(action) = self.balance.poll_action() {
            match action {
                Action::Connect { id, endpoint } => self.connect(id, endpoint),
                Action::Retire { id } => {
                    if let Some(connection) = self.open.remove(&id) {
                        connection.gauge.spend();
                    }
                }
                Action::Abandon { id } => {
                    self.held.retain(|(held, _)| *held != id);
                    if let Some(attempt) = self.attempts.remove(&id) {
                        attempt.abort();
                    }
                }
            }
        }
    }

    fn connect(&mut self, id: ConnectionId, endpoint: Arc<Endpoint>) {
        let Some(app) = &self.app else {
            return self.held.push((id, endpoint));
        };
        let attempt = supervise::Attempt {
            id,
            config: config_of(&self.version, &endpoint).clone(),
            endpoint,
            connector: self.connector.clone(),
            signals: self.signals.clone(),
        };
        let task = app.spawn(supervise::run(attempt));
        self.attempts.insert(id, task.abort_handle());
    }

    fn publish(&self) {
        let Some(pool) = self.pool.upgrade() else { return };
        let (view, condition) = (self.balance.view(), self.balance.condition());
        let picks =
            runtime::with_rng(|rng| Picks::new(&self.version, view, condition, &self.open, rng));
        pool.publish(picks);
    }

    /// The cluster is gone: attempts end, connections close with their last call.
    fn close(self) {
        for attempt in self.attempts.into_values() {
            attempt.abort();
        }
        for connection in self.open.into_values() {
            connection.gauge.spend();
        }
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

async fn until(at: Option<std::time::Instant>) {
    match at {
        Some(at) => runtime::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
