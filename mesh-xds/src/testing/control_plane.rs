//! The embedded control plane, with the streams to it in memory.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::clusters::{Cluster, clusters};
use super::network::InMemory;
use super::{FILE, paused, settle};
use crate::bootstrap::{Bootstrap, BootstrapError};
use crate::control_plane::{ControlPlane as Server, Rejection};
use crate::error::Error;
use crate::file::{FileError, FileResource, parse};
use crate::mesh::{Builder, Mesh};

/// A control plane in memory, and the meshes that it feeds.
///
/// The [embedded management server](crate::control_plane) itself, spoken to in real ADS over streams
/// in memory. Cheap to clone; stops with its last clone.
///
/// # Examples
///
/// ```
/// use mesh_xds::Mesh;
/// use mesh_xds::testing::ControlPlane;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let control = ControlPlane::start()?;
/// let mesh = control.mesh(Mesh::builder())?;
/// let shop = mesh.root("xds:///shop")?;
/// let yaml = "{ version: mesh/v1, services: { shop: { versions: { v1: 127.0.0.1:80 } } } }";
/// control.push(yaml).await?;
/// assert!(shop.cell.load_full().is_some_and(|root| root.snapshot().is_some()));
///
/// // What is in use outlives the control plane.
/// control.stop().await;
/// assert!(shop.cell.load_full().is_some_and(|root| root.snapshot().is_some()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ControlPlane(Arc<Inner>);

struct Inner {
    runtime: Handle,
    network: Arc<InMemory>,
    state: Mutex<State>,
}

struct State {
    server: Server,
    /// Dropped to stop the server.
    stop: Option<oneshot::Sender<()>>,
    resources: Vec<FileResource>,
}

impl ControlPlane {
    /// A control plane without resources.
    ///
    /// # Errors
    /// When the runtime around is not one with one thread and a paused clock.
    pub fn start() -> Result<Self, Error> {
        let state = State { server: Server::new(), stop: None, resources: Vec::new() };
        let control = Self(Arc::new(Inner {
            runtime: paused::runtime()?,
            network: Arc::default(),
            state: Mutex::new(state),
        }));
        control.restart();
        Ok(control)
    }

    /// A mesh that this control plane feeds, whatever server its bootstrap names. Where `builder`
    /// has no bootstrap, that is [`bootstrap`](Self::bootstrap) without features.
    ///
    /// # Errors
    /// As [`Builder::build`].
    pub fn mesh(&self, builder: Builder) -> Result<Mesh, Error> {
        let bootstrap = self.bootstrap(&[]).map_err(Error::bootstrap)?;
        let builder = builder.or_bootstrap(bootstrap).runtime(self.0.runtime.clone());
        builder.edges(self.0.network.edges()).build()
    }

    /// A bootstrap with this server and these `server_features`, such as `delta`.
    ///
    /// # Errors
    /// When a feature is malformed.
    pub fn bootstrap(&self, features: &[&str]) -> Result<Bootstrap, BootstrapError> {
        let server = serde_json::json!({
            "server_uri": "control-plane:18000",
            "channel_creds": [{ "type": "insecure" }],
            "server_features": features,
        });
        let bootstrap = serde_json::json!({ "xds_servers": [server], "node": { "id": "test" } });
        Bootstrap::from_json(&bootstrap.to_string())
    }

    /// Replaces all resources by those in `yaml`, xDS or the short form, and waits until all meshes
    /// have asked for what they want of them and answered, as far as faults let them.
    ///
    /// # Errors
    /// [`PushError::File`] when the YAML is malformed: nothing is sent then.
    /// [`PushError::Rejected`] when a mesh has refused what it was sent.
    ///
    /// # Cancel safety
    /// The push itself is done at the first poll; only the waiting is given up.
    pub async fn push(&self, yaml: &str) -> Result<(), PushError> {
        let resources = parse(yaml, Path::new(FILE))?;
        let (server, revision) = {
            let mut state = self.state();
            state.resources.clone_from(&resources);
            let set = resources.into_iter().collect();
            (state.server.clone(), state.server.set(Server::DEFAULT_GROUP, set))
        };
        settle().await;
        let clients = server.clients();
        match clients.iter().find_map(|client| client.rejection(revision.number())) {
            Some(rejection) => Err(rejection.into()),
            None => Ok(()),
        }
    }

    /// The server, with its clients and [faults](Server::faults).
    #[must_use]
    pub fn server(&self) -> Server {
        self.state().server.clone()
    }

    /// Ends all streams, and refuses new ones until [`restart`](Self::restart).
    ///
    /// # Cancel safety
    /// It stops at the first poll; only the waiting is given up.
    pub async fn stop(&self) {
        self.0.network.close();
        self.state().stop = None;
        settle().await;
    }

    /// Starts a server that has the same resources, and knows nothing of the clients before. One
    /// that runs is stopped.
    pub fn restart(&self) {
        let mut state = self.state();
        state.server = Server::new();
        let set = state.resources.iter().cloned().collect();
        state.server.set(Server::DEFAULT_GROUP, set);
        let (stop, stopped) = oneshot::channel::<()>();
        let incoming = UnboundedReceiverStream::new(self.0.network.listen());
        // Nothing is ever sent: it ends when the sender is dropped.
        let serving = state.server.serve_incoming(incoming, async { drop(stopped.await) });
        self.0.runtime.spawn(serving);
        state.stop = Some(stop);
    }

    /// The clusters that are served.
    #[must_use]
    pub fn clusters(&self) -> Vec<Cluster> {
        clusters(&self.state().resources, &self.0.network)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock can leave it half-changed.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ControlPlane").field(&self.state().server).finish()
    }
}

/// Why a push is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// The YAML is malformed, or a resource in it is not valid.
    #[error(transparent)]
    File(#[from] FileError),
    /// A mesh has refused it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
}
