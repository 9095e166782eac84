//! A file that is in memory: read, refused and followed as one on a disk is.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::sync::watch;

use super::error::FileError;
use super::resources::{FileResource, resources};
use super::watch::{Update, Watcher};
use crate::parse::Registry;

/// A file that is in memory. It is there once it is opened.
pub(crate) struct Memory {
    path: PathBuf,
    registry: OnceLock<Registry>,
    sender: watch::Sender<Option<Update>>,
    /// The last set without an error.
    resources: Mutex<Vec<FileResource>>,
}

impl Memory {
    /// A file that errors will call `path`.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            registry: OnceLock::new(),
            sender: watch::Sender::default(),
            resources: Mutex::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// As [`Watcher::open`] of a file that holds `text`.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn open(
        &self,
        text: &str,
        registry: &Registry,
    ) -> Result<(Vec<FileResource>, Watcher), FileError> {
        let registry = self.registry.get_or_init(|| registry.clone());
        let first = self.read(text, registry)?;
        Ok((first, Watcher { updates: self.sender.subscribe() }))
    }

    /// Replaces the content; whoever watches is told of the resources, or of the error.
    ///
    /// # Errors
    /// As [`read`](super::read()), or a resource is not valid.
    pub(crate) fn write(&self, text: &str) -> Result<(), FileError> {
        let registry = self.registry.get_or_init(Registry::default);
        let update = self.read(text, registry);
        self.sender.send_replace(Some(update.clone()));
        update.map(drop)
    }

    /// The last set without an error.
    pub(crate) fn resources(&self) -> Vec<FileResource> {
        self.resources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn read(&self, text: &str, registry: &Registry) -> Update {
        let contents = [(self.path.clone(), text.as_bytes().to_vec())];
        let read = resources(&contents, Some(registry))?;
        self.resources.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&read);
        Ok(read)
    }
}
