use std::sync::Arc;
use std::time::{Instant, SystemTime};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryResponse;
use mesh_core::snapshot::Root;
use mesh_xds::ads::{self, Config, Mode, Request, Response, Session, Verdict};
use mesh_xds::bootstrap::ServerFeatures;
use mesh_xds::graph::{Delta, Event, Graph, RootId, Update};
use mesh_xds::name::{ResourceName, ResourceType};
use mesh_xds::parse::Registry;
use prost::Message;

use super::Mesh;
use crate::shared::Error;

/// A session and a graph with at most one root, `xds:///echo`.
#[derive(Debug)]
pub struct ControlSide {
    session: Session,
    graph: Graph,
    root: Option<RootId>,
    published: Option<Arc<Root>>,
    now: Instant,
}

impl ControlSide {
    /// Connected, and without a root.
    #[must_use]
    pub fn new() -> Self {
        let mut config = Config::new(Node::default(), &ServerFeatures::default());
        config.mode = Mode::Incremental;
        Self {
            session: Session::new(config),
            graph: Graph::new(Registry::default()),
            root: None,
            published: None,
            now: Instant::now(),
        }
    }

    /// Wants the target.
    ///
    /// # Errors
    /// A resource was refused.
    pub fn add(&mut self) -> Result<(), Error> {
        let listener = ResourceName::parse(ResourceType::Listener, super::resources::NAME)?;
        let (root, delta) = self.graph.add_root("xds:///echo".into(), listener, wall());
        self.root = Some(root);
        self.follow(delta)?;
        if self.session.poll_connect(self.now) {
            self.session.handle_connected();
        }
        Ok(())
    }

    /// Wants nothing any more.
    ///
    /// # Errors
    /// A resource was refused.
    pub fn remove(&mut self) -> Result<(), Error> {
        if let Some(root) = self.root.take() {
            let delta = self.graph.remove_root(root, wall());
            self.follow(delta)?;
        }
        self.published = None;
        while self.session.poll_request(self.now).is_some() {}
        Ok(())
    }

    /// Answers what is asked for with all that `mesh` has of its type, until nothing is asked for.
    ///
    /// # Errors
    /// A resource was refused, or the target is not complete in the end.
    pub fn serve(&mut self, mesh: &Mesh) -> Result<(), Error> {
        while let Some(request) = self.session.poll_request(self.now) {
            if let Request::Incremental(request) = request
                && !request.resource_names_subscribe.is_empty()
            {
                self.receive(mesh.response(&request.type_url)?)?;
            }
        }
        match self.published.as_deref() {
            Some(Root::Ready(_)) => Ok(()),
            other => Err(format!("the target is not complete: {other:?}").into()),
        }
    }

    /// Replaces the routes by those of `mesh`, and answers what is asked for then.
    ///
    /// # Errors
    /// As [`serve`](Self::serve).
    pub fn change(&mut self, mesh: &Mesh) -> Result<(), Error> {
        self.receive(mesh.routes()?)?;
        self.serve(mesh)
    }

    /// Takes the bytes of a response in, publishes and acknowledges it.
    ///
    /// # Errors
    /// A resource was refused.
    pub fn receive(&mut self, response: &[u8]) -> Result<(), Error> {
        self.handle(DeltaDiscoveryResponse::decode(response)?)
    }

    /// The same of a response that is decoded.
    ///
    /// # Errors
    /// A resource was refused.
    pub fn handle(&mut self, response: DeltaDiscoveryResponse) -> Result<(), Error> {
        self.session.handle_response(Response::Incremental(response), self.now);
        while let Some(event) = self.session.poll_event() {
            let ads::Event::Update(update) = event else { continue };
            let ticket = update.ticket;
            let values = update
                .resources
                .into_iter()
                .map(|raw| (raw.name, Event::Value { raw: raw.body, version: raw.version.into() }));
            let gone = update.removed.into_iter();
            let gone = gone.map(|name| (name, Event::DoesNotExist("deleted".into())));
            let update = Update {
                kind: update.kind,
                fail_on_data_errors: false,
                events: values.chain(gone).collect(),
            };
            let delta = self.graph.apply(update, wall());
            self.follow(delta)?;
            self.session.finish(ticket, Verdict::Accept);
        }
        Ok(())
    }

    /// Sends what there is to say, to nobody.
    pub fn acknowledge(&mut self) {
        while self.session.poll_request(self.now).is_some() {}
    }

    fn follow(&mut self, delta: Delta) -> Result<(), Error> {
        if let Some(reject) = delta.rejects.first() {
            return Err(reject.to_string().into());
        }
        self.published = delta.roots.into_iter().map(|(_, root)| root).next_back().or(
            // What was published stays until something else is.
            self.published.take(),
        );
        for (kind, name) in delta.removed {
            self.session.unsubscribe(kind, &name);
        }
        for (kind, name) in delta.added {
            self.session.subscribe(kind, name);
        }
        Ok(())
    }
}

impl Default for ControlSide {
    fn default() -> Self {
        Self::new()
    }
}

fn wall() -> SystemTime {
    SystemTime::now()
}
