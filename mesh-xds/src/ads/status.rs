//! What a session looks like from outside, for status pages.

use std::sync::Arc;
use std::time::Instant;

use crate::name::ResourceType;

/// The state of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The stream.
    pub stream: StreamStatus,
    /// How many streams there were, the present one included.
    pub streams: u64,
    /// Why the server is unreachable; `None` since its last response.
    pub failure: Option<Arc<str>>,
    /// How many responses were ignored.
    pub ignored: u64,
    /// The state of each type, in the order of [`ResourceType::ALL`].
    pub types: Vec<TypeStatus>,
}

/// The state of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamStatus {
    /// There is none, and nothing is in the way of opening one.
    Idle,
    /// There is none, because the last attempt failed.
    Waiting {
        /// The time of the next attempt.
        retry_at: Instant,
    },
    /// It is being opened.
    Connecting,
    /// It is open.
    Up {
        /// Whether it has carried a response.
        answered: bool,
    },
}

/// The state of one resource type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TypeStatus {
    /// The type.
    pub kind: ResourceType,
    /// The last accepted version.
    pub version: String,
    /// The nonce of the last response on this stream.
    pub nonce: String,
    /// How many names are subscribed.
    pub wanted: usize,
    /// How many resources the server has given and not taken back.
    pub received: usize,
    /// How many responses were accepted.
    pub accepts: u64,
    /// How many responses were rejected.
    pub rejects: u64,
    /// The last rejection, even if a later response was accepted.
    pub last_rejection: Option<Rejection>,
}

/// A rejected response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The version that was rejected.
    pub version: String,
    /// What the server was told.
    pub message: String,
}
