//! The management servers: a session each, and the stream that it has at the moment.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use mesh_core::rng::Rng;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use super::link::{self, Link, News};
use super::secure::Secure;
use crate::ads::{self, Config, Request, Session};
use crate::bootstrap::{Bootstrap, ClientFeature, Server};
use crate::edges::Edges;
use crate::graph::{Event, Update};
use crate::name::{ResourceName, ResourceType};
use crate::providers::Providers;

/// The management servers of a bootstrap. Equal ones are one.
pub(super) struct Peers {
    pub(super) list: Vec<Peer>,
    edges: Edges,
    taken: Arc<Notify>,
}

pub(super) struct Peer {
    pub(super) server: Arc<Server>,
    secure: Option<Arc<Secure>>,
    pub(super) session: Session,
    /// Why it cannot be reached, while it cannot.
    pub(super) unreachable: Option<Arc<str>>,
    stream: Option<Stream>,
    streams: u64,
    config: Config,
}

struct Stream {
    number: u64,
    requests: mpsc::Sender<Request>,
    task: AbortHandle,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peers {
    /// None, where there is no bootstrap.
    pub(super) fn new(bootstrap: Option<&Bootstrap>, providers: &Providers, edges: Edges) -> Self {
        let list = bootstrap.map(|it| Self::list(it, providers)).unwrap_or_default();
        Self { list, edges, taken: Arc::default() }
    }

    fn list(bootstrap: &Bootstrap, providers: &Providers) -> Vec<Peer> {
        let node = bootstrap.node.to_proto(ClientFeature::ADS);
        let authorities = bootstrap.authorities.values().map(|a| &a.servers);
        let mut list: Vec<Peer> = Vec::new();
        // Of several servers for the same names the first is asked.
        let firsts = std::iter::once(&bootstrap.servers).chain(authorities);
        for server in firsts.filter_map(|servers| servers.first()) {
            if !list.iter().any(|peer| *peer.server == *server) {
                let config = Config::new(node.clone(), &server.features);
                list.push(Peer {
                    server: Arc::new(server.clone()),
                    secure: Secure::of(server, providers).map(Arc::new),
                    session: Session::new(config.clone()),
                    unreachable: None,
                    stream: None,
                    streams: 0,
                    config,
                });
            }
        }
        list
    }

    /// The server that answers for `name`.
    pub(super) fn of(&self, bootstrap: &Bootstrap, name: &ResourceName) -> Option<usize> {
        let server = bootstrap.servers_of(name)?.first()?;
        self.list.iter().position(|peer| *peer.server == *server)
    }

    /// Resolves when a server has taken a request, so that there is room for another.
    pub(super) fn taken(&self) -> Arc<Notify> {
        self.taken.clone()
    }

    /// Opens the streams that are wanted, and hands over the requests that there is room for.
    pub(super) fn turn(&mut self, news: &mpsc::Sender<News>, now: Instant) {
        for (at, peer) in self.list.iter_mut().enumerate() {
            if peer.session.poll_connect(now) {
                peer.open(at, &self.edges, (news, &self.taken));
            }
            let Some(stream) = &peer.stream else { continue };
            while let Ok(place) = stream.requests.try_reserve() {
                let Some(request) = peer.session.poll_request(now) else { break };
                place.send(request);
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.list.iter().filter_map(|peer| peer.session.poll_timeout()).min()
    }

    /// Takes in what a link says; of a stream that has been replaced nothing counts any more.
    pub(super) fn handle(&mut self, news: News, now: Instant, rng: &mut dyn Rng) {
        let Some(peer) = self.list.get_mut(news.peer) else { return };
        if peer.stream.as_ref().is_none_or(|stream| stream.number != news.stream) {
            return;
        }
        match news.event {
            link::Event::Connected => peer.session.handle_connected(),
            link::Event::Response(response) => peer.session.handle_response(*response, now),
            link::Event::Closed(why) => {
                tracing::debug!(server = peer.server.uri.as_str(), why, "stream ended");
                peer.stream = None;
                peer.session.handle_disconnected(why, now, rng);
            }
        }
    }
}

impl Peer {
    fn open(
        &mut self,
        peer: usize,
        edges: &Edges,
        (news, taken): (&mpsc::Sender<News>, &Arc<Notify>),
    ) {
        let (sender, requests) = mpsc::channel(link::REQUESTS);
        self.streams += 1;
        let task = tokio::spawn(link::run(Link {
            peer,
            stream: self.streams,
            server: self.server.clone(),
            secure: self.secure.clone(),
            edges: edges.clone(),
            mode: self.config.mode,
            requests,
            taken: taken.clone(),
            news: news.clone(),
        }));
        let task = task.abort_handle();
        self.stream = Some(Stream { number: self.streams, requests: sender, task });
    }

    /// What an update of the session means to the graph.
    pub(super) fn update(&self, update: ads::Update) -> Update {
        let features = &self.server.features;
        let kind = update.kind;
        let mut events: Vec<(ResourceName, Event)> = Vec::new();
        let version: Arc<str> = update.version.into();
        for raw in update.resources {
            let version = match raw.version.is_empty() {
                true => version.clone(),
                false => raw.version.into(),
            };
            // A slice of the response would keep all of it; the resource outlives it.
            events.push((raw.name, Event::Value { raw: raw.body.to_vec().into(), version }));
        }
        for name in update.removed {
            if features.ignore_resource_deletion && kind.is_whole_in_response() {
                tracing::warn!(%name, "the server deleted a resource; it stays in use");
            } else {
                // It may never have been there.
                let why = format!("{} says that there is none", self.server.uri.as_str());
                events.push((name, Event::DoesNotExist(why.into())));
            }
        }
        events.extend(update.left_out.into_iter().map(|name| (name, Event::LeftOut)));
        for refusal in update.refused {
            let why: Arc<str> = refusal.message.into();
            // NOT_FOUND and PERMISSION_DENIED are data errors, all others pass (gRFC A88).
            let event = match refusal.code {
                5 => Event::DoesNotExist(why),
                7 => Event::Refused(why),
                _ => Event::Unreachable(why),
            };
            events.push((refusal.name, event));
        }
        Update { kind, fail_on_data_errors: features.fail_on_data_errors, events }
    }

    /// One piece of news about one resource.
    pub(super) fn one(&self, kind: ResourceType, name: ResourceName, event: Event) -> Update {
        let fail_on_data_errors = self.server.features.fail_on_data_errors;
        Update { kind, fail_on_data_errors, events: vec![(name, event)] }
    }
}

/// The current wall time, for people.
pub(super) fn wall() -> SystemTime {
    SystemTime::now()
}
