//! What the rest of the program says to the driver.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use mesh_core::cell::Cell;
use mesh_core::cluster::Address;
use mesh_core::snapshot::{Presence, Root, ServerRoot};
use tokio::sync::{mpsc, oneshot};

use super::driver::{self, Source};
use crate::bootstrap::data_plane_authority;
use crate::edges::Edges;
use crate::error::Error;
use crate::name::{ResourceName, ResourceType};
use crate::parse::Registry;
use crate::providers::Providers;
use crate::roots::{RootHandle, Roots, ServerHandle};
use crate::status::Status;

/// Something for the driver.
pub(super) enum Command {
    /// Wants a target; its state goes into the cell.
    Add { key: u64, target: Arc<str>, cell: Arc<Cell<Root>> },
    /// Wants a server; its state goes into the cell.
    Serve { key: u64, address: Address, cell: Arc<Cell<ServerRoot>> },
    /// A target or server that nobody holds any more.
    Remove { key: u64 },
    /// A request of a target has named a cluster.
    Demand { key: u64, cluster: String },
    /// Tells what is known.
    Status(oneshot::Sender<Status>),
}

/// The handle of a driver. The driver ends when the last one is dropped.
pub(crate) struct Client {
    commands: mpsc::UnboundedSender<Command>,
    /// Targets that somebody holds: asked for twice, subscribed once.
    targets: Mutex<HashMap<Arc<str>, Weak<Subscription>>>,
    next: AtomicU64,
}

/// A wanted target.
struct Subscription {
    cell: Arc<Cell<Root>>,
    interest: Interest,
}

/// Interest in a target or server. Dropping it ends the subscription.
struct Interest {
    key: u64,
    commands: mpsc::UnboundedSender<Command>,
}

impl Drop for Interest {
    fn drop(&mut self) {
        // Without a driver there is nothing left to end.
        self.commands.send(Command::Remove { key: self.key }).ok();
    }
}

impl Client {
    /// Starts a driver on the runtime of the certificate `providers`.
    pub(crate) fn start(
        source: Source,
        registry: Registry,
        providers: Providers,
        edges: Edges,
    ) -> Self {
        let (commands, receiver) = mpsc::unbounded_channel();
        let handle = providers.handle.clone();
        handle.spawn(driver::run(source, (registry, providers), edges, receiver));
        Self { commands, targets: Mutex::default(), next: AtomicU64::new(0) }
    }

    fn subscribe(&self, target: &str) -> Arc<Subscription> {
        // Short, without a callback under it; a panic cannot leave the map half-changed.
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = targets.get(target).and_then(Weak::upgrade) {
            return known;
        }
        targets.retain(|_, subscription| subscription.strong_count() > 0);
        let target: Arc<str> = target.into();
        let waiting = Root::Waiting {
            why: "nothing has been heard of its listener yet".into(),
            presence: Presence::Unknown,
            since: SystemTime::now(),
        };
        let cell = Arc::new(Cell::new(Arc::new(waiting)));
        let interest = self.interest();
        let add = Command::Add { key: interest.key, target: target.clone(), cell: cell.clone() };
        self.commands.send(add).ok();
        let subscription = Arc::new(Subscription { cell, interest });
        targets.insert(target, Arc::downgrade(&subscription));
        subscription
    }
}

impl Client {
    fn interest(&self) -> Interest {
        let key = self.next.fetch_add(1, Ordering::Relaxed);
        Interest { key, commands: self.commands.clone() }
    }
}

impl Roots for Client {
    fn root(&self, target: &str) -> Result<RootHandle, Error> {
        let authority = data_plane_authority(target).map_err(|e| Error::target(target, e))?;
        let subscription = self.subscribe(target);
        let weak = Arc::downgrade(&subscription);
        let demand = move |cluster: &str| {
            ResourceName::parse(ResourceType::Cluster, cluster)?;
            if let Some(subscription) = weak.upgrade() {
                let Interest { key, commands } = &subscription.interest;
                let (key, cluster) = (*key, cluster.to_owned());
                commands.send(Command::Demand { key, cluster }).ok();
            }
            Ok(())
        };
        Ok(RootHandle {
            authority: authority.into(),
            cell: subscription.cell.clone(),
            demand: Some(Arc::new(demand)),
            subscription: Some(Box::new(subscription)),
        })
    }

    fn server(&self, address: Address) -> ServerHandle {
        let waiting = ServerRoot::Waiting {
            why: "nothing has been heard of its listener yet".into(),
            since: SystemTime::now(),
        };
        let cell = Arc::new(Cell::new(Arc::new(waiting)));
        let interest = self.interest();
        let serve = Command::Serve { key: interest.key, address, cell: cell.clone() };
        self.commands.send(serve).ok();
        ServerHandle { cell, subscription: Some(Box::new(interest)) }
    }

    fn status(&self) -> oneshot::Receiver<Status> {
        let (answer, status) = oneshot::channel();
        self.commands.send(Command::Status(answer)).ok();
        status
    }
}
