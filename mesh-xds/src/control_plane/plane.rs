use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    sync::Arc,
};

use tokio::sync::watch;

use super::{
    client::{Client, Node, Rejection},
    faults::Faults,
    resources::{ResourceSet, Snapshot},
    stream::Injection,
};

/// An embedded management server.
///
/// Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct ControlPlane {
    shared: Arc<Shared>,
}

struct Shared {
    group: Box<dyn Fn(&Node) -> String + Send + Sync>,
    state: watch::Sender<State>,
    clients: watch::Sender<BTreeMap<u64, Arc<Client>>>,
}

/// What streams follow.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) revision: u64,
    /// How many streams there were.
    pub(crate) streams: u64,
    pub(crate) groups: BTreeMap<String, Arc<Snapshot>>,
    /// Types that are not sent for now.
    pub(crate) held: BTreeSet<String>,
    /// Streams up to this one end.
    pub(crate) dropped: u64,
    /// The latest made-up responses.
    pub(crate) injections: VecDeque<Arc<Injection>>,
}

/// One call of [`ControlPlane::set`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    group: String,
    number: u64,
}

impl Revision {
    /// The group that was set.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Counts the calls, over all groups.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl ControlPlane {
    /// The group of all nodes, unless [`Builder::group`] says otherwise.
    pub const DEFAULT_GROUP: &'static str = "default";

    /// A server that puts every node into [`Self::DEFAULT_GROUP`] and has no resources yet.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Settings for a server.
    #[must_use]
    pub fn builder() -> Builder {
        Builder { group: Box::new(|_| Self::DEFAULT_GROUP.to_owned()) }
    }

    /// Replaces all resources of a group at once.
    ///
    /// Clients are sent what changed of what they subscribe to. Nodes of groups that were never set
    /// are served nothing.
    pub fn set(&self, group: &str, resources: ResourceSet) -> Revision {
        let snapshot = Arc::new(Snapshot::new(resources));
        let mut number = 0;
        self.shared.state.send_modify(|state| {
            state.revision += 1;
            number = state.revision;
            state.groups.insert(group.to_owned(), snapshot);
        });
        Revision { group: group.to_owned(), number }
    }

    /// The resources of a group, as they were set last; empty if they never were.
    #[must_use]
    pub fn resources(&self, group: &str) -> ResourceSet {
        let state = self.shared.state.borrow();
        state.groups.get(group).map(|snapshot| snapshot.set().clone()).unwrap_or_default()
    }

    /// The clients that are connected, in the order in which they came.
    #[must_use]
    pub fn clients(&self) -> Vec<Arc<Client>> {
        self.shared.clients.borrow().values().cloned().collect()
    }

    /// Waits until the connected clients are as `condition` wants them, and returns them.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn clients_when(
        &self,
        condition: impl Fn(&[Arc<Client>]) -> bool,
    ) -> Vec<Arc<Client>> {
        let mut clients = self.shared.clients.subscribe();
        loop {
            let now: Vec<Arc<Client>> = clients.borrow_and_update().values().cloned().collect();
            if condition(&now) || clients.changed().await.is_err() {
                return now;
            }
        }
    }

    /// Waits until all clients that are connected in the revision's group have what they subscribe
    /// to, and accepted it.
    ///
    /// That is at once if none is connected, and before a client subscribes to what it learns of:
    /// see [`Self::clients_when`] for more. Later revisions count as this one.
    ///
    /// # Errors
    ///
    /// A client refused a response.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn in_force(&self, revision: &Revision) -> Result<(), Rejection> {
        let in_group = |client: &&Arc<Client>| client.group == revision.group;
        let rejection = |clients: &[Arc<Client>]| {
            clients.iter().filter(in_group).find_map(|client| client.rejection(revision.number))
        };
        let is_in_force = |clients: &[Arc<Client>]| {
            clients.iter().filter(in_group).all(|client| client.is_in_force(revision.number))
        };
        let clients =
            self.clients_when(|clients| is_in_force(clients) || rejection(clients).is_some()).await;
        rejection(&clients).map_or(Ok(()), Err)
    }

    /// Ways to be a bad server, for tests of clients.
    #[must_use]
    pub fn faults(&self) -> Faults<'_> {
        Faults::new(&self.shared.state)
    }

    pub(crate) fn group(&self, node: &Node) -> String {
        (self.shared.group)(node)
    }

    pub(crate) fn state(&self) -> watch::Receiver<State> {
        self.shared.state.subscribe()
    }

    /// A number for a new stream.
    pub(crate) fn next_stream(&self) -> u64 {
        let mut number = 0;
        self.shared.state.send_if_modified(|state| {
            state.streams += 1;
            number = state.streams;
            false
        });
        number
    }

    pub(crate) fn publish(&self, client: Client) {
        let (stream, client) = (client.stream, Arc::new(client));
        self.shared.clients.send_if_modified(|clients| {
            let before = clients.insert(stream, Arc::clone(&client));
            before.is_none_or(|before| before != client)
        });
    }

    pub(crate) fn forget(&self, stream: u64) {
        self.shared.clients.send_if_modified(|clients| clients.remove(&stream).is_some());
    }
}

impl Default for ControlPlane {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.borrow();
        f.debug_struct("ControlPlane")
            .field("revision", &state.revision)
            .field("groups", &state.groups.keys())
            .field("clients", &self.shared.clients.borrow().len())
            .finish_non_exhaustive()
    }
}

/// Settings of a [`ControlPlane`].
pub struct Builder {
    group: Box<dyn Fn(&Node) -> String + Send + Sync>,
}

impl Builder {
    /// Chooses the group that a node is served, from what it says it is.
    #[must_use]
    pub fn group(self, group: impl Fn(&Node) -> String + Send + Sync + 'static) -> Self {
        Self { group: Box::new(group) }
    }

    /// The server.
    #[must_use]
    pub fn build(self) -> ControlPlane {
        let shared = Shared {
            group: self.group,
            state: watch::Sender::default(),
            clients: watch::Sender::default(),
        };
        ControlPlane { shared: Arc::new(shared) }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}
