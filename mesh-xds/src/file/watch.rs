//! Reading again when files change.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher as _,
    event::{AccessKind, AccessMode},
};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    task,
    time::{Instant, sleep_until, timeout},
};

use super::{
    error::FileError,
    resources::{FileResource, contents, resources},
};
use crate::parse::Registry;

/// How files are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchOptions {
    /// How long files must be left alone before they are read. Default 100 ms.
    ///
    /// Files that never rest are read after ten times as long.
    pub debounce: Duration,
}

impl WatchOptions {
    /// Sets [`Self::debounce`].
    #[must_use]
    pub fn with_debounce(self, debounce: Duration) -> Self {
        Self { debounce }
    }
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { debounce: Duration::from_millis(100) }
    }
}

/// The resources of a file or directory, whenever they change.
///
/// Every notification of the operating system leads to a comparison of the contents, so it does
/// not matter how files are replaced: written in place, renamed over, or by a symbolic link that
/// is swapped, as Kubernetes does. An update is always the whole set. A set with an error is
/// reported and nothing of it is given; what was given before stays valid.
///
/// Only the latest update is kept for a reader who is slow.
#[derive(Debug)]
pub struct Watcher {
    pub(super) updates: watch::Receiver<Option<Update>>,
}

pub(super) type Update = Result<Vec<FileResource>, FileError>;
type Contents = Result<Vec<(PathBuf, Vec<u8>)>, FileError>;

impl Watcher {
    /// Starts watching `path`, then reads it.
    ///
    /// Must be called in a tokio runtime, on which a task works until the watcher is dropped.
    ///
    /// # Errors
    ///
    /// As [`read`](super::read()), or the operating system refuses to watch.
    pub async fn start(
        path: &Path,
        options: WatchOptions,
    ) -> Result<(Vec<FileResource>, Self), FileError> {
        let changed = Arc::new(Notify::new());
        let source = Source::new(path, Arc::clone(&changed))?;
        let (source, contents) = source.read().await.ok_or_else(|| {
            FileError::io(path, &io::Error::other("the runtime is shutting down"))
        })?;
        let first = contents.clone().and_then(|contents| resources(&contents, None))?;

        let (sender, updates) = watch::channel(None);
        let follower = Follower { changed, options, registry: None, sender, last: contents };
        task::spawn(follower.run(source));
        Ok((first, Self { updates }))
    }

    /// As [`start`](Self::start), but takes only resources that are valid where the filters of
    /// `registry` are known, needs no runtime around it, and blocks while it reads. Later changes
    /// are read on `handle`.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), or a resource is not valid.
    pub fn open(
        path: &Path,
        options: WatchOptions,
        registry: Registry,
        handle: &Handle,
    ) -> Result<(Vec<FileResource>, Self), FileError> {
        let changed = Arc::new(Notify::new());
        // First the watches: what happens after them is seen, what happened before is read.
        let source = Source::new(path, Arc::clone(&changed))?;
        let contents = contents(path)?;
        let first = resources(&contents, Some(&registry))?;
        let (sender, updates) = watch::channel(None);
        let registry = Some(registry);
        let follower = Follower { changed, options, registry, sender, last: Ok(contents) };
        handle.spawn(follower.run(source));
        Ok((first, Self { updates }))
    }

    /// Waits for the files to change and gives all their resources, or what is wrong with them.
    ///
    /// `None` when the runtime shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Vec<FileResource>, FileError>> {
        self.updates.changed().await.ok()?;
        self.updates.borrow_and_update().clone()
    }
}

struct Follower {
    changed: Arc<Notify>,
    options: WatchOptions,
    /// What says whether a resource is valid; `None` takes all that are well-formed.
    registry: Option<Registry>,
    sender: watch::Sender<Option<Update>>,
    last: Contents,
}

impl Follower {
    async fn run(mut self, mut source: Source) {
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                () = self.sender.closed() => return,
            }
            self.settle().await;
            let Some((same, contents)) = source.read().await else { return };
            source = same;
            if contents == self.last {
                continue;
            }
            self.last.clone_from(&contents);
            let registry = self.registry.as_ref();
            let update = contents.and_then(|contents| resources(&contents, registry));
            self.sender.send_replace(Some(update));
        }
    }

    /// Waits until nothing happens for a while: editors and copies write in several steps.
    async fn settle(&self) {
        let latest = sleep_until(Instant::now() + self.options.debounce * 10);
        tokio::pin!(latest);
        loop {
            tokio::select! {
                () = &mut latest => return,
                event = timeout(self.options.debounce, self.changed.notified()) => {
                    if event.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// The files and the operating system's watches on them.
struct Source {
    path: PathBuf,
    watcher: RecommendedWatcher,
    watched: Vec<PathBuf>,
}

impl Source {
    fn new(path: &Path, changed: Arc<Notify>) -> Result<Self, FileError> {
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !is_read(event.kind)) {
                changed.notify_one();
            }
        });
        let watcher = watcher.map_err(|error| refused(path, &error))?;
        let mut source = Self { path: path.to_owned(), watcher, watched: Vec::new() };
        source.watch()?;
        Ok(source)
    }

    /// Reads the contents, and watches the places where they are now.
    ///
    /// `None` when the runtime shuts down.
    async fn read(mut self) -> Option<(Self, Contents)> {
        let reading = task::spawn_blocking(move || {
            // First the watches: what happens after them is seen, what happened before is read.
            let contents = self.watch().and_then(|()| contents(&self.path));
            (self, contents)
        });
        reading.await.ok()
    }

    /// Watches anew all directories that matter.
    ///
    /// A directory that was replaced keeps its name but not its watch, so none is kept.
    fn watch(&mut self) -> Result<(), FileError> {
        for path in self.watched.drain(..) {
            // Gone together with what was watched; nothing is left to undo.
            let _ = self.watcher.unwatch(&path);
        }
        let mut refusal = None;
        for path in places(&self.path) {
            match self.watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => self.watched.push(path),
                Err(error) => refusal = Some(refused(&self.path, &error)),
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

fn refused(path: &Path, error: &notify::Error) -> FileError {
    FileError::io(path, &io::Error::other(format!("cannot be watched: {error}")))
}
