use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Hello, NamePattern, Prefix};

/// Which connections a filter chain is for (`FilterChainMatch`). Lists that are empty match all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChainMatch {
    /// Where the connection goes to (`prefix_ranges`).
    pub destinations: Vec<Prefix>,
    /// The name that its TLS handshake asks for (`server_names`).
    pub server_names: Vec<NamePattern>,
    /// What it begins with (`transport_protocol`); `None` for anything.
    pub transport: Option<Transport>,
    /// A protocol that its TLS handshake offers (`application_protocols`).
    pub protocols: Vec<Arc<str>>,
    /// Where it comes from, roughly.
    pub source_type: SourceType,
    /// Where it comes from (`source_prefix_ranges`).
    pub sources: Vec<Prefix>,
    /// Its source port (`source_ports`).
    pub source_ports: Vec<u16>,
}

impl ChainMatch {
    /// Whether it depends on what a TLS handshake begins with.
    #[must_use]
    pub fn reads_hello(&self) -> bool {
        !self.server_names.is_empty() || !self.protocols.is_empty()
    }
}

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// Plain text, or nobody has looked (`raw_buffer`).
    Plain,
    /// A TLS handshake, seen by `tls_inspector` (`tls`).
    Tls,
}

/// Where a connection comes from, roughly (`source_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SourceType {
    /// Anywhere.
    #[default]
    Any,
    /// The loopback interface, or the address that it goes to.
    SameHost,
    /// Anywhere else.
    External,
}

/// What is known of a connection before anything of it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// Where it goes to; `None` on a Unix domain socket, which no range of addresses holds.
    pub local: Option<IpAddr>,
    /// Where it comes from.
    pub remote: Option<(IpAddr, u16)>,
    /// What it begins with.
    pub transport: Transport,
    /// What its TLS handshake begins with; `None` without one, or where nobody has looked.
    pub hello: Option<&'a Hello>,
}

impl Connection<'_> {
    fn source_type(&self) -> SourceType {
        let (Some(local), Some((remote, _))) = (self.local, self.remote) else {
            return SourceType::SameHost;
        };
        let (local, remote) = (local.to_canonical(), remote.to_canonical());
        if remote.is_loopback() || remote == local {
            SourceType::SameHost
        } else {
            SourceType::External
        }
    }
}

/// Chooses filter chains for connections.
#[derive(Debug, Default)]
pub struct Selector {
    criteria: Box<[Criteria]>,
}

/// Why chains cannot be told apart. Positions are those of the chains as they were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// Two chains are for the same connections.
    #[error(
        "multiple filter chains with overlapping matching rules are defined: {first} and {second}"
    )]
    Overlap {
        /// The first of them.
        first: usize,
        /// The second.
        second: usize,
    },
    /// Ranges and ports make too many combinations.
    #[error("the matching rules have more than {MAX_CRITERIA} combinations")]
    TooMany,
}

/// One combination of what a chain matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Rule {
    destination: Option<Prefix>,
    server_name: Option<NamePattern>,
    transport: Option<Transport>,
    protocol: Option<Arc<str>>,
    source_type: SourceType,
    source: Option<Prefix>,
    source_port: Option<u16>,
}

#[derive(Clone, Debug)]
struct Criteria {
    rule: Rule,
    chain: usize,
}

impl Selector {
    /// Chooses among the chains with these matches.
    ///
    /// # Errors
    /// [`SelectorError`], as gRFC A36 wants, when two chains match the same, and when there are too
    /// many combinations.
    pub fn new(matches: &[ChainMatch]) -> Result<Self, SelectorError> {
        let mut known: FxHashMap<Rule, usize> = FxHashMap::default();
        let mut criteria = Vec::new();
        for (chain, one) in matches.iter().enumerate() {
            let combinations = [
                one.destinations.len(),
                one.server_names.len(),
                one.protocols.len(),
                one.sources.len(),
                one.source_ports.len(),
            ];
            let combinations = combinations.into_iter().map(|count| count.max(1));
            let count = combinations.fold(1, usize::saturating_mul);
            if criteria.len().saturating_add(count) > MAX_CRITERIA {
                return Err(SelectorError::TooMany);
            }
            for rule in rules(one) {
                // What a chain says twice of itself is no contradiction.
                match known.insert(rule.clone(), chain) {
                    Some(first) if first != chain => {
                        return Err(SelectorError::Overlap { first, second: chain });
                    }
                    Some(_) => {}
                    None => criteria.push(Criteria { rule, chain }),
                }
            }
        }
        Ok(Self { criteria: criteria.into() })
    }

    /// The position of the most specific chain for `connection`; `None` for the default chain.
    #[must_use]
    pub fn select(&self, connection: &Connection<'_>) -> Option<usize> {
        let source_type = connection.source_type();
        let address = |prefix: Option<Prefix>, of: Option<IpAddr>| match prefix {
            None => Some(0),
            Some(prefix) => prefix.matches(of?).map(|length| 1 + u32::from(length)),
        };
        let exact = |is_any: bool, is_it: bool| match (is_any, is_it) {
            (true, _) => Some(0),
            (false, true) => Some(1),
            (false, false) => None,
        };
        let mut left: Vec<&Criteria> = self.criteria.iter().collect();
        best(&mut left, |rule| address(rule.destination, connection.local));
        best(&mut left, |rule| match &rule.server_name {
            None => Some(0),
            Some(pattern) => pattern.rank(connection.hello?.server_name.as_deref()?),
        });
        best(&mut left, |rule| {
            exact(rule.transport.is_none(), rule.transport == Some(connection.transport))
        });
        best(&mut left, |rule| match &rule.protocol {
            None => Some(0),
            Some(protocol) => connection.hello?.rank(protocol),
        });
        best(&mut left, |rule| {
            exact(rule.source_type == SourceType::Any, rule.source_type == source_type)
        });
        best(&mut left, |rule| address(rule.source, connection.remote.map(|(ip, _)| ip)));
        best(&mut left, |rule| {
            let port = connection.remote.map(|(_, port)| port);
            exact(
                rule.source_port.is_none(),
                rule.source_port.is_some() && rule.source_port == port,
            )
        });
        left.first().map(|found| found.chain)
    }
}

/// Leaves those that match best.
fn best(left: &mut Vec<&Criteria>, rank: impl Fn(&Rule) -> Option<u32>) {
    let Some(best) = left.iter().filter_map(|one| rank(&one.rule)).max() else {
        return left.clear();
    };
    left.retain(|one| rank(&one.rule) == Some(best));
}

/// All combinations of what `one` matches.
fn rules(one: &ChainMatch) -> Vec<Rule> {
    let any = Rule {
        destination: None,
        server_name: None,
        transport: one.transport,
        protocol: None,
        source_type: one.source_type,
        source: None,
        source_port: None,
    };
    let rules = vec![any];
    let rules = each(rules, &one.destinations, |rule, to| rule.destination = Some(to));
    let rules = each(rules, &one.server_names, |rule, name| rule.server_name = Some(name));
    let rules = each(rules, &one.protocols, |rule, protocol| rule.protocol = Some(protocol));
    let rules = each(rules, &one.sources, |rule, from| rule.source = Some(from));
    each(rules, &one.source_ports, |rule, port| rule.source_port = Some(port))
}

/// Each of `rules` with each of `list` set; as they are if it is empty.
fn each<T: Clone>(rules: Vec<Rule>, list: &[T], set: impl Fn(&mut Rule, T)) -> Vec<Rule> {
    if list.is_empty() {
        return rules;
    }
    let with = |rule: Rule| {
        list.iter().map({
            let set = &set;
            move |one| {
                let mut rule = rule.clone();
                set(&mut rule, one.clone());
                rule
            }
        })
    };
    rules.into_iter().flat_map(with).collect()
}

/// They are gone over for each new connection.
const MAX_CRITERIA: usize = 16_384;
