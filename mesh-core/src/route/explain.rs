use std::fmt;
use std::sync::Arc;

use super::domains::Match;
use super::{Action, ClusterChoice, Route, Table};
use crate::matcher::{PathMatcher, PathPattern};
use crate::request::RequestHead;

/// Why a request goes where it goes, in words for people; prints one line per step.
///
/// Shows the authority and path of the request and the config, never the values of headers or of
/// the query. At most 64 rules before the one that decides get a line of their own, and long texts
/// are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    lines: Vec<String>,
}

impl Explanation {
    pub(super) fn new(table: &Table, head: &RequestHead<'_>) -> Self {
        let mut lines = vec![format!("{} {} {}", head.method, Cut(head.authority), Cut(head.path))];
        match table.host(head.authority) {
            None => lines.push("no virtual host has a domain for it: no route".to_owned()),
            Some((host, domain)) => {
                lines.push(format!("virtual host {}: {}", Cut(&host.name), Domain(domain)));
                rules(&mut lines, (table, &host.routes), head);
            }
        }
        Self { lines }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

fn rules(
    lines: &mut Vec<String>,
    (table, routes): (&Table, &[Arc<Route>]),
    head: &RequestHead<'_>,
) {
    let mut hidden = 0usize;
    for (number, route) in routes.iter().enumerate() {
        let (decides, why) = verdict(table, route, head);
        if number < SHOWN || decides {
            if hidden > 0 {
                lines.push(format!("  ... {hidden} more that do not decide"));
            }
            let name = Some(Cut(&route.name)).filter(|name| !name.0.is_empty());
            let name = name.map(|name| format!(" {name}")).unwrap_or_default();
            lines.push(format!("  rule {number}{name}: {why}"));
        } else {
            hidden += 1;
        }
        if decides {
            return;
        }
    }
    if hidden > 0 {
        lines.push(format!("  ... {hidden} more that do not decide"));
    }
    lines.push("no rule is left: no route".to_owned());
}

/// Whether the search ends with `route`, and why.
fn verdict(table: &Table, route: &Route, head: &RequestHead<'_>) -> (bool, String) {
    let matcher = &route.matcher;
    if !matcher.path.matches(head.path) {
        return (false, format!("no, the path {}", Unlike(&matcher.path)));
    }
    if let Some(obstacle) = matcher.obstacle(head) {
        return (false, format!("no, {obstacle}"));
    }
    let does = Does(table, &route.action);
    match matcher.fraction {
        None => (true, format!("yes, {does}")),
        Some(fraction) => (false, format!("for {fraction}, {does}; else on")),
    }
}

/// A text from outside, cut to a bearable length and with control characters escaped.
struct Cut<'a>(&'a str);

impl fmt::Display for Cut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars().take(TEXT) {
            match char.is_control() {
                true => write!(f, "{}", char.escape_default())?,
                false => write!(f, "{char}")?,
            }
        }
        f.write_str(if self.0.chars().nth(TEXT).is_some() { "..." } else { "" })
    }
}

/// How the virtual host was found.
struct Domain<'a>(Match<'a>);

impl fmt::Display for Domain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Match::Exact(domain) => write!(f, "it has the domain {}", Cut(domain)),
            Match::Suffix(suffix) => {
                write!(f, "no exact domain, the longest suffix is *{}", Cut(suffix))
            }
            Match::Prefix(prefix) => {
                write!(f, "no exact domain and no suffix, the longest prefix is {}*", Cut(prefix))
            }
            Match::Any => f.write_str("no other domain, it has *"),
        }
    }
}

/// How a path differs from what was wanted.
struct Unlike<'a>(&'a PathMatcher);

impl fmt::Display for Unlike<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.pattern() {
            PathPattern::Exact(path) => write!(f, "is not {}", Cut(path))?,
            PathPattern::Prefix(prefix) => write!(f, "does not start with {}", Cut(prefix))?,
            PathPattern::PathSeparatedPrefix(prefix) => {
                write!(f, "is neither {0} nor below it", Cut(prefix))?;
            }
            PathPattern::Regex(regex) => write!(f, "does not match {}", Cut(regex.pattern()))?,
        }
        f.write_str(if self.0.ignores_case() { " in any case" } else { "" })
    }
}

/// What a route does.
struct Does<'a>(&'a Table, &'a Action);

impl fmt::Display for Does<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |cluster| self.0.cluster(cluster).map_or("?", |name| name);
        match self.1 {
            Action::Forward(forward) => match &forward.cluster {
                ClusterChoice::One(cluster) => write!(f, "to cluster {}", Cut(name(*cluster))),
                ClusterChoice::Header(header) => {
                    write!(f, "to the cluster that header {header} names")
                }
                ClusterChoice::Weighted(weighted) => {
                    f.write_str("to one of the clusters")?;
                    for entry in weighted.clusters().iter().take(SHOWN) {
                        let share = (entry.weight, weighted.total());
                        write!(f, " {} ({} of {})", Cut(name(entry.cluster)), share.0, share.1)?;
                    }
                    let more = weighted.clusters().len().saturating_sub(SHOWN);
                    if more > 0 { write!(f, " ... {more} more") } else { Ok(()) }
                }
            },
            Action::DirectResponse { status, .. } => write!(f, "answered with {status}"),
            Action::Redirect(redirect) => {
                write!(f, "redirected with {}", redirect.code.status())
            }
            Action::NonForwarding => f.write_str("served here"),
            Action::Unsupported(why) => write!(f, "refused: unsupported action, {}", Cut(why)),
        }
    }
}

/// How many rules, and clusters of a rule, get a line or word of their own.
const SHOWN: usize = 64;

/// How many characters of one text are shown.
const TEXT: usize = 120;
