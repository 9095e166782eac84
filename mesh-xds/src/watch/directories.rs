//! The one watcher of this process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// The watcher, while somebody uses it.
static SHARED: Mutex<Weak<Directories>> = Mutex::new(Weak::new());

/// The directories that are watched, and for whom.
///
/// Linux gives a user 128 watchers by default (`fs.inotify.max_user_instances`), for all of its
/// processes, and each many directories. So there is one.
#[derive(Debug)]
pub(super) struct Directories {
    /// Waits for the thread that tells users: never taken while `users` is held.
    watcher: Mutex<RecommendedWatcher>,
    users: Arc<Mutex<Users>>,
}

#[derive(Debug, Default)]
struct Users(BTreeMap<PathBuf, Directory>);

#[derive(Debug)]
struct Directory {
    /// What the watch is on, which may not have the name any more.
    inode: Option<Inode>,
    /// Each as often as it asked for the directory.
    told: Vec<Arc<Notify>>,
}

/// A directory that is watched for somebody, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    user: Arc<Notify>,
    directories: Arc<Directories>,
}

impl Directories {
    /// The one of this process.
    ///
    /// # Errors
    /// When the operating system gives none.
    pub(super) fn shared() -> notify::Result<Arc<Self>> {
        let mut shared = lock(&SHARED);
        if let Some(directories) = shared.upgrade() {
            return Ok(directories);
        }
        let users = Arc::new(Mutex::new(Users::default()));
        let told = users.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if let Ok(event) = event {
                lock(&told).tell(&event);
            }
        })?;
        let directories = Arc::new(Self { watcher: Mutex::new(watcher), users });
        *shared = Arc::downgrade(&directories);
        Ok(directories)
    }

    /// Tells `user` from now on when something in the directory at the canonical `path` changes.
    pub(super) fn watch(
        self: &Arc<Self>,
        path: PathBuf,
        user: &Arc<Notify>,
    ) -> notify::Result<Place> {
        let mut watcher = lock(&self.watcher);
        let inode = Inode::of(&path);
        let known = lock(&self.users).0.get(&path).map(|directory| directory.inode);
        let is_replaced = known.is_some_and(|known| known != inode);
        if is_replaced {
            // Gone together with what was watched; nothing is left to undo.
            let _ = watcher.unwatch(&path);
        }
        // Also where there seems to be a watch: with the directory it may have gone, and a new one
        // may have got its number. On one that is watched it changes nothing.
        watcher.watch(&path, RecursiveMode::NonRecursive)?;
        let mut users = lock(&self.users);
        let directory =
            users.0.entry(path.clone()).or_insert(Directory { inode, told: Vec::new() });
        directory.inode = inode;
        if is_replaced {
            // What has changed in the new one since it is there, nobody has heard.
            directory.tell();
        }
        directory.told.push(user.clone());
        Ok(Place { path, user: user.clone(), directories: self.clone() })
    }

    fn leave(&self, path: &Path, user: &Arc<Notify>) {
        let mut watcher = lock(&self.watcher);
        if lock(&self.users).leave(path, user) {
            // Gone together with what was watched; nothing is left to undo.
            let _ = watcher.unwatch(path);
        }
    }
}

impl Users {
    /// Whether that was the last user of the directory.
    fn leave(&mut self, path: &Path, user: &Arc<Notify>) -> bool {
        let Some(directory) = self.0.get_mut(path) else { return false };
        if let Some(at) = directory.told.iter().position(|told| Arc::ptr_eq(told, user)) {
            directory.told.swap_remove(at);
        }
        let is_unused = directory.told.is_empty();
        if is_unused {
            self.0.remove(path);
        }
        is_unused
    }

    fn tell(&self, event: &notify::Event) {
        if event.need_rescan() {
            // There was more than the operating system could remember.
            self.0.values().for_each(Directory::tell);
        } else if !is_read(event.kind) {
            // A path is the directory itself, or something in it.
            let directories = event.paths.iter().flat_map(|path| [Some(&**path), path.parent()]);
            let directories = directories.flatten().filter_map(|path| self.0.get(path));
            directories.for_each(Directory::tell);
        }
    }
}

impl Directory {
    fn tell(&self) {
        self.told.iter().for_each(|user| user.notify_one());
    }
}

impl Place {
    /// Which it is.
    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.directories.leave(&self.path, &self.user);
    }
}

/// What tells two directories of one name apart, where the system has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Inode(u64, u64);

impl Inode {
    #[cfg(unix)]
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self(metadata.dev(), metadata.ino()))
    }

    #[cfg(not(unix))]
    fn of(_: &Path) -> Option<Self> {
        None
    }
}

/// Whether somebody only read, as we do: that must not make us read again.
fn is_read(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}

/// What a thread that panicked has left behind is complete: it is changed in single steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
