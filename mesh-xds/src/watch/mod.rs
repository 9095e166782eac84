//! Noticing that files change.
//!
//! Watches are on directories, so it does not matter how a file is replaced: written in place,
//! renamed over, or behind a symbolic link that is swapped, as Kubernetes does. They say that
//! something may have changed, not what: whoever is told reads and compares.
//!
//! All of a process share one watcher of the operating system, which gives out only so many.

mod directories;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Notify;

use self::directories::{Directories, Place};

/// Watches on all directories in which a change can change what some files say.
#[derive(Debug)]
pub(crate) struct Watches {
    paths: Vec<PathBuf>,
    changed: Arc<Notify>,
    places: Vec<Place>,
}

impl Watches {
    /// Will tell `changed` when one of the files or directories `paths` may have changed, once it is
    /// [renewed](Self::renew).
    pub(crate) fn new(paths: Vec<PathBuf>, changed: Arc<Notify>) -> Self {
        Self { paths, changed, places: Vec::new() }
    }

    /// Watches the places where the files are now.
    ///
    /// A directory that was replaced keeps its name but not its watch, so all are set again. It is
    /// an error only if nothing can be watched: then the next call may succeed.
    pub(crate) fn renew(&mut self) -> notify::Result<()> {
        let wanted = self.wanted();
        self.settle(wanted)
    }

    /// Watches `wanted`, or where the files are if that is somewhere else by then.
    fn settle(&mut self, mut wanted: BTreeSet<PathBuf>) -> notify::Result<()> {
        for _ in 0..ATTEMPTS {
            let watched = self.watch(&wanted);
            // A link that was swapped before it was watched has told nobody, and leads elsewhere.
            let now = self.wanted();
            if now == wanted {
                return watched;
            }
            wanted = now;
        }
        self.changed.notify_one();
        Ok(())
    }

    /// Where the files are now.
    fn wanted(&self) -> BTreeSet<PathBuf> {
        self.paths.iter().flat_map(|path| places(path)).collect()
    }

    /// Watches these, and nothing else.
    fn watch(&mut self, wanted: &BTreeSet<PathBuf>) -> notify::Result<()> {
        let directories = Directories::shared()?;
        let (mut watched, mut refusal) = (Vec::new(), None);
        for path in wanted {
            match directories.watch(path.clone(), &self.changed) {
                Ok(place) => watched.push(place),
                Err(error) => refusal = Some(error),
            }
        }
        // Those before are let go of now, so that what is still needed was watched all the time.
        self.places = watched;
        match refusal {
            Some(refusal) if self.places.is_empty() => Err(refusal),
            Some(_) | None => Ok(()),
        }
    }
}

/// How often watches are set anew in a row because what is watched has moved meanwhile.
const ATTEMPTS: usize = 5;

/// The directories in which a change can change what is read from `path`, each by the one name that
/// all users know it by: the operating system has one watch on it, however it is called.
fn places(path: &Path) -> BTreeSet<PathBuf> {
    let parent_of_name = parent(path);
    // One that is not there is what cannot be watched.
    let mut places = BTreeSet::from([fs::canonicalize(&parent_of_name).unwrap_or(parent_of_name)]);
    // A link on the way to it may be swapped, too.
    for above in path.ancestors().skip(1).filter(|above| above.is_symlink()) {
        places.extend(fs::canonicalize(parent(above)));
    }
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
        Some(_) | None => PathBuf::from("."),
    }
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
        let mut watches = Watches::new(vec![file], Arc::new(Notify::new()));
        watches.renew().unwrap();
        let watched = |watches: &Watches| -> BTreeSet<_> {
            watches.places.iter().map(|place| place.path().to_owned()).collect()
        };
        let before = watches.wanted();
        assert_eq!(
            watched(&watches),
            BTreeSet::from([path(""), path("1")].map(|it| it.components().collect()))
        );
        swap("2");
        fs::write(path("2/file"), "").unwrap();
        fs::remove_dir_all(path("1")).unwrap();
        watches.settle(before).unwrap();
        assert!(watched(&watches).contains(&path("2")));
        assert_eq!(watched(&watches), watches.wanted());
    }
}
