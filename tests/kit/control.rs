//! The embedded control plane, and a mesh that it feeds.

use std::net::SocketAddr;
use std::path::Path;

use mesh_xds::bootstrap::Bootstrap;
use mesh_xds::control_plane::{ControlPlane, ResourceSet, Revision, ServeError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::gate::Gate;

/// A control plane on loopback. Stops when it is dropped.
#[derive(Debug)]
pub struct Control {
    plane: ControlPlane,
    gate: Gate,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Control {
    /// Starts a control plane without resources on a free port.
    pub async fn start() -> Result<Self, Failure> {
        let mut control = Self::absent().await?;
        control.restart();
        Ok(control)
    }

    /// An address at which there is no control plane until [`restart`](Self::restart).
    pub async fn absent() -> Result<Self, Failure> {
        Ok(Self { plane: ControlPlane::new(), gate: Gate::bind().await?, running: None })
    }

    /// Ends all streams and connections. New ones are closed at once.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        self.gate.shut();
        if let Some(Running { stop, served }) = self.running.take() {
            // It is stopped already if nobody listens.
            stop.send(()).ok();
            served.await??;
        }
        Ok(())
    }

    /// Starts a control plane that knows nothing of the one before, at the same address.
    pub fn restart(&mut self) {
        self.plane = ControlPlane::new();
        let (stop, stopped) = oneshot::channel();
        // Also when the sender is gone, with the control plane.
        let served = self.plane.serve_incoming(self.gate.open(), async { drop(stopped.await) });
        self.running = Some(Running { stop, served: tokio::spawn(served) });
    }

    /// The server itself.
    #[must_use]
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// Where it listens, whether it is there or not.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.gate.address()
    }

    /// Replaces all resources by those in `yaml`.
    pub fn push(&self, yaml: &str) -> Result<Revision, Failure> {
        Ok(self.plane.set(ControlPlane::DEFAULT_GROUP, resources(yaml)?))
    }

    /// A bootstrap that names this server.
    pub fn bootstrap(&self, features: &[&str]) -> Result<Bootstrap, Failure> {
        Ok(Bootstrap::from_json(&self.bootstrap_json(features))?)
    }

    /// The text of that bootstrap.
    #[must_use]
    pub fn bootstrap_json(&self, features: &[&str]) -> String {
        let features: Vec<String> = features.iter().map(|f| format!("{f:?}")).collect();
        format!(
            r#"{{"xds_servers": [{{"server_uri": "{}", "channel_creds": [{{"type": "insecure"}}],
                "server_features": [{}]}}], "node": {{"id": "test"}}}}"#,
            self.gate.address(),
            features.join(", ")
        )
    }
}

/// The resources in a YAML text.
pub fn resources(yaml: &str) -> Result<ResourceSet, Failure> {
    let parsed = mesh_xds::file::parse(yaml, Path::new("test.yaml"))?;
    Ok(parsed.into_iter().collect())
}
