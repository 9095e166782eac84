//! The task that owns the graph: takes news in, publishes what follows, then answers the server.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use mesh_core::rng::XorShift;
use tokio::sync::mpsc;

#[cfg(feature = "file")]
use super::files::Files;
use super::handle::Command;
use super::link::News;
use super::local::Local;
use super::names::{Names, Wanted};
use super::peers::{Peers, wall};
use super::resolve::{self, Resolution, Resolved};
use super::secrets::Secrets;
use super::wait::wait_for;
use crate::ads::{self, Verdict};
use crate::bootstrap::{Bootstrap, own_server_listener};
use crate::edges::Edges;
use crate::graph::{Delta, Event, Graph, Update};
use crate::name::{ResourceName, ResourceType};
use crate::parse::Registry;
use crate::providers::Providers;
use crate::status::Status;

/// Where the bootstrap comes from.
pub(crate) enum Source {
    /// It is there.
    Bootstrap(Box<Bootstrap>),
    /// From a file that may come later.
    File(PathBuf),
    /// There is none: resources are in files.
    #[cfg(feature = "file")]
    Files(Box<Files>),
    /// There is none: targets are hosts and ports.
    Plain,
}

/// Whom resources are asked for.
enum Origin {
    /// The management servers of a bootstrap.
    Servers(Box<Bootstrap>),
    Local(Local),
}

struct Driver {
    origin: Origin,
    peers: Peers,
    graph: Graph,
    names: Names,
    secrets: Secrets,
    resolutions: HashMap<ResourceName, Resolution>,
    next_resolution: u64,
    answers: mpsc::Sender<Resolved>,
    edges: Edges,
    rng: XorShift,
}

/// Runs until nobody holds the commands' sender any more.
pub(super) async fn run(
    source: Source,
    (registry, providers): (Registry, Providers),
    edges: Edges,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let mut names = Names::default();
    let origin = match source {
        Source::Bootstrap(bootstrap) => Origin::Servers(bootstrap),
        Source::File(path) => match wait_for(&path, &mut names, &mut commands).await {
            Some(bootstrap) => Origin::Servers(bootstrap),
            None => return,
        },
        #[cfg(feature = "file")]
        Source::Files(files) => Origin::Local(Local::Files(files)),
        Source::Plain => Origin::Local(Local::Plain),
    };
    let registry = match origin.bootstrap() {
        Some(bootstrap) => {
            providers.adopt(bootstrap, &edges);
            registry.of_cluster(&bootstrap.node.cluster);
            registry.certificate_providers(providers.names())
        }
        None => registry,
    };
    let (news, mut heard) = mpsc::channel::<News>(1);
    let (answers, mut resolved) = mpsc::channel::<Resolved>(16);
    let mut driver = Driver {
        peers: Peers::new(origin.bootstrap(), &providers, edges.clone()),
        origin,
        graph: Graph::new(registry),
        names,
        secrets: Secrets::new(&providers),
        resolutions: HashMap::new(),
        next_resolution: 0,
        answers,
        rng: XorShift::new(edges.seed),
        edges,
    };
    driver.adopt();
    let taken = driver.peers.taken();
    loop {
        driver.settle();
        driver.leave();
        driver.peers.turn(&news, now());
        let wake = driver.peers.poll_timeout();
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => {
                    driver.command(command);
                    // Whatever else was said by now goes out in the same requests.
                    while let Ok(command) = commands.try_recv() {
                        driver.command(command);
                    }
                }
                None => return,
            },
            Some(news) = heard.recv() => driver.peers.handle(news, now(), &mut driver.rng),
            Some(answer) = resolved.recv() => driver.resolved(answer),
            () = taken.notified() => {}
            updates = driver.origin.changed() => driver.change(updates),
            () = until(wake) => {
                let now = now();
                driver.peers.list.iter_mut().for_each(|peer| peer.session.handle_timeout(now));
            }
        }
    }
}

impl Origin {
    fn bootstrap(&self) -> Option<&Bootstrap> {
        match self {
            Self::Servers(bootstrap) => Some(bootstrap),
            Self::Local(_) => None,
        }
    }

    /// Waits for local resources to change.
    async fn changed(&mut self) -> Vec<Update> {
        match self {
            Self::Servers(_) => std::future::pending().await,
            Self::Local(local) => local.changed().await,
        }
    }
}

impl Driver {
    /// Makes roots of the targets that were there before the bootstrap.
    fn adopt(&mut self) {
        let wanted: Vec<_> = self.names.iter().map(|(key, what)| (key, what.clone())).collect();
        for (key, what) in wanted {
            self.add_root(key, &what);
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Add { key, target, cell } => {
                let wanted = Wanted::Target(target, cell);
                self.names.add(key, wanted.clone());
                self.add_root(key, &wanted);
            }
            Command::Serve { key, address, cell } => {
                let wanted = Wanted::Server(address, cell);
                self.names.add(key, wanted.clone());
                self.add_root(key, &wanted);
            }
            Command::Remove { key } => {
                if let Some(id) = self.names.remove(key) {
                    let delta = self.graph.remove_root(id, wall());
                    self.follow(delta);
                }
            }
            Command::Demand { key, cluster } => {
                let Some(id) = self.names.id(key) else { return };
                match self.graph.demand_cluster(id, &cluster, wall()) {
                    Ok(delta) => drop(self.follow(delta)),
                    Err(error) => tracing::debug!(%error, cluster, "cluster not demanded"),
                }
            }
            Command::Status(answer) => {
                let sessions = self.peers.list.iter();
                let servers = sessions
                    .map(|peer| (peer.server.uri.as_str().to_owned(), peer.session.status()));
                let mut status = Status::new(self.graph.status(), servers.collect());
                if let Origin::Local(local) = &self.origin {
                    status.files = local.status();
                }
                // Whoever asked may have gone.
                drop(answer.send(status));
            }
        }
    }

    fn add_root(&mut self, key: u64, wanted: &Wanted) {
        let listener = match (&self.origin, wanted) {
            (Origin::Servers(bootstrap), Wanted::Target(target, _)) => {
                bootstrap.listener_name(target).map(|l| l.resource)
            }
            (Origin::Servers(bootstrap), Wanted::Server(address, _)) => {
                bootstrap.server_listener_name(address)
            }
            (Origin::Local(local), Wanted::Target(target, _)) => local.listener_name(target),
            (Origin::Local(_), Wanted::Server(address, _)) => own_server_listener(address),
        };
        match listener {
            Ok(listener) => {
                let (id, delta) = match wanted {
                    Wanted::Target(target, _) => {
                        self.graph.add_root(target.clone(), listener, wall())
                    }
                    Wanted::Server(address, _) => {
                        self.graph.add_server(address.clone(), listener, wall())
                    }
                };
                self.names.settle(key, id);
                self.follow(delta);
            }
            Err(error) => self.names.fail(key, error.to_string().into()),
        }
    }

    /// Takes in all that the sessions have to say.
    fn settle(&mut self) {
        for at in 0..self.peers.list.len() {
            while let Some(event) =
                self.peers.list.get_mut(at).and_then(|peer| peer.session.poll_event())
            {
                self.event(at, event);
            }
        }
    }

    fn event(&mut self, at: usize, event: ads::Event) {
        let Some(peer) = self.peers.list.get_mut(at) else { return };
        let update = match event {
            ads::Event::Update(update) => return self.update(at, update),
            ads::Event::Missing { kind, name, transient } => {
                let server = peer.server.uri.as_str();
                let why: Arc<str> = format!("{server} has not sent it in time").into();
                let event = if transient { Event::Unreachable(why) } else { Event::Timeout(why) };
                peer.one(kind, name, event)
            }
            ads::Event::Expired { kind, name } => {
                let event = Event::DoesNotExist("its time to live has run out".into());
                peer.one(kind, name, event)
            }
            ads::Event::Reachable => return peer.unreachable = None,
            ads::Event::Unreachable { why } => {
                tracing::warn!(server = peer.server.uri.as_str(), %why, "management server unreachable");
                peer.unreachable = Some(why.clone());
                return self.unreachable(at, &why);
            }
            ads::Event::Ignored { type_url, reason } => {
                return tracing::debug!(type_url, ?reason, "response ignored");
            }
        };
        let delta = self.graph.apply(update, wall());
        self.follow(delta);
    }

    /// Applies a response, publishes what follows, and only then accepts or rejects it.
    fn update(&mut self, at: usize, update: ads::Update) {
        let Some(peer) = self.peers.list.get(at) else { return };
        let ticket = update.ticket;
        let delta = self.graph.apply(peer.update(update), wall());
        let rejects = self.follow(delta);
        let verdict = match rejects.is_empty() {
            true => Verdict::Accept,
            false => Verdict::Reject { message: rejects.join("\n") },
        };
        if let Some(peer) = self.peers.list.get_mut(at) {
            peer.session.finish(ticket, verdict);
        }
    }

    /// Takes in what a name resolved to.
    fn resolved(&mut self, answer: Resolved) {
        let Resolved { cluster, number, host, result } = answer;
        if self.resolutions.get(&cluster).is_some_and(|current| current.number == number) {
            let delta = self.graph.handle_resolved(&cluster, host, result, wall());
            self.follow(delta);
        }
    }

    /// Applies changes of local resources.
    fn change(&mut self, updates: Vec<Update>) {
        for update in updates {
            let delta = self.graph.apply(update, wall());
            self.follow(delta);
        }
    }

    /// Lets go of local resources that are gone, once no target is about to do without them.
    fn leave(&mut self) {
        let Origin::Local(local) = &mut self.origin else { return };
        if local.is_leaving() && self.graph.status().roots.iter().all(|r| r.waiting.is_empty()) {
            let updates = local.leave();
            self.change(updates);
        }
    }

    /// Tells the graph that nothing new can come from a server at the moment.
    fn unreachable(&mut self, at: usize, why: &Arc<str>) {
        let status = self.graph.status();
        let mut by_kind: HashMap<ResourceType, Vec<(ResourceName, Event)>> = HashMap::new();
        for resource in status.resources {
            if self.peer_of(&resource.name) == Some(at) {
                let news = (resource.name, Event::Unreachable(why.clone()));
                by_kind.entry(resource.kind).or_default().push(news);
            }
        }
        for (kind, events) in by_kind {
            let update = Update { kind, fail_on_data_errors: false, events };
            let delta = self.graph.apply(update, wall());
            self.follow(delta);
        }
    }

    /// Does what a change asks for, and returns what was rejected.
    fn follow(&mut self, delta: Delta) -> Vec<String> {
        let mut rejects = Vec::new();
        let mut open = vec![delta];
        while let Some(delta) = open.pop() {
            for (id, root) in delta.roots {
                self.names.publish(id, root);
            }
            for (id, root) in delta.servers {
                self.names.publish_server(id, root);
            }
            for reject in &delta.rejects {
                let resource = &reject.resource;
                tracing::warn!(%resource, %reject, "resource rejected");
                rejects.push(format!("{resource}: {reject}"));
            }
            for (kind, name) in delta.removed {
                if kind == ResourceType::Secret {
                    self.secrets.forget(&name);
                }
                if let Origin::Local(local) = &mut self.origin {
                    local.forget(kind, &name);
                }
                if let Some(at) = self.peer_of(&name)
                    && let Some(peer) = self.peers.list.get_mut(at)
                {
                    peer.session.unsubscribe(kind, &name);
                }
            }
            for (name, news) in delta.secrets {
                self.secrets.handle(&name, news);
            }
            for (kind, name) in delta.added {
                open.extend(self.want(kind, name));
            }
            for cluster in &delta.resolved_no_more {
                self.resolutions.remove(cluster);
            }
            for resolve in delta.resolve {
                let cluster = resolve.cluster.clone();
                let number = self.next_resolution;
                self.next_resolution += 1;
                let network = self.edges.network.clone();
                let resolution = resolve::start(resolve, number, network, self.answers.clone());
                self.resolutions.insert(cluster, resolution);
            }
        }
        rejects
    }

    fn peer_of(&self, name: &ResourceName) -> Option<usize> {
        self.peers.of(self.origin.bootstrap()?, name)
    }

    /// Subscribes to a resource; what follows at once is that nobody has it, or can be asked.
    fn want(&mut self, kind: ResourceType, name: ResourceName) -> Option<Delta> {
        let at = self.peer_of(&name);
        let event = match (&mut self.origin, at.and_then(|at| self.peers.list.get_mut(at))) {
            (Origin::Local(local), _) => local.want(kind, &name),
            (Origin::Servers(_), Some(peer)) => {
                peer.session.subscribe(kind, name.clone());
                Event::Unreachable(peer.unreachable.clone()?)
            }
            (Origin::Servers(_), None) => {
                let authority = name.authority().unwrap_or_default();
                let why = format!("authority {authority:?} is not in the bootstrap");
                Event::DoesNotExist(why.into())
            }
        };
        let update = Update { kind, fail_on_data_errors: false, events: vec![(name, event)] };
        Some(self.graph.apply(update, wall()))
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
