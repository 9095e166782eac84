//! Goes through the steps: pushes, waits until what was pushed is in use, and counts.

use std::{
    error::Error,
    future::pending,
    time::{Duration, Instant},
};

use mesh_tonic::{Channel, Mesh};
use mesh_xds::{
    bootstrap::Bootstrap,
    control_plane::{ControlPlane, Revision},
};
use tokio::{net::TcpListener, time::timeout};

use crate::{
    backend::Backend,
    counts::Counts,
    load::{Caller, Load},
    step::{Event, Expect, Step},
    templates::Templates,
};

type Failure = Box<dyn Error + Send + Sync>;

/// A push that is not in use by then never will be.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many calls are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Where chance decides.
    pub(crate) by_chance: u64,
    /// Where it does not.
    pub(crate) exact: u64,
}

/// What came of a step.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) title: &'static str,
    /// Calls once the step's configuration was in use.
    pub(crate) after: Counts,
    /// Calls from the push until then.
    pub(crate) meanwhile: Counts,
    pub(crate) switched_in: Duration,
}

/// Control plane, backends and client, all in this process.
#[derive(Debug)]
pub(crate) struct Story {
    templates: Templates,
    control_plane: ControlPlane,
    bootstrap: String,
    mesh: Mesh,
    load: Load,
    v1: [Backend; 2],
    v2: Backend,
}

impl Story {
    /// Starts everything on loopback; there is no configuration yet.
    pub(crate) async fn start(templates: Templates) -> Result<Self, Failure> {
        let v1 = [Backend::start("v1-a").await?, Backend::start("v1-b").await?];
        let v2 = Backend::start("v2").await?;
        let control_plane = ControlPlane::new();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let bootstrap = format!(
            r#"{{"xds_servers": [{{"server_uri": "{}", "channel_creds": [{{"type": "insecure"}}]}}], "node": {{"id": "quickstart"}}}}"#,
            listener.local_addr()?
        );
        tokio::spawn(control_plane.serve(listener, pending()));

        // All that a client needs. Outside of a demonstration it is `Mesh::from_env()`.
        let mesh = Mesh::builder().bootstrap(Bootstrap::from_json(&bootstrap)?).build()?;
        let channel = Channel::new(&mesh, "xds:///greeter")?;
        let load = Load::new(channel);
        Ok(Self { templates, control_plane, bootstrap, mesh, load, v1, v2 })
    }

    /// Goes through one step while calls are made, and checks what its calls have seen.
    pub(crate) async fn step(&mut self, step: &Step, sizes: Sizes) -> Result<Row, Failure> {
        let (load, start) = (self.load.clone(), Instant::now());
        let (mut meanwhile, switched) = match step.event {
            // Before the first push there is nothing that calls could go by.
            Event::Nothing if self.control_plane.clients().is_empty() => {
                (Counts::default(), self.switch(step).await)
            }
            Event::Nothing | Event::Drains | Event::Returns => load.during(self.switch(step)).await,
        };
        let switched_in = start.elapsed();
        meanwhile.merge(&switched?);
        meanwhile.check()?;

        let calls = if step.is_by_chance { sizes.by_chance } else { sizes.exact };
        let mut after = Counts::default();
        for Expect { caller, shares, tolerance } in step.expect {
            let counts = self.load.calls(*caller, calls).await;
            counts.check()?;
            counts.check_shares(shares, *tolerance)?;
            after.merge(&counts);
        }
        Ok(Row { title: step.title, after, meanwhile, switched_in })
    }

    /// Makes a step's configuration the one in use. Returns the calls that it was seen by.
    async fn switch(&mut self, step: &Step) -> Result<Counts, Failure> {
        match step.event {
            Event::Nothing => {}
            Event::Drains => self.v2.drain().await?,
            Event::Returns => self.v2.come_back().await?,
        }
        let ports: Vec<_> = self.backends().map(|it| (it.name().to_owned(), it.port())).collect();
        let [routes, endpoints] = step.files;
        let resources = self.templates.resources(&["base.yaml", routes, endpoints], &ports)?;
        let revision = self.control_plane.set(ControlPlane::DEFAULT_GROUP, resources);
        timeout(PATIENCE, self.in_use(&revision, step.expect))
            .await
            .map_err(|_| format!("{:?} is not in use after {PATIENCE:?}", step.title))?
    }

    /// Resolves when the client has accepted `revision`, is complete with it, and everybody has
    /// answered who is expected to.
    async fn in_use(&self, revision: &Revision, expect: &[Expect]) -> Result<Counts, Failure> {
        let (mut load, mut counts) = (self.load.clone(), Counts::default());
        loop {
            // The first call is what makes a client of this program.
            load.call(Caller::User, &mut counts).await;
            counts.check()?;
            self.control_plane.in_force(revision).await?;
            // A new cluster is asked for only when the routes that name it are accepted.
            let graph = self.mesh.status().await.graph;
            if graph.is_some_and(|graph| graph.roots.iter().all(|root| root.waiting.is_empty())) {
                break;
            }
        }
        for Expect { caller, shares, .. } in expect {
            let mut missing: Vec<&str> = shares.iter().map(|(backend, _)| *backend).collect();
            while !missing.is_empty() {
                let backend = load.call(*caller, &mut counts).await;
                counts.check()?;
                missing.retain(|name| backend.as_deref() != Some(*name));
            }
        }
        Ok(counts)
    }

    /// All backends, by name.
    pub(crate) fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.v1.iter().chain([&self.v2])
    }

    /// What a program needs to join, as JSON.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }
}
