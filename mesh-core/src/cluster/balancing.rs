//! How an endpoint of a cluster is chosen; who chooses is [`lb`](crate::lb).

/// How an endpoint is chosen for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadBalancing {
    /// The choice among the endpoints of a locality, or of the whole priority.
    pub policy: Policy,
    /// Whether localities share traffic by their weights (`WrrLocality`, gRFC A52;
    /// `locality_weighted_lb_config`). Otherwise their endpoints are one pool.
    pub locality_weighted: bool,
}

impl Default for LoadBalancing {
    fn default() -> Self {
        Self { policy: Policy::RoundRobin, locality_weighted: true }
    }
}

/// The choice among equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Each in turn, in proportion to endpoint weights.
    #[default]
    RoundRobin,
    /// The least loaded of a few random ones (gRFC A48).
    LeastRequest {
        /// How many to look at; 2 to 10, default 2.
        choices: u32,
    },
    /// Any, uniformly.
    Random,
    /// The first that can be connected to (gRFC A62).
    PickFirst {
        /// Whether to shuffle the endpoints first.
        shuffle: bool,
    },
}
