//! A source that a task keeps up to date.

use std::fmt;
use std::sync::Arc;

use mesh_core::cell::Listen;
use mesh_core::identity::{Feed, Material, Source, Unavailable};
use tokio::task::AbortHandle;

/// Gives what a task has found last. The task ends when this is dropped.
///
/// Made by [`Watched::start`](super::Watched::start), which follows files, and, with the feature
/// `ads`, by the `start` of `AgentSettings`, which asks an agent.
pub struct Fed {
    feed: Arc<Feed>,
    task: AbortHandle,
}

impl Fed {
    /// Gives what `task` puts into `feed`.
    pub(super) fn new(feed: Arc<Feed>, task: AbortHandle) -> Self {
        Self { feed, task }
    }
}

impl Source for Fed {
    fn current(&self) -> Result<Arc<Material>, Unavailable> {
        self.feed.current()
    }

    fn generation(&self) -> u64 {
        self.feed.generation()
    }

    fn listen(&self, listener: &Arc<dyn Listen>) {
        self.feed.listen(listener);
    }
}

impl Drop for Fed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Fed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fed").finish_non_exhaustive()
    }
}
