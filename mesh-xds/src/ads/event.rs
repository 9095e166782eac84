//! What a session tells its user, and what the user answers.

use std::sync::Arc;

use super::{Malformed, Raw};
use crate::name::{ResourceName, ResourceType};

/// Something that the user of a session must hear about.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A response. It waits for [`finish`](super::Session::finish).
    Update(Update),
    /// A resource was asked for and did not come in time (A57). It may still come.
    Missing {
        /// Its type.
        kind: ResourceType,
        /// Its name.
        name: ResourceName,
        /// It is late rather than absent (`resource_timer_is_transient_error`, A88).
        transient: bool,
    },
    /// The time to live of a resource ran out: it is gone.
    Expired {
        /// Its type.
        kind: ResourceType,
        /// Its name.
        name: ResourceName,
    },
    /// The server gave its first response, or its first after [`Event::Unreachable`].
    Reachable,
    /// The stream could not be opened, or ended before any response. Comes once per attempt. A
    /// stream that ends later is opened again silently.
    Unreachable {
        /// As the shell said it.
        why: Arc<str>,
    },
    /// A response that is neither accepted nor rejected, because it was not asked for.
    Ignored {
        /// The type URL of the response, shortened if it is long.
        type_url: Box<str>,
        /// Why.
        reason: IgnoreReason,
    },
}

/// Why a response was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IgnoreReason {
    /// The type is none of ours.
    UnknownType,
    /// We asked for nothing of this type on this stream. An ACK would have to list no names, and
    /// as the first request of its type that would ask for everything.
    NotSubscribed,
}

/// The contents of one response, less what is not subscribed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Update {
    /// What to [`finish`](super::Session::finish) the response with.
    pub ticket: Ticket,
    /// The type of all resources in it.
    pub kind: ResourceType,
    /// The version of the response; incremental responses may have none.
    pub version: String,
    /// The resources. No name is there twice.
    pub resources: Vec<Raw>,
    /// What could not be read so far. The response is rejected because of it, whatever the verdict;
    /// the good resources are used nevertheless (A46).
    pub malformed: Vec<Malformed>,
    /// Resources that are gone: a Listener or Cluster that was received before and is left out of a
    /// state-of-the-world response, or what an incremental one removes.
    ///
    /// What becomes of a cached resource is the user's to decide (A53, A88).
    pub removed: Vec<ResourceName>,
    /// Resources that were asked for before, of which the server has never said anything, and which
    /// a response that holds all there are leaves out. They may still come: perhaps the response
    /// crossed with the request.
    pub left_out: Vec<ResourceName>,
    /// Resources that the server refuses to give.
    pub refused: Vec<Refusal>,
}

/// A resource that the server refuses to give (`resource_errors`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The name of the resource.
    pub name: ResourceName,
    /// The `google.rpc` code: 5 is `NOT_FOUND`, 7 is `PERMISSION_DENIED`.
    pub code: i32,
    /// The server's words, shortened if they are many.
    pub message: String,
}

/// Identifies a response that has not been answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(super) kind: ResourceType,
    pub(super) number: u64,
}

/// What the user of a session says to an [`Update`], after publishing what is good in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every resource is good.
    Accept,
    /// Some resource is not.
    Reject {
        /// Which resources and why, one line each. Shortened to 4 KiB on the wire.
        message: String,
    },
}

/// `text`, or its beginning and `…` if it is longer than `limit` bytes.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_end_at_a_character() {
        assert_eq!(shortened("12345", 5), "12345");
        assert_eq!(shortened("123456", 5), "12…");
        assert_eq!(shortened("1éé456", 5), "1…");
        assert_eq!(shortened("éé", 0), "…");
    }
}
