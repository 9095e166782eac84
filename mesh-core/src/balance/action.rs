//! What the shell does, and what it tells.

use std::sync::Arc;

use crate::cluster::Endpoint;

/// One connection, from the attempt to open it until it is closed. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub(super) u64);

/// Something to do with connections.
#[derive(Clone, Debug)]
pub enum Action {
    /// Open a connection; tell its end with `handle_connected` or `handle_failed`.
    Connect {
        /// What to call it.
        id: ConnectionId,
        /// Where to; all its addresses are tried in order.
        endpoint: Arc<Endpoint>,
    },
    /// Give the connection no new calls; close it when its calls have ended.
    Retire {
        /// Which one.
        id: ConnectionId,
    },
    /// Give up an attempt that has not succeeded yet.
    ///
    /// It need not be reported. If it succeeds all the same and is, the answer is
    /// [`Action::Retire`].
    Abandon {
        /// Which one.
        id: ConnectionId,
    },
}

/// How an open connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// For people.
    pub why: Arc<str>,
    /// Whether it answered at least one call. If not, and it was not idle, its end counts as a
    /// failed attempt, unless it was in good order.
    pub served: bool,
    /// Whether the peer ended it in good order, as one does that limits the age of connections.
    /// Some such ends in a row are no failure, even if there was no call in time.
    pub orderly: bool,
    /// Whether it ended because nobody used it. Its endpoint is then left alone until the next
    /// demand.
    pub idle: bool,
}
