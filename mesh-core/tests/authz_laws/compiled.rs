//! The engine's forms of rules and requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mesh_core::authz::{self, Condition, Expression, Facts, NameMatcher, Rules, Ruleset};
use mesh_core::identity;
use mesh_core::matcher::{
    Cidr, ContentMatcher, Field, HeaderMatcher, MetadataMatcher, PathTemplate, StringMatcher,
    ValueMatcher,
};
use mesh_core::metadata::{self, Fields, Metadata};
use mesh_core::request::{Protocol, RequestHead};

use crate::spec::*;

pub(crate) fn ruleset(config: &Config) -> Ruleset {
    match config {
        Config::Rules { action, policies } => {
            let policies: BTreeMap<Arc<str>, _> = policies.iter().map(policy).collect();
            Ruleset::Rules(Rules::new(to_action(*action), policies).unwrap())
        }
        Config::Tree(tree) => Ruleset::Tree(to_tree(tree)),
    }
}

fn to_action(action: Action) -> authz::Action {
    match action {
        Action::Allow => authz::Action::Allow,
        Action::Deny => authz::Action::Deny,
        Action::Log => authz::Action::Log,
    }
}

fn policy(policy: &Policy) -> (Arc<str>, authz::Policy) {
    let all = |parts: &[Formula]| parts.iter().map(expression).collect();
    let (permissions, principals) = (all(&policy.permissions), all(&policy.principals));
    (policy.name.as_str().into(), authz::Policy { permissions, principals })
}

fn expression(formula: &Formula) -> Expression {
    let all = |parts: &[Formula]| parts.iter().map(expression).collect();
    match formula {
        Formula::Always => Expression::Always,
        Formula::And(parts) => Expression::All(all(parts)),
        Formula::Or(parts) => Expression::Any(all(parts)),
        Formula::Not(inner) => expression(inner).not(),
        Formula::Leaf(leaf) => Expression::Is(condition(leaf)),
    }
}

fn condition(leaf: &Leaf) -> Condition {
    match leaf {
        Leaf::Header { name, ask, invert, missing_is_empty } => {
            let value = match ask {
                Ask::Text(ask) => ValueMatcher::String(text(ask)),
                Ask::Range(start, end) => ValueMatcher::Range { start: *start, end: *end },
                Ask::Present(wanted) => ValueMatcher::Present(*wanted),
            };
            let mut matcher = HeaderMatcher::new(name, value).unwrap();
            matcher.invert = *invert;
            matcher.treat_missing_as_empty = *missing_is_empty;
            Condition::Header(matcher)
        }
        Leaf::UrlPath(ask) => Condition::Path(text(ask)),
        Leaf::Template(template) => Condition::PathTemplate(PathTemplate::new(template).unwrap()),
        Leaf::DestinationIp(net) => Condition::DestinationIp([cidr(*net)].into()),
        Leaf::SourceIp(net) => Condition::SourceIp([cidr(*net)].into()),
        Leaf::DestinationPort(first, end) => Condition::DestinationPort(u32::from(*first)..*end),
        Leaf::ServerName(ask) => Condition::ServerName(text(ask)),
        Leaf::Authenticated(ask) => Condition::Authenticated(ask.as_ref().map(text)),
        Leaf::Certificate(asked) => {
            Condition::Certificate(asked.as_ref().map(|(san, ask)| match san {
                San::Uri => NameMatcher::Uri(text(ask)),
                San::Dns => NameMatcher::Dns(text(ask)),
            }))
        }
        Leaf::Metadata { of_route, path, ask, invert } => {
            let matcher = MetadataMatcher {
                namespace: "jwt".into(),
                path: path.iter().map(|key| (*key).into()).collect(),
                value: content(ask),
                invert: *invert,
            };
            match of_route {
                true => Condition::RouteMetadata(matcher),
                false => Condition::Metadata(matcher),
            }
        }
        Leaf::Input(from, ask) => Condition::Text(input(*from), text(ask)),
    }
}

fn input(input: Input) -> authz::Input {
    match input {
        Input::Header(name) => authz::Input::Header(Field::new(name).unwrap()),
        Input::ServerName => authz::Input::ServerName,
        Input::SourceIp => authz::Input::SourceIp,
        Input::DestinationPort => authz::Input::DestinationPort,
        Input::Uris => authz::Input::UriNames,
        Input::Dns => authz::Input::DnsNames,
        Input::Subject => authz::Input::Subject,
    }
}

fn text(Text { form, text, any_case }: &Text) -> StringMatcher {
    let matcher = match form {
        Form::Exact => Ok(StringMatcher::exact(text)),
        Form::Prefix => StringMatcher::prefix(text),
        Form::Suffix => StringMatcher::suffix(text),
        Form::Contains => StringMatcher::contains(text),
        Form::Regex => {
            let pattern: String = text.chars().map(in_regex).collect();
            StringMatcher::safe_regex(&pattern)
        }
    };
    if *any_case { matcher.unwrap().ignore_case().unwrap() } else { matcher.unwrap() }
}

fn in_regex(c: char) -> String {
    match c {
        '?' => ".".into(),
        '*' => ".*".into(),
        c if c.is_ascii_alphanumeric() => c.into(),
        c => format!("[{c}]"),
    }
}

fn cidr(net: Net) -> Cidr {
    Cidr::new(net.address.parse().unwrap(), net.bits).unwrap()
}

fn content(ask: &Content) -> ContentMatcher {
    match ask {
        Content::Null => ContentMatcher::Null,
        Content::Bool(wanted) => ContentMatcher::Bool(*wanted),
        Content::Number(wanted) => ContentMatcher::Number(f64::from(*wanted)),
        Content::Range(start, end) => ContentMatcher::Range(f64::from(*start)..f64::from(*end)),
        Content::Text(ask) => ContentMatcher::String(text(ask)),
        Content::Present => ContentMatcher::Present,
        Content::OneOf(inner) => ContentMatcher::OneOf(Box::new(content(inner))),
        Content::Either(parts) => ContentMatcher::Any(parts.iter().map(content).collect()),
    }
}

fn to_tree(tree: &Tree) -> authz::Tree {
    let map = |map: &[(&str, Target)]| {
        map.iter().map(|(key, to)| (key.as_bytes().into(), target(to))).collect()
    };
    let branches = match &tree.branches {
        Branches::List(list) => {
            authz::Branches::List(list.iter().map(|(f, to)| (expression(f), target(to))).collect())
        }
        Branches::Exact(from, list) => authz::Branches::Exact(input(*from), map(list)),
        Branches::Prefix(from, list) => authz::Branches::Prefix(input(*from), map(list)),
    };
    authz::Tree::new(branches, tree.otherwise.as_ref().map(target)).unwrap()
}

fn target(target: &Target) -> authz::OnMatch {
    match target {
        Target::Act(name, action) => authz::OnMatch::Act(authz::Outcome {
            name: name.as_str().into(),
            action: to_action(*action),
        }),
        Target::Tree(tree) => authz::OnMatch::Tree(Box::new(to_tree(tree))),
    }
}

/// A request with all that the engine looks at.
pub(crate) struct Sent<'r> {
    request: &'r Request,
    method: Method,
    headers: HeaderMap,
    metadata: Metadata,
    route: Option<Metadata>,
    peer: Option<identity::Peer>,
}

impl<'r> Sent<'r> {
    pub(crate) fn new(request: &'r Request) -> Self {
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let value = HeaderValue::from_bytes(value).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        Self {
            request,
            method: request.method.parse().unwrap(),
            headers,
            metadata: to_metadata(request.metadata.as_ref()),
            route: request.route.as_ref().map(|route| to_metadata(route.as_ref())),
            peer: request.peer.as_ref().map(peer),
        }
    }

    pub(crate) fn judged<R>(&self, judge: impl FnOnce(&Facts<'_>) -> R) -> R {
        let head = RequestHead {
            method: &self.method,
            scheme: "https",
            authority: self.request.authority,
            path: self.request.path,
            query: self.request.query,
            headers: &self.headers,
            protocol: if self.request.grpc { Protocol::Grpc } else { Protocol::Http },
        };
        let mut facts = Facts::request(&head, &self.metadata, self.peer.as_ref());
        if let Some(route) = &self.route {
            facts = facts.on_route(route);
        }
        judge(&facts)
    }
}

fn to_metadata(root: Option<&Value>) -> Metadata {
    let mut metadata = Metadata::default();
    if let Some(Value::Struct(fields)) = root {
        metadata.add("jwt", to_fields(fields)).unwrap();
    }
    metadata
}

fn to_fields(fields: &[(&str, Value)]) -> Fields {
    fields.iter().map(|(name, field)| (*name, value(field))).collect()
}

fn value(from: &Value) -> metadata::Value {
    match from {
        Value::Null => metadata::Value::Null,
        Value::Bool(value) => metadata::Value::Bool(*value),
        Value::Number(number) => metadata::Value::Number(f64::from(*number)),
        Value::Text(text) => (*text).into(),
        Value::List(values) => metadata::Value::List(values.iter().map(value).collect()),
        Value::Struct(fields) => metadata::Value::Struct(to_fields(fields)),
    }
}

fn peer(peer: &Peer) -> identity::Peer {
    let address = |ip: &str, port: u16| (ip.parse::<std::net::IpAddr>().unwrap(), port).into();
    let names = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
    let session = peer.tls.as_ref().map(|tls| identity::Session {
        server_name: tls.server_name.map(Into::into),
        protocol: None,
        certificate: tls.certificate.as_ref().map(|it| identity::Certificate {
            uris: names(&it.uris),
            dns_names: names(&it.dns),
            subject: it.subject.into(),
            ..Default::default()
        }),
    });
    identity::Peer {
        remote: peer.addresses.map(|(ip, port, ..)| address(ip, port)),
        local: peer.addresses.map(|(_, _, ip, port)| address(ip, port)),
        session,
    }
}
