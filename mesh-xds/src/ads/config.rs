//! How a session speaks and how long it waits.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::Node;

use crate::bootstrap::ServerFeatures;

/// The variant of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// `StreamAggregatedResources`: each request names everything that is wanted.
    #[default]
    StateOfTheWorld,
    /// `DeltaAggregatedResources`: requests and responses carry what changed.
    Incremental,
}

/// The settings of a session.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// What introduces us in the first request of each stream.
    pub node: Node,
    /// The variant of the protocol.
    pub mode: Mode,
    /// Whether a resource that is never sent is late rather than absent
    /// (`resource_timer_is_transient_error`, A88).
    pub late_is_transient: bool,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// How long a session waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a resource after asking for it, before it counts as absent.
    pub resource: Duration,
    /// The same with the server feature `resource_timer_is_transient_error`.
    pub resource_transient: Duration,
    /// After the first failure to get any response, before trying again. Each further failure
    /// waits 1.6 times longer. All waits vary by 20 %.
    pub backoff: Duration,
    /// The longest wait after a failure, before the variation.
    pub backoff_max: Duration,
}

impl Config {
    /// The settings for a server with `features`, with the default timeouts.
    #[must_use]
    pub fn new(node: Node, features: &ServerFeatures) -> Self {
        Self {
            node,
            mode: if features.delta { Mode::Incremental } else { Mode::StateOfTheWorld },
            late_is_transient: features.resource_timer_is_transient_error,
            timeouts: Timeouts::default(),
        }
    }

    pub(super) fn resource_wait(&self) -> Duration {
        if self.late_is_transient {
            self.timeouts.resource_transient
        } else {
            self.timeouts.resource
        }
    }
}

impl Default for Timeouts {
    /// 15 s and 30 s (A57, A88); 1 s to 120 s (A27).
    fn default() -> Self {
        Self {
            resource: Duration::from_secs(15),
            resource_transient: Duration::from_secs(30),
            backoff: Duration::from_secs(1),
            backoff_max: Duration::from_secs(120),
        }
    }
}
