//! Where a test's mesh gets its configuration from. The only file of the kit that names the control
//! side.

use std::sync::Arc;

use mesh_core::cluster::Address;
pub(super) use mesh_xds::testing::Cluster;
use mesh_xds::testing::Document;
pub use mesh_xds::testing::{ControlPlane, LimitRequest, PushError, RateLimiter};
pub(super) use mesh_xds::{Builder, Error, Mesh};

/// Where a test's mesh gets its configuration from.
#[derive(Debug)]
pub(super) enum Feed {
    Document(Document),
    ControlPlane(ControlPlane),
}

impl Feed {
    /// The mesh that `yaml` describes.
    pub(super) fn document(yaml: &str, builder: Builder) -> Result<(Mesh, Self), Error> {
        let (mesh, document) = Document::open(yaml, builder)?;
        Ok((mesh, Self::Document(document)))
    }

    /// The mesh that `control` feeds.
    pub(super) fn control(control: &ControlPlane, builder: Builder) -> Result<(Mesh, Self), Error> {
        Ok((control.mesh(builder)?, Self::ControlPlane(control.clone())))
    }

    pub(super) async fn push(&self, yaml: &str) -> Result<(), PushError> {
        match self {
            Self::Document(document) => document.push(yaml).await,
            Self::ControlPlane(control) => control.push(yaml).await,
        }
    }

    pub(super) fn clusters(&self) -> Vec<Cluster> {
        match self {
            Self::Document(document) => document.clusters(),
            Self::ControlPlane(control) => control.clusters(),
        }
    }

    /// The names of the clusters that have `address`.
    pub(super) fn clusters_at(&self, address: &Address) -> Vec<Arc<str>> {
        let clusters = self.clusters().into_iter();
        clusters.filter(|it| it.addresses.contains(address)).map(|it| it.name).collect()
    }
}
