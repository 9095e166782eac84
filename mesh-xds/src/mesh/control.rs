//! Where the control side runs: by default a thread with a current-thread runtime.
//!
//! So a configuration push never takes a worker from the application, a mesh may be built outside
//! of any runtime, and one in a `static` outlives the runtimes of single tests.

use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::error::Error;

pub(crate) struct Control {
    handle: Handle,
    /// Dropped to stop the thread; `None` on a runtime of the application's.
    _stop: Option<oneshot::Sender<()>>,
}

impl Control {
    /// Starts a thread of its own.
    pub(crate) fn thread() -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(Error::thread)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new()
            .name("mesh-control".into())
            .spawn(move || {
                // Ends when the sender is dropped; nothing is ever sent.
                runtime.block_on(stopped).ok();
            })
            .map_err(Error::thread)?;
        Ok(Self { handle, _stop: Some(stop) })
    }

    /// Runs on a runtime that somebody else keeps alive.
    #[cfg(feature = "ads")]
    pub(crate) fn on(handle: Handle) -> Self {
        Self { handle, _stop: None }
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}
