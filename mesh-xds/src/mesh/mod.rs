//! The mesh as a program sees it: one handle for configuration, status and lifetime.

#[cfg(feature = "ads")]
mod builder;
mod control;
mod fixed;
#[cfg(all(feature = "ads", feature = "file"))]
mod policies;

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use mesh_core::cluster::Address;
use mesh_core::record::Recorder;
use mesh_core::snapshot::Snapshot;
use tokio::runtime::Handle;

#[cfg(feature = "ads")]
pub use builder::Builder;
use control::Control;
#[cfg(all(feature = "ads", feature = "file"))]
use policies::Policies;

use crate::error::Error;
#[cfg(feature = "tls")]
use crate::identity::Identities;
use crate::providers::Providers;
use crate::roots::{RootHandle, Roots, ServerHandle};
use crate::status::Status;

/// Without files there are no policies in them.
#[cfg(not(all(feature = "ads", feature = "file")))]
type Policies = std::convert::Infallible;

/// A service mesh that this program is a member of.
///
/// Cheap to clone. The control side runs on a thread of its own and stops when the last clone, and
/// the last channel made from it, is dropped.
#[derive(Clone)]
pub struct Mesh(Arc<Inner>);

struct Inner {
    control: Control,
    roots: Box<dyn Roots>,
    providers: Providers,
    attachment: OnceLock<Box<dyn Any + Send + Sync>>,
    /// What works for the mesh until its last handle is dropped.
    _policies: Option<Policies>,
}

impl Mesh {
    /// A mesh whose targets are `snapshots`, found by [`Snapshot::target`](mesh_core::snapshot::Snapshot::target), and never change.
    ///
    /// # Errors
    /// When the control thread cannot be started.
    pub fn fixed(snapshots: impl IntoIterator<Item = Snapshot>) -> Result<Self, Error> {
        let roots = fixed::Fixed::new(snapshots);
        let control = Control::thread()?;
        let providers = Providers {
            #[cfg(feature = "tls")]
            identities: Arc::default(),
            handle: control.handle().clone(),
            recorder: None,
        };
        Ok(Self::assemble(control, Box::new(roots), (providers, None)))
    }

    fn assemble(
        control: Control,
        roots: Box<dyn Roots>,
        (providers, policies): (Providers, Option<Policies>),
    ) -> Self {
        let attachment = OnceLock::new();
        Self(Arc::new(Inner { control, roots, providers, attachment, _policies: policies }))
    }

    /// The configuration of a target such as `xds:///greeter`, subscribed to as long as the handle
    /// lives.
    ///
    /// # Errors
    /// When the target's name is malformed, or names an authority that the bootstrap does not know.
    pub fn root(&self, target: &str) -> Result<RootHandle, Error> {
        self.0.roots.root(target)
    }

    /// The configuration of the server at `address`, subscribed to as long as the handle lives.
    ///
    /// Its listener is the one that the bootstrap's `server_listener_resource_name_template` makes
    /// of the address (gRFC A36); without a bootstrap, of `server/` and the address. Where there can
    /// be none, the handle says so.
    #[must_use]
    pub fn server(&self, address: Address) -> ServerHandle {
        self.0.roots.server(address)
    }

    /// What is known, waited for and refused, and why. Prints as text for people.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn status(&self) -> Status {
        // The control side ends only after the last handle, of which this is one.
        let status = self.0.roots.status().await.unwrap_or_default();
        #[cfg(feature = "tls")]
        let status = {
            let not_ready = self.identities().check_ready().err().map(|why| why.to_string());
            Status { not_ready, ..status }
        };
        status
    }

    /// The runtime of the control side.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        self.0.control.handle()
    }

    /// Who is told what happens, if anybody is.
    #[must_use]
    pub fn recorder(&self) -> Option<&Arc<dyn Recorder>> {
        self.0.providers.recorder.as_ref()
    }

    /// The identities and authorities that resources refer to.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn identities(&self) -> &Arc<Identities> {
        &self.0.providers.identities
    }

    /// What a data plane keeps with the mesh, made at first use. `None` if it is of another type.
    pub fn attachment<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<&T> {
        self.0.attachment.get_or_init(|| Box::new(make())).downcast_ref()
    }
}

impl fmt::Debug for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mesh").finish_non_exhaustive()
    }
}
