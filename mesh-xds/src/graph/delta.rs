//! What goes into the graph and what comes out of it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use mesh_core::cluster::HostPort;
use mesh_core::identity::Feed;
use mesh_core::snapshot::{Root, ServerRoot};

use crate::name::{ResourceName, ResourceType};
use crate::parse::Reject;

/// News of resources of one type. Applied as a whole.
#[derive(Clone, Debug)]
pub struct Update {
    /// The type of all of them.
    pub kind: ResourceType,
    /// Whether bad news takes a resource away that is in use (gRFC A88, `fail_on_data_errors`).
    pub fail_on_data_errors: bool,
    /// What happened to each.
    pub events: Vec<(ResourceName, Event)>,
}

/// What happened to a resource.
#[derive(Clone)]
#[non_exhaustive]
pub enum Event {
    /// The server sent it.
    Value {
        /// The message. Kept as long as the resource is, so it should not be a slice of much more.
        raw: Bytes,
        /// The server's version of it.
        version: Arc<str>,
    },
    /// The server says that it does not exist, or has deleted it. A data error (gRFC A88).
    DoesNotExist(Arc<str>),
    /// The server has answered without it, and may not have known that it is wanted.
    LeftOut,
    /// The server has not sent it in time. Only of a resource that was never there.
    Timeout(Arc<str>),
    /// The server reports an error with it (`resource_errors`). A data error (gRFC A88).
    Refused(Arc<str>),
    /// The server cannot be reached or reports an error that will pass. Takes nothing away.
    Unreachable(Arc<str>),
}

impl fmt::Debug for Event {
    /// Without the message, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, text) = match self {
            Self::Value { version, .. } => ("Value", version),
            Self::DoesNotExist(why) => ("DoesNotExist", why),
            Self::Timeout(why) => ("Timeout", why),
            Self::Refused(why) => ("Refused", why),
            Self::Unreachable(why) => ("Unreachable", why),
            Self::LeftOut => return f.write_str("LeftOut"),
        };
        f.debug_tuple(name).field(text).finish()
    }
}

/// A target or server in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootId(pub(super) u64);

/// What follows from a change.
#[derive(Debug, Default)]
pub struct Delta {
    /// Names that are wanted now and were not before.
    pub added: Vec<(ResourceType, ResourceName)>,
    /// Names that are not wanted any more.
    pub removed: Vec<(ResourceType, ResourceName)>,
    /// Roots in a new state, each once: to be published before the ACK goes out.
    pub roots: Vec<(RootId, Arc<Root>)>,
    /// Servers in a new state, in the same way.
    pub servers: Vec<(RootId, Arc<ServerRoot>)>,
    /// What happened to secrets, in order.
    pub secrets: Vec<(ResourceName, SecretNews)>,
    /// Resources that were refused: the text of the NACK.
    pub rejects: Vec<Reject>,
    /// Names to resolve from now on, and again after each `refresh`; replaces what was said of the
    /// same cluster before.
    pub resolve: Vec<Resolve>,
    /// Clusters whose names need no resolving any more.
    pub resolved_no_more: Vec<ResourceName>,
}

/// What happened to a secret.
#[derive(Clone, Debug)]
pub enum SecretNews {
    /// It is wanted: handshakes that need it are to find it here. Before anything that names it is
    /// in use.
    Wanted(Arc<Feed>),
    /// It gives something new, of which the own certificate, if there is one, expires then.
    Renewed {
        /// When.
        expires: Option<SystemTime>,
    },
    /// Nothing new could be had, because of this. It gives what it gave before.
    Failed(Arc<str>),
    /// It gives nothing any more, because of this.
    Withdrawn(Arc<str>),
}

/// Names that a cluster's endpoints stand behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// The cluster.
    pub cluster: ResourceName,
    /// The names. Answers refer to them by their index.
    pub hosts: Arc<[HostPort]>,
    /// Time between resolutions.
    pub refresh: Duration,
}
