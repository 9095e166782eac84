//! Everything about a mesh that is not in its bootstrap.
//!
//! `entry` has the short ways to a mesh, `settings` what can be said of one, and `assembly` puts it
//! together.

mod assembly;
mod entry;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;

#[cfg(feature = "file")]
use mesh_core::authz::Observer;
use mesh_core::filter::{ConnectionFactory, Factory, Tenancy};
use mesh_core::record::Recorder;
use tokio::runtime::Handle;

use crate::bootstrap::Bootstrap;
#[cfg(all(feature = "file", feature = "tls"))]
use crate::break_glass::PublicKey;
use crate::edges::Edges;
#[cfg(feature = "testing")]
use crate::file::Memory;
#[cfg(feature = "file")]
use crate::parse::Workload;
use crate::parse::authz::Auditing;
#[cfg(feature = "tls")]
use crate::tls::MinimumVersion;

/// Builds a [`Mesh`](crate::Mesh). Made by [`Mesh::builder`](crate::Mesh::builder).
#[derive(Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct Builder {
    bootstrap: Option<Bootstrap>,
    file: Option<PathBuf>,
    wait: bool,
    plain: bool,
    #[cfg(feature = "file")]
    files: Option<PathBuf>,
    runtime: Option<Handle>,
    recorder: Option<Arc<dyn Recorder>>,
    filters: Vec<Arc<dyn Factory>>,
    auditing: Auditing,
    edges: Option<Edges>,
    #[cfg(feature = "testing")]
    text: Option<(Box<str>, Arc<Memory>)>,
    #[cfg(feature = "tls")]
    identities: Vec<(Arc<str>, Arc<dyn mesh_core::identity::Source>)>,
    #[cfg(feature = "tls")]
    crypto: Option<Arc<rustls::crypto::CryptoProvider>>,
    #[cfg(feature = "tls")]
    minimum: MinimumVersion,
    connection_filters: Vec<Arc<dyn ConnectionFactory>>,
    tenancy: Option<Tenancy>,
    #[cfg(feature = "file")]
    policies: Option<PathBuf>,
    #[cfg(feature = "file")]
    workload: Option<Workload>,
    #[cfg(feature = "file")]
    observer: Option<Arc<dyn Observer>>,
    #[cfg(all(feature = "file", feature = "tls"))]
    break_glass: Option<(Arc<str>, PublicKey)>,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("file", &self.file).finish_non_exhaustive()
    }
}
