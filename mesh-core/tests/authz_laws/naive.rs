//! What the specifications say, step by step and without any thought of speed.
//!
//! Written from the comments of Envoy's `rbac.proto`, `metadata.proto`, `value.proto`,
//! `uri_template_match.proto` and of `xds.type.matcher.v3`, from gRFC A41, and from what
//! `docs/xds-fields.md` promises about several readings of one thing. It knows nothing of the engine.

use std::collections::BTreeSet;

use crate::spec::*;
use crate::words::{
    May, UNKNOWN, content_matches, dig, in_net, is, not, number, principal_matches,
    template_matches, text_matches,
};

/// The verdict, and what is said to have decided; nothing is said if several things may have.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) allowed: bool,
    pub(crate) by: Option<Option<String>>,
}

/// One judgement. `flip` names a kind of leaf whose answers are turned around.
pub(crate) struct Judge<'r> {
    pub(crate) request: &'r Request,
    pub(crate) flip: Option<Kind>,
}

impl Judge<'_> {
    pub(crate) fn judge(&self, config: &Config) -> Answer {
        match config {
            Config::Rules { action, policies } => self.judge_rules(*action, policies),
            Config::Tree(tree) => {
                let ends = self.ends(tree);
                let allows = |end: &Option<(String, Action)>| {
                    end.as_ref().is_some_and(|(_, action)| *action != Action::Deny)
                };
                let only = ends.first().filter(|_| ends.len() == 1);
                let by = only.map(|end| end.as_ref().map(|(name, _)| name.clone()));
                Answer { allowed: ends.iter().all(allows), by }
            }
        }
    }

    fn judge_rules(&self, action: Action, policies: &[Policy]) -> Answer {
        let mut sorted: Vec<&Policy> = policies.iter().collect();
        sorted.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        for policy in sorted {
            let one = |parts: &[Formula]| self.formula(&Formula::Or(parts.to_vec()));
            let (what, who) = (one(&policy.permissions), one(&policy.principals));
            let must = !what.be_false && !who.be_false;
            let may = what.be_true && who.be_true;
            if must || (may && action != Action::Allow) {
                let by = Some(Some(policy.name.clone()));
                return Answer { allowed: action != Action::Deny, by };
            }
        }
        Answer { allowed: action != Action::Allow, by: Some(None) }
    }

    /// Everywhere that a request may end, of which `None` is nowhere.
    fn ends(&self, tree: &Tree) -> BTreeSet<Option<(String, Action)>> {
        let mut ends = BTreeSet::new();
        for mut ways in self.ways(tree) {
            ways.extend(tree.otherwise.iter().map(|target| (is(true), target)));
            let mut goes_on = true;
            for (answer, target) in ways {
                if !goes_on || !answer.be_true {
                    continue;
                }
                let mut there = match target {
                    Target::Act(name, action) => [Some((name.clone(), *action))].into(),
                    Target::Tree(tree) => self.ends(tree),
                };
                let misses = there.remove(&None);
                ends.extend(there);
                goes_on = misses || answer.be_false;
            }
            if goes_on {
                ends.insert(None);
            }
        }
        ends
    }

    /// The targets in order with whether they are taken, for each reading of what is asked for.
    fn ways<'t>(&self, tree: &'t Tree) -> Vec<Vec<(May, &'t Target)>> {
        let (input, map, is_exact) = match &tree.branches {
            Branches::List(list) => {
                return vec![list.iter().map(|(f, target)| (self.formula(f), target)).collect()];
            }
            Branches::Exact(input, map) => (input, map, true),
            Branches::Prefix(input, map) => (input, map, false),
        };
        let mut longest_first: Vec<_> = map.iter().collect();
        longest_first.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
        let Some(readings) = self.readings(*input) else {
            return vec![longest_first.iter().map(|(_, target)| (UNKNOWN, target)).collect()];
        };
        if readings.is_empty() {
            return vec![Vec::new()];
        }
        let takes = |key: &str, value: &[u8]| match is_exact {
            true => key.as_bytes() == value,
            false => value.starts_with(key.as_bytes()),
        };
        let way = |value: &Vec<u8>| {
            longest_first.iter().map(|(key, target)| (is(takes(key, value)), target)).collect()
        };
        readings.iter().map(way).collect()
    }

    fn formula(&self, formula: &Formula) -> May {
        match formula {
            Formula::Always => is(true),
            Formula::Not(inner) => not(self.formula(inner)),
            Formula::And(parts) => May {
                be_true: parts.iter().all(|part| self.formula(part).be_true),
                be_false: parts.iter().any(|part| self.formula(part).be_false),
            },
            Formula::Or(parts) => May {
                be_true: parts.iter().any(|part| self.formula(part).be_true),
                be_false: parts.iter().all(|part| self.formula(part).be_false),
            },
            Formula::Leaf(leaf) if self.flip == Some(leaf.kind()) => not(self.leaf(leaf)),
            Formula::Leaf(leaf) => self.leaf(leaf),
        }
    }

    fn leaf(&self, leaf: &Leaf) -> May {
        let peer = self.request.peer.as_ref();
        let tls = peer.map(|peer| peer.tls.as_ref());
        match leaf {
            Leaf::Header { name, ask, invert, missing_is_empty } => {
                self.header(name, ask, *invert, *missing_is_empty)
            }
            Leaf::UrlPath(text) if self.path_is_clear() => {
                is(text_matches(text, self.request.path.as_bytes()))
            }
            Leaf::Template(template) if self.path_is_clear() => {
                template_matches(template, self.request.path)
            }
            Leaf::UrlPath(_) | Leaf::Template(_) => UNKNOWN,
            Leaf::SourceIp(net) => match peer.and_then(|peer| peer.addresses) {
                Some((source, ..)) => is(in_net(*net, source)),
                None => UNKNOWN,
            },
            Leaf::DestinationIp(net) => match peer.and_then(|peer| peer.addresses) {
                Some((_, _, destination, _)) => is(in_net(*net, destination)),
                None => UNKNOWN,
            },
            Leaf::DestinationPort(first, end) => match peer.and_then(|peer| peer.addresses) {
                Some((.., port)) => is(*first <= port && u32::from(port) < *end),
                None => UNKNOWN,
            },
            Leaf::ServerName(text) => self.read_text(Input::ServerName, text),
            Leaf::Input(input, text) => self.read_text(*input, text),
            Leaf::Authenticated(text) => match (tls, text) {
                (None, _) => UNKNOWN,
                (Some(None), _) => is(false),
                (Some(Some(_)), None) => is(true),
                (Some(Some(tls)), Some(text)) => is(principal_matches(text, tls)),
            },
            Leaf::Certificate(asked) => {
                let Some(tls) = tls else { return UNKNOWN };
                let Some(shown) = tls.and_then(|tls| tls.certificate.as_ref()) else {
                    return is(false);
                };
                is(asked.as_ref().is_none_or(|(san, text)| {
                    let names = match san {
                        San::Uri => &shown.uris,
                        San::Dns => &shown.dns,
                    };
                    names.iter().any(|name| text_matches(text, name.as_bytes()))
                }))
            }
            Leaf::Metadata { of_route, path, ask, invert } => {
                let root = match of_route {
                    true => match &self.request.route {
                        Some(metadata) => metadata.as_ref(),
                        None => return UNKNOWN,
                    },
                    false => self.request.metadata.as_ref(),
                };
                let found = root.and_then(|root| dig(root, path));
                let answer = found.map_or(is(false), |value| content_matches(ask, value));
                if *invert { not(answer) } else { answer }
            }
        }
    }

    fn header(&self, name: &str, ask: &Ask, invert: bool, missing_is_empty: bool) -> May {
        let Some(mut readings) = self.readings(Input::Header(match name {
            "host" => ":authority",
            _ => leak(name),
        })) else {
            return UNKNOWN;
        };
        if readings.is_empty() && missing_is_empty {
            readings.push(Vec::new());
        }
        if readings.is_empty() {
            // An absent header matches only where presence is the question.
            return is(matches!(ask, Ask::Present(wanted) if *wanted == invert));
        }
        let holds = |value: &Vec<u8>| match ask {
            Ask::Text(text) => text_matches(text, value),
            Ask::Range(start, end) => number(value).is_some_and(|n| *start <= n && n < *end),
            Ask::Present(wanted) => *wanted,
        };
        let answers: Vec<bool> = readings.iter().map(|value| holds(value) != invert).collect();
        May { be_true: answers.contains(&true), be_false: answers.contains(&false) }
    }

    fn read_text(&self, input: Input, text: &Text) -> May {
        let Some(readings) = self.readings(input) else { return UNKNOWN };
        if readings.is_empty() {
            return is(false);
        }
        let answers: Vec<bool> = readings.iter().map(|value| text_matches(text, value)).collect();
        May { be_true: answers.contains(&true), be_false: answers.contains(&false) }
    }

    /// All ways to read `input`; none of them if it is absent, `None` if it cannot be known.
    fn readings(&self, input: Input) -> Option<Vec<Vec<u8>>> {
        let peer = self.request.peer.as_ref();
        // Nothing is known of certificates where there is no TLS.
        let certificate = || Some(peer?.tls.as_ref()?.certificate.as_ref());
        let joined = |names: &[&str]| match names.is_empty() {
            true => Vec::new(),
            false => vec![names.join(",").into_bytes()],
        };
        match input {
            Input::Header(name) => self.header_readings(name),
            Input::ServerName => {
                let name = peer?.tls.as_ref().and_then(|tls| tls.server_name);
                Some(vec![name.unwrap_or("").into()])
            }
            Input::SourceIp => {
                let (source, ..) = peer?.addresses?;
                Some(vec![source.strip_prefix("::ffff:").unwrap_or(source).into()])
            }
            Input::DestinationPort => {
                let (.., port) = peer?.addresses?;
                Some(vec![port.to_string().into_bytes()])
            }
            Input::Uris => Some(certificate()?.map_or(Vec::new(), |it| joined(&it.uris))),
            Input::Dns => Some(certificate()?.map_or(Vec::new(), |it| joined(&it.dns))),
            Input::Subject => {
                let subject = certificate()?.map_or("", |it| it.subject);
                Some(if subject.is_empty() { Vec::new() } else { vec![subject.into()] })
            }
        }
    }

    fn header_readings(&self, name: &str) -> Option<Vec<Vec<u8>>> {
        let request = self.request;
        let path = match request.query {
            Some(query) => format!("{}?{query}", request.path),
            None => request.path.to_owned(),
        };
        Some(match name {
            ":method" => vec![request.method.into()],
            ":authority" | "host" => vec![request.authority.into()],
            ":path" if !self.path_is_clear() => return None,
            ":path" => vec![path.into_bytes()],
            "te" if request.grpc => Vec::new(),
            _ => {
                let same = request.headers.iter().filter(|(other, _)| *other == name);
                let values: Vec<Vec<u8>> = same.map(|(_, value)| value.to_vec()).collect();
                match (values.len(), name) {
                    (0 | 1, _) => values,
                    (_, "cookie") => vec![values.join(&b"; "[..])],
                    _ => {
                        let all = values.join(&b","[..]);
                        values.into_iter().chain([all]).collect()
                    }
                }
            }
        })
    }

    /// gRPC has paths of two names; others are read differently by different readers.
    fn path_is_clear(&self) -> bool {
        let Request { grpc, path, query, .. } = self.request;
        let parts: Vec<&str> = path.split('/').collect();
        let plain = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        };
        let is_method = parts.len() == 3
            && parts[0].is_empty()
            && plain(parts[1])
            && plain(parts[2])
            && query.is_none();
        !grpc || is_method
    }
}

fn leak(name: &str) -> &'static str {
    [":method", ":path", ":authority", "te", "cookie", "content-type", "x-a", "x-b", "x-bin"]
        .into_iter()
        .find(|known| *known == name)
        .expect("a header that the dice know")
}
