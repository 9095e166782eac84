//! What all targets of a mesh share in the data plane.

use std::fmt;
use std::sync::Arc;

use mesh_core::record::Recorder;
use tokio::runtime::Handle;

use crate::transport::connect::Dialer;
use crate::transport::timer::Timers;

/// What all targets of a mesh share in the data plane.
pub(crate) struct Context {
    /// Where pools are kept and deadlines are watched: not the application's workers.
    pub(crate) runtime: Handle,
    pub(crate) timers: Arc<Timers>,
    pub(crate) dialer: Dialer,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
}

impl Context {
    pub(crate) fn new(
        runtime: Handle,
        dialer: Dialer,
        recorder: Option<Arc<dyn Recorder>>,
    ) -> Arc<Self> {
        let timers = Timers::start(&runtime);
        Arc::new(Self { runtime, timers, dialer, recorder })
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}
