//! Which rule decides about a request.

use std::fmt;

use mesh_core::authz::{Authorizer, Facts};

use super::check::Report;
use super::error::Origin;
use super::resources::FileResource;
use crate::parse::listener::{Listener, ServerChain};
use crate::parse::{self, Registry};

/// What one set of rules says of a request. Prints as a line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stage {
    /// Where the rules are: `authorization/deny`, or a listener and the name of its filter.
    pub place: String,
    /// Whether they let it pass; `None` if there are only rules that are tried out.
    pub allows: Option<bool>,
    /// What decided, in words.
    pub decision: Option<String>,
    /// Where the rule was written that decided, if it is one of a policy.
    pub origin: Option<Origin>,
    /// What rules that are tried out would have decided.
    pub shadow: Option<String>,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.decision.as_deref().unwrap_or("no rules"))?;
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        match &self.shadow {
            Some(shadow) => write!(f, "; dry run: {shadow}"),
            None => Ok(()),
        }
    }
}

/// What all rules in the files of `report` say of the request of `facts`, in the order in which a
/// server asks them: policies first, then, if it is given, the listener called `listener`.
///
/// The request may pass if no stage refuses it. `None` if there is no such listener of a server.
#[must_use]
pub fn explain(report: &Report, listener: Option<&str>, facts: &Facts<'_>) -> Option<Vec<Stage>> {
    let mut stages = Vec::new();
    for resource in report.resources.iter().filter(|resource| resource.is_authorization()) {
        let rules = parse::authorizer(&resource.value).ok()?;
        stages.push(stage(resource.name.clone(), &rules, report, facts));
    }
    if let Some(name) = listener {
        let found = report.resources.iter().find(|resource| resource.name == name);
        let chain = found.and_then(chain)?;
        for filter in chain.filters.iter() {
            if let Some(rules) = filter.settings.downcast_ref::<Authorizer>() {
                let place = format!("{name} {}", filter.name);
                stages.push(stage(place, rules, report, facts));
            }
        }
    }
    Some(stages)
}

/// The filters of a server's listener: those of all chains are the same in the short form.
fn chain(resource: &FileResource) -> Option<ServerChain> {
    let registry = Registry::default().any_certificate_provider();
    match parse::listener::parse(&resource.value, &registry).ok()? {
        Listener::Server(listener) => listener.all_chains().last().cloned(),
        Listener::Client(_) => None,
    }
}

fn stage(place: String, rules: &Authorizer, report: &Report, facts: &Facts<'_>) -> Stage {
    let judgement = rules.judge(facts);
    let policy = judgement.decision.and_then(|decision| decision.policy);
    let written = policy.and_then(|name| report.rules.get(&**name));
    Stage {
        place,
        allows: judgement.decision.map(|decision| decision.is_allowed()),
        decision: judgement.decision.map(|decision| decision.to_string()),
        origin: written.cloned(),
        shadow: judgement.shadow.map(|decision| decision.to_string()),
    }
}
