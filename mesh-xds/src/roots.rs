//! Where targets get their configuration from.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use mesh_core::cell::Cell;
use mesh_core::cluster::Address;
use mesh_core::snapshot::{Root, ServerRoot};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::name::NameError;
use crate::status::Status;

/// Where targets get their configuration from: a management server, files, or code.
pub trait Roots: Send + Sync {
    /// Subscribes to the configuration of `target`.
    ///
    /// # Errors
    /// When there can never be such a target.
    fn root(&self, target: &str) -> Result<RootHandle, Error>;

    /// Subscribes to the configuration of the server at `address`.
    fn server(&self, address: Address) -> ServerHandle;

    /// What is known, waited for and refused; the sender is dropped when the control side is gone.
    fn status(&self) -> oneshot::Receiver<Status>;
}

/// Asks for a cluster that only a request has named, or says why there can be none of that name.
pub type Demand = Arc<dyn Fn(&str) -> Result<(), NameError> + Send + Sync>;

/// A target's configuration.
pub struct RootHandle {
    /// What `:authority` is for requests to it.
    pub authority: Arc<str>,
    /// The configuration; empty until anything is known.
    pub cell: Arc<Cell<Root>>,
    /// How to ask for further clusters, where that is possible.
    pub demand: Option<Demand>,
    /// Ends the subscription when it is dropped.
    pub subscription: Option<Box<dyn Any + Send + Sync>>,
}

/// A server's configuration.
pub struct ServerHandle {
    /// The configuration; it says what is waited for until there is one.
    pub cell: Arc<Cell<ServerRoot>>,
    /// Ends the subscription when it is dropped.
    pub subscription: Option<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle").field("cell", &self.cell).finish_non_exhaustive()
    }
}

impl fmt::Debug for RootHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootHandle").field("authority", &self.authority).finish_non_exhaustive()
    }
}
