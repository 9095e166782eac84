//! A configuration file in memory.

use std::fmt;
use std::sync::Arc;

use super::clusters::{Cluster, clusters};
use super::control_plane::PushError;
use super::network::InMemory;
use super::{FILE, paused, settle};
use crate::error::Error;
use crate::file::Memory;
use crate::mesh::{Builder, Mesh};

/// A configuration file in memory: what [`Mesh::from_file`] takes from a disk.
///
/// Read, checked, refused and followed by the very code that follows files, but for the watching of
/// the disk. DNS names have one made-up address each. Cheap to clone.
///
/// # Examples
///
/// ```
/// use mesh_xds::Mesh;
/// use mesh_xds::testing::Document;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mesh, document) = Document::open(
///     "{ version: mesh/v1, services: { shop: { versions: { v1: 127.0.0.1:80 } } } }",
///     Mesh::builder(),
/// )?;
/// let shop = mesh.root("xds:///shop")?;
/// mesh_xds::testing::settle().await;
/// assert!(shop.cell.load_full().is_some_and(|root| root.snapshot().is_some()));
///
/// let error = document.push("{ version: mesh/v1, service: {} }").await.unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "mesh.yaml:1:21: unrecognized field `service` (did you mean `services`?)"
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Document {
    memory: Arc<Memory>,
    network: Arc<InMemory>,
}

impl Document {
    /// The mesh that `yaml` describes: xDS resources, or the short form. Errors call it
    /// `mesh.yaml`.
    ///
    /// `builder` may have filters and a recorder; its runtime is that of the test.
    ///
    /// # Errors
    /// When anything in `yaml` is wrong, or the runtime around is not one with one thread and a
    /// paused clock.
    pub fn open(yaml: &str, builder: Builder) -> Result<(Mesh, Self), Error> {
        let runtime = paused::runtime()?;
        let (memory, network) = (Arc::new(Memory::new(FILE)), Arc::<InMemory>::default());
        let builder = builder.runtime(runtime).edges(network.edges());
        let mesh = builder.text(yaml, memory.clone()).build()?;
        Ok((mesh, Self { memory, network }))
    }

    /// Puts `yaml` in the place of what was there, and waits until it is in force.
    ///
    /// # Errors
    /// [`PushError::File`] when anything in it is wrong. Then what was there stays in force.
    ///
    /// # Cancel safety
    /// The push itself is done at the first poll; only the waiting is given up.
    pub async fn push(&self, yaml: &str) -> Result<(), PushError> {
        let written = self.memory.write(yaml);
        settle().await;
        Ok(written?)
    }

    /// The clusters that are in force.
    #[must_use]
    pub fn clusters(&self) -> Vec<Cluster> {
        clusters(&self.memory.resources(), &self.network)
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("path", &self.memory.path()).finish_non_exhaustive()
    }
}
