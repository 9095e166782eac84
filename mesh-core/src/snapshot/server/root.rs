use std::sync::Arc;
use std::time::SystemTime;

use super::ServerSnapshot;

/// The state of a server, published in a [`Cell`](crate::cell::Cell).
#[derive(Clone, Debug)]
pub enum ServerRoot {
    /// There has been no complete configuration yet: nothing is served.
    Waiting {
        /// What is waited for.
        why: Arc<str>,
        /// Since when.
        since: SystemTime,
    },
    /// Connections and requests are decided by this.
    Serving(Arc<ServerSnapshot>),
    /// There is none, or it is for another address: nothing is served.
    NotServing {
        /// What is missing, refused or wrong.
        why: Arc<str>,
        /// Since when.
        since: SystemTime,
    },
}

impl ServerRoot {
    /// The configuration, if there is one.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Arc<ServerSnapshot>> {
        match self {
            Self::Serving(snapshot) => Some(snapshot),
            Self::Waiting { .. } | Self::NotServing { .. } => None,
        }
    }
}
