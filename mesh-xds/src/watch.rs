//! Noticing that files change.
//!
//! Watches are on directories, so it does not matter how a file is replaced: written in place,
//! renamed over, or behind a symbolic link that is swapped, as Kubernetes does. They say that
//! something may have changed, not what: whoever is told reads and compares.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Watches on all directories in which a change can change what some files say.
#[derive(Debug)]
pub(crate) struct Watches {
    paths: Vec<PathBuf>,
    watcher: RecommendedWatcher,
    watched: Vec<PathBuf>,
}

impl Watches {
    /// Tells `changed` when one of the files or directories `paths` may have changed.
    pub(crate) fn new(paths: Vec<PathBuf>, changed: Arc<Notify>) -> notify::Result<Self> {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !is_read(event.kind)) {
                changed.notify_one();
            }
        })?;
        let mut watches = Self { paths, watcher, watched: Vec::new() };
        watches.renew()?;
        Ok(watches)
    }

    /// Watches the places where the files are now.
    ///
    /// A directory that was replaced keeps its name but not its watch, so none is kept. It is an
    /// error only if nothing can be watched.
    pub(crate) fn renew(&mut self) -> notify::Result<()> {
        for path in self.watched.drain(..) {
            // Gone together with what was watched; nothing is left to undo.
            let _ = self.watcher.unwatch(&path);
        }
        let mut refusal = None;
        for path in self.paths.iter().flat_map(|path| places(path)).collect::<BTreeSet<_>>() {
            match self.watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => self.watched.push(path),
                Err(error) => refusal = Some(error),
            }
        }
        match refusal {
            Some(refusal) if self.watched.is_empty() => Err(refusal),
            _ => Ok(()),
        }
    }
}

/// The directories in which a change can change what is read from `path`.
fn places(path: &Path) -> BTreeSet<PathBuf> {
    let mut places = BTreeSet::from([parent(path)]);
    // What does not exist yet is found through its parent.
    let mut add_target = |path: &Path| {
        if let Ok(target) = fs::canonicalize(path) {
            places.insert(if target.is_dir() { target } else { parent(&target) });
        }
    };
    add_target(path);
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|it| it.is_symlink()) {
            add_target(&entry.path());
        }
    }
    places
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether somebody only read, as we do: that must not make us read again.
fn is_read(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}
