//! Reading again when files change.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    task,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    error::FileError,
    resources::{FileResource, contents, resources},
};
use crate::{parse::Registry, watch::Watches};

/// How often files are read that cannot be watched.
const POLL: Duration = Duration::from_secs(10);

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
/// Where the operating system cannot watch any more files, they are read every ten seconds. Every
/// notification of the operating system leads to a comparison of the contents, so it does
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
    /// As [`read`](super::read()).
    pub async fn start(
        path: &Path,
        options: WatchOptions,
    ) -> Result<(Vec<FileResource>, Self), FileError> {
        let changed = Arc::new(Notify::new());
        let source = Source::new(path, Arc::clone(&changed));
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
        let source = Source::new(path, Arc::clone(&changed));
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
                () = self.changed.notified() => self.settle().await,
                () = sleep(POLL), if !source.is_watched => {}
                () = self.sender.closed() => return,
            }
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
    watches: Watches,
    /// The operating system tells of changes.
    is_watched: bool,
}

impl Source {
    fn new(path: &Path, changed: Arc<Notify>) -> Self {
        let watches = Watches::new(vec![path.to_owned()], changed);
        let mut source = Self { path: path.to_owned(), watches, is_watched: true };
        source.watch();
        source
    }

    /// Watches the places where the files are now.
    fn watch(&mut self) {
        let watched = self.watches.renew();
        if let Err(error) = &watched
            && self.is_watched
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "files cannot be watched, they are read every {POLL:?}");
        }
        self.is_watched = watched.is_ok();
    }

    /// Reads the contents, and watches the places where they are now.
    ///
    /// `None` when the runtime shuts down.
    async fn read(mut self) -> Option<(Self, Contents)> {
        let reading = task::spawn_blocking(move || {
            // First the watches: what happens after them is seen, what happened before is read.
            self.watch();
            let contents = contents(&self.path);
            (self, contents)
        });
        reading.await.ok()
    }
}
