//! The embedded control plane, and a mesh that it feeds.

use std::net::SocketAddr;
use std::path::Path;

use mesh_xds::bootstrap::Bootstrap;
use mesh_xds::control_plane::{ControlPlane, ResourceSet, Revision};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

/// A control plane on loopback. Stops when it is dropped.
#[derive(Debug)]
pub struct Control {
    plane: ControlPlane,
    address: SocketAddr,
    task: AbortHandle,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Control {
    /// Starts a control plane without resources on a free port.
    pub async fn start() -> Result<Self, Failure> {
        let plane = ControlPlane::new();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let served = plane.serve(listener, std::future::pending());
        let task = tokio::spawn(served).abort_handle();
        Ok(Self { plane, address, task })
    }

    /// The server itself.
    #[must_use]
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// Replaces all resources by those in `yaml`.
    pub fn push(&self, yaml: &str) -> Result<Revision, Failure> {
        Ok(self.plane.set(ControlPlane::DEFAULT_GROUP, resources(yaml)?))
    }

    /// A bootstrap that names this server.
    pub fn bootstrap(&self, features: &[&str]) -> Result<Bootstrap, Failure> {
        let features: Vec<String> = features.iter().map(|f| format!("{f:?}")).collect();
        let json = format!(
            r#"{{"xds_servers": [{{"server_uri": "{}", "channel_creds": [{{"type": "insecure"}}],
                "server_features": [{}]}}], "node": {{"id": "test"}}}}"#,
            self.address,
            features.join(", ")
        );
        Ok(Bootstrap::from_json(&json)?)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The resources in a YAML text.
pub fn resources(yaml: &str) -> Result<ResourceSet, Failure> {
    let parsed = mesh_xds::file::parse(yaml, Path::new("test.yaml"))?;
    Ok(parsed.into_iter().collect())
}
