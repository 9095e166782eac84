//! The time of day, by which certificates expire.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Tells the time of day.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    pub(crate) fn now(&self) -> SystemTime {
        (self.0)()
    }

    /// A clock that goes on from now as that of the runtime does, which may stand still.
    #[cfg(test)]
    pub(crate) fn of_runtime() -> Self {
        let (wall, start) = (SystemTime::now(), tokio::time::Instant::now());
        Self(Arc::new(move || wall + start.elapsed()))
    }
}

impl Default for Clock {
    /// The operating system's.
    fn default() -> Self {
        Self(Arc::new(SystemTime::now))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
