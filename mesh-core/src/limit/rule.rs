use std::sync::Arc;

use super::action::Outcome;
use super::{Action, Descriptor, Facts, Override, Unit};
use crate::matcher::Field;
use crate::metadata::{Metadata, Value};

/// What a request is counted as, and by which filter (Envoy's `RateLimit`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// The filters that it is for: those of this stage; 0 to 10.
    pub stage: u32,
    /// Whether it has a `disable_key`. As no such key ever holds a value here, filters of rate limit
    /// services take no notice of it; local limits leave such rules out, as in Envoy.
    pub has_disable_key: bool,
    /// What makes the entries of the descriptor; all of them must do so, or there is none.
    pub actions: Vec<Action>,
    /// Where in the request's metadata the limit stands that goes with it.
    pub limit: Option<LimitSource>,
    /// How many requests it counts as.
    pub hits: Option<Hits>,
    /// Whether the hits are given back instead of taken.
    pub gives_back: bool,
    /// Whether responses say how much is left (`x_ratelimit_option`); as the filter says if `None`.
    pub tells_rest: Option<bool>,
}

/// Where a limit comes from that takes the place of the service's own.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LimitSource {
    /// It is always this one.
    Fixed(Override),
    /// It stands in the request's metadata: a struct of `requests_per_unit` and `unit`.
    Metadata {
        /// The namespace.
        namespace: Box<str>,
        /// The way to the struct.
        path: Box<[Box<str>]>,
    },
}

/// How many requests a request counts as.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hits {
    /// So many, up to 1 000 000 000.
    Fixed(u32),
    /// As many as a header field of the request says (`%REQ(name)%`). If that is no number from 0 to
    /// 1 000 000 000, the request is not counted.
    Header(Field),
}

impl Rule {
    /// What a request is counted as; `None` if it is not.
    #[must_use]
    pub fn descriptor(&self, facts: &Facts<'_>) -> Option<Descriptor> {
        let mut entries = Vec::with_capacity(self.actions.len());
        for action in &self.actions {
            match action.apply(facts) {
                Outcome::Entry(entry) => entries.push(entry),
                Outcome::Skip => {}
                Outcome::Nothing => return None,
            }
        }
        let hits = match &self.hits {
            None => None,
            Some(Hits::Fixed(hits)) => Some(*hits),
            Some(Hits::Header(field)) => Some(hits(field, facts)?),
        };
        let limit = self.limit.as_ref().and_then(|limit| limit.find(facts.metadata));
        let (gives_back, tells_rest) = (self.gives_back, self.tells_rest);
        Some(Descriptor { entries, limit, hits, gives_back, tells_rest })
    }
}

impl LimitSource {
    fn find(&self, metadata: &Metadata) -> Option<Override> {
        let (namespace, path) = match self {
            Self::Fixed(limit) => return Some(*limit),
            Self::Metadata { namespace, path } => (namespace, path),
        };
        let Value::Struct(fields) = metadata.find(namespace, path)? else { return None };
        let Value::Number(requests) = fields.find("requests_per_unit")? else { return None };
        let Value::String(unit) = fields.find("unit")? else { return None };
        Some(Override { requests: whole(*requests, u32::MAX)?, unit: Unit::named(unit)? })
    }
}

fn hits(field: &Field, facts: &Facts<'_>) -> Option<u32> {
    let value = field.value(facts.head)?;
    let number: f64 = std::str::from_utf8(&value).ok()?.trim().parse().ok()?;
    whole(number, MOST_HITS)
}

/// `number` without its fraction, if it is from 0 to `most`.
fn whole(number: f64, most: u32) -> Option<u32> {
    if !(0.0..=f64::from(most)).contains(&number) {
        return None;
    }
    // Seconds of a duration are the one conversion to integers that neither wraps nor panics.
    let whole = std::time::Duration::try_from_secs_f64(number.floor()).ok()?.as_secs();
    u32::try_from(whole).ok()
}

/// The rules of a route and of its virtual host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// The route's own (`RouteAction.rate_limits`).
    pub own: Arc<[Rule]>,
    /// The virtual host's (`VirtualHost.rate_limits`).
    pub virtual_host: Arc<[Rule]>,
    /// Whether the virtual host's always count as well (`include_vh_rate_limits`).
    pub includes_virtual_host: bool,
}

/// Which of a virtual host's rules a filter looks at (Envoy's `VhRateLimitsOptions`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VirtualHostRules {
    /// Those of a virtual host if the route has none.
    #[default]
    Override,
    /// All.
    Include,
    /// None.
    Ignore,
}

impl Rules {
    /// The rules of `stage` that count for a filter that looks at `others` of the virtual host.
    pub fn of_stage(&self, stage: u32, others: VirtualHostRules) -> impl Iterator<Item = &Rule> {
        let includes = self.includes_virtual_host
            || match others {
                VirtualHostRules::Include => true,
                VirtualHostRules::Override => self.own.is_empty(),
                VirtualHostRules::Ignore => false,
            };
        let others = if includes { &*self.virtual_host } else { &[] };
        self.own.iter().chain(others).filter(move |rule| rule.stage == stage)
    }
}

const MOST_HITS: u32 = 1_000_000_000;
