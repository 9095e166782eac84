//! The short ways to a mesh.

use std::path::PathBuf;

use super::Builder;
use crate::bootstrap::Bootstrap;
use crate::error::Error;
use crate::mesh::Mesh;

impl Mesh {
    /// A mesh with more settings than a bootstrap has.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The mesh that `GRPC_XDS_BOOTSTRAP` (a file, which wins) or `GRPC_XDS_BOOTSTRAP_CONFIG`
    /// (the JSON itself) describes, as for every gRPC implementation (gRFC A27).
    ///
    /// Does not connect: that happens when the first target is asked for.
    ///
    /// # Errors
    /// When neither variable is set, or the bootstrap is malformed (with its JSON path).
    pub fn from_env() -> Result<Self, Error> {
        Self::builder().bootstrap(Bootstrap::from_env().map_err(Error::bootstrap)?).build()
    }

    /// The mesh that the bootstrap file at `path` describes.
    ///
    /// # Errors
    /// When the file is not there or malformed (with its JSON path).
    pub fn from_bootstrap(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::builder().bootstrap_file(path).build()
    }

    /// The mesh that the resources in a file, or in the files of a directory, describe, without a
    /// management server. `xds:///greeter` is the listener called `greeter`.
    ///
    /// Files hold xDS resources as YAML or JSON, or services in the short form
    /// (`version: mesh/v1`). They are read, and checked, before this returns, and again whenever
    /// they change: a set of files is taken as a whole or, with anything wrong in it, not at all.
    /// Then the one before stays in use, and the log and [`Mesh::status`] say what is wrong, in
    /// which file, line and field. A resource that is not in the files any more is gone.
    ///
    /// # Errors
    /// When the files cannot be read or watched, or anything in them is wrong.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("mesh.yaml");
    /// std::fs::write(&path, "
    /// version: mesh/v1
    /// services:
    ///   greeter:
    ///     protocol: grpc
    ///     versions: { v1: ['127.0.0.1:50051'] }
    /// ")?;
    /// let mesh = mesh_xds::Mesh::from_file(&path)?;
    /// let greeter = mesh.root("xds:///greeter")?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "file")]
    pub fn from_file(path: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::builder().files(path).build()
    }

    /// No mesh: `xds:///host:port` is `host:port`, found by DNS and spoken to in plain text. The
    /// same types as with a mesh, for a laptop without one.
    ///
    /// # Errors
    /// When the control thread cannot be started.
    pub fn disabled() -> Result<Self, Error> {
        Self::builder().disabled().build()
    }
}
