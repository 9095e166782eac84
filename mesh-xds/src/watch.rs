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
    watched: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

/// How often watches are set anew in a row because what is watched has moved meanwhile.
const ATTEMPTS: usize = 5;

impl Watches {
    /// Tells `changed` when one of the files or directories `paths` may have changed.
    pub(crate) fn new(paths: Vec<PathBuf>, changed: Arc<Notify>) -> notify::Result<Self> {
        let tell = changed.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !is_read(event.kind)) {
                tell.notify_one();
            }
        })?;
        let mut watches = Self { paths, watcher, watched: BTreeSet::new(), changed };
        watches.renew()?;
        Ok(watches)
    }

    /// Watches the places where the files are now.
    ///
    /// A directory that was replaced keeps its name but not its watch, so none is kept. It is an
    /// error only if nothing can be watched.
    pub(crate) fn renew(&mut self) -> notify::Result<()> {
        let places = self.places();
        self.settle(places)
    }

    /// Watches `places`, or where the files are if that is somewhere else by then.
    fn settle(&mut self, mut places: BTreeSet<PathBuf>) -> notify::Result<()> {
        for _ in 0..ATTEMPTS {
            self.watch(&places)?;
            // A link that was swapped before it was watched has told nobody, and leads elsewhere.
            let now = self.places();
            if now == places {
                return Ok(());
            }
            places = now;
        }
        self.changed.notify_one();
        Ok(())
    }

    /// Where the files are now.
    fn places(&self) -> BTreeSet<PathBuf> {
        self.paths.iter().flat_map(|path| places(path)).collect()
    }

    /// Watches these, and nothing else.
    fn watch(&mut self, places: &BTreeSet<PathBuf>) -> notify::Result<()> {
        for path in std::mem::take(&mut self.watched) {
            // Gone together with what was watched; nothing is left to undo.
            let _ = self.watcher.unwatch(&path);
        }
        let mut refusal = None;
        for path in places {
            match self.watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.watched.insert(path.clone())),
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_that_is_swapped_before_it_is_watched_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| fs::canonicalize(directory.path()).unwrap().join(name);
        let swap = |to: &str| {
            fs::create_dir(path(to)).unwrap();
            symlink(to, path("next")).unwrap();
            fs::rename(path("next"), path("data")).unwrap();
        };
        swap("1");
        fs::write(path("1/file"), "").unwrap();
        let file = path("data").join("file");
        let mut watches = Watches::new(vec![file], Arc::new(Notify::new())).unwrap();
        let before = watches.places();
        assert!(watches.watched.contains(&path("1")));
        swap("2");
        fs::write(path("2/file"), "").unwrap();
        fs::remove_dir_all(path("1")).unwrap();
        watches.settle(before).unwrap();
        assert!(watches.watched.contains(&path("2")));
        assert_eq!(watches.watched, watches.places());
    }
}
