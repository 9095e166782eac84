use std::path::{Path, PathBuf};

use super::{ControlPlane, ResourceSet, Revision};
use crate::file::{FileError, FileResource, WatchOptions, Watcher};

/// A directory (or file) of resources that a group is served from.
///
/// Changes are followed while [`Self::reload`] or [`Self::run`] is waited for.
#[derive(Debug)]
pub struct Directory {
    control_plane: ControlPlane,
    group: String,
    path: PathBuf,
    watcher: Watcher,
}

impl Directory {
    /// Reads `path` and serves its resources to `group`.
    ///
    /// # Errors
    ///
    /// As [`Watcher::start`]: there is nothing good to serve yet.
    pub async fn open(
        control_plane: &ControlPlane,
        group: &str,
        path: &Path,
        options: WatchOptions,
    ) -> Result<Self, FileError> {
        let (resources, watcher) = Watcher::start(path, options).await?;
        let directory = Self {
            control_plane: control_plane.clone(),
            group: group.to_owned(),
            path: path.to_owned(),
            watcher,
        };
        directory.apply(resources);
        Ok(directory)
    }

    /// Waits for a change and serves what is there now; `None` when the runtime shut down.
    ///
    /// A set with an error is not served; the one before stays.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn reload(&mut self) -> Option<Result<Revision, FileError>> {
        Some(match self.watcher.next().await? {
            Ok(resources) => Ok(self.apply(resources)),
            Err(error) => {
                tracing::warn!(%error, "resources rejected, the previous ones stay");
                Err(error)
            }
        })
    }

    /// Follows changes for ever, or until the runtime shuts down.
    pub async fn run(mut self) {
        while self.reload().await.is_some() {}
    }

    fn apply(&self, resources: Vec<FileResource>) -> Revision {
        let resources: ResourceSet = resources.into_iter().collect();
        let count = resources.len();
        let revision = self.control_plane.set(&self.group, resources);
        tracing::info!(path = %self.path.display(), resources = count, "resources loaded");
        revision
    }
}
