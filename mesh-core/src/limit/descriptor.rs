use std::sync::Arc;

/// What a request is counted as (Envoy's `RateLimitDescriptor`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// Keys and values, in order.
    pub entries: Vec<Entry>,
    /// The limit to use in place of the service's own.
    pub limit: Option<Override>,
    /// How many requests it counts as; 1 if nothing is said.
    pub hits: Option<u32>,
    /// Whether the hits are given back instead of taken (`is_negative_hits`).
    pub gives_back: bool,
    /// Whether responses say how much is left (`x_ratelimit_option`); as the filter says if `None`.
    pub tells_rest: Option<bool>,
}

/// A key and a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The key; never empty.
    pub key: Arc<str>,
    /// The value.
    pub value: Arc<str>,
}

impl Entry {
    /// `key` and `value`.
    #[must_use]
    pub fn new(key: &Arc<str>, value: impl Into<Arc<str>>) -> Self {
        Self { key: key.clone(), value: value.into() }
    }
}

/// A limit that goes with the request (Envoy's `RateLimitOverride`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// Requests per unit.
    pub requests: u32,
    /// The unit.
    pub unit: Unit,
}

/// A unit of time (Envoy's `RateLimitUnit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Unit {
    /// The unit that is called `name`, such as `MINUTE`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "SECOND" => Self::Second,
            "MINUTE" => Self::Minute,
            "HOUR" => Self::Hour,
            "DAY" => Self::Day,
            "MONTH" => Self::Month,
            "YEAR" => Self::Year,
            _ => return None,
        })
    }
}
