//! Where resources are when there is no management server to ask.

use std::sync::Arc;

#[cfg(feature = "file")]
use super::files::Files;
use super::plain;
#[cfg(feature = "file")]
use crate::bootstrap::own_listener;
use crate::bootstrap::{TargetError, data_plane_authority};
use crate::graph::{Event, Update};
use crate::name::{ResourceName, ResourceType};
use crate::status::FilesStatus;

/// Where resources are when there is no management server to ask.
pub(super) enum Local {
    /// Nowhere: every target is the host and port that it names.
    Plain,
    /// In files.
    #[cfg(feature = "file")]
    Files(Box<Files>),
}

impl Local {
    /// The Listener that `target` asks for.
    pub(super) fn listener_name(&self, target: &str) -> Result<ResourceName, TargetError> {
        match self {
            Self::Plain => {
                let service = data_plane_authority(target)?;
                ResourceName::parse(ResourceType::Listener, &service)
                    .map_err(|_| TargetError::Empty)
            }
            #[cfg(feature = "file")]
            Self::Files(_) => own_listener(target),
        }
    }

    /// What there is to say of a resource that is wanted from now on.
    pub(super) fn want(&mut self, kind: ResourceType, name: &ResourceName) -> Event {
        match self {
            Self::Plain => match plain::resource(kind, name) {
                Some(raw) => Event::Value { raw, version: Arc::default() },
                None => Event::DoesNotExist("it is not a host and port".into()),
            },
            #[cfg(feature = "file")]
            Self::Files(files) => files.want(kind, name),
        }
    }

    /// A resource is not wanted any more.
    pub(super) fn forget(&mut self, kind: ResourceType, name: &ResourceName) {
        match self {
            Self::Plain => {}
            #[cfg(feature = "file")]
            Self::Files(files) => files.forget(kind, name),
        }
        #[cfg(not(feature = "file"))]
        let _ = (kind, name);
    }

    /// Waits for resources to change: what to apply, in this order.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn changed(&mut self) -> Vec<Update> {
        match self {
            Self::Plain => std::future::pending().await,
            #[cfg(feature = "file")]
            Self::Files(files) => files.changed().await,
        }
    }

    /// Whether resources are in use that are gone.
    pub(super) fn is_leaving(&self) -> bool {
        match self {
            Self::Plain => false,
            #[cfg(feature = "file")]
            Self::Files(files) => files.is_leaving(),
        }
    }

    /// What takes those resources out of use.
    pub(super) fn leave(&mut self) -> Vec<Update> {
        match self {
            Self::Plain => Vec::new(),
            #[cfg(feature = "file")]
            Self::Files(files) => files.leave(),
        }
    }

    pub(super) fn status(&self) -> Option<FilesStatus> {
        match self {
            Self::Plain => None,
            #[cfg(feature = "file")]
            Self::Files(files) => Some(files.status()),
        }
    }
}
