//! The table under test, from the same description.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mesh_core::matcher::{
    Fraction, HeaderMatcher, ParameterMatcher, PathMatcher, QueryMatcher, StringMatcher,
    ValueMatcher,
};
use mesh_core::request::RequestHead;
use mesh_core::rng::XorShift;
use mesh_core::route::{Action, NoRoute, Route, RouteMatch, Table, VirtualHost};

use crate::model::{Config, Path, Question, Request, Rule};

/// The host and rule that the table finds, as `host/rule`, `host/-` or `-`.
pub(crate) fn compiled(table: &Table, request: &Request, rng: &mut XorShift) -> String {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let head = RequestHead {
        method: &Method::GET,
        scheme: "http",
        authority: &request.authority,
        path: &request.path,
        query: request.query,
        headers: &headers,
        protocol: request.protocol,
    };
    let found = match table.find(&head, rng) {
        Ok(route) => format!("{}/{}", route.virtual_host(), route.name),
        Err(NoRoute::Route { virtual_host }) => format!("{virtual_host}/-"),
        Err(_) => "-".to_owned(),
    };
    let text = table.explain(&head).to_string();
    assert_eq!(text.contains("no virtual host"), found == "-", "{text}");
    assert!(found.ends_with("/-") <= text.ends_with("no route"), "{found}: {text}");
    found
}

pub(crate) fn build(config: &Config) -> Table {
    let mut builder = Table::builder();
    if config.ignore_port {
        builder.ignore_port();
    }
    for (at, host) in config.hosts.iter().enumerate() {
        let domains: Vec<_> = host.domains.iter().map(String::as_str).collect();
        let routes = host.rules.iter().enumerate().map(|(number, rule)| route(number, rule));
        let empty = VirtualHost::new(&at.to_string(), &domains);
        builder.virtual_host(routes.fold(empty, VirtualHost::route));
    }
    builder.build().unwrap()
}

fn route(number: usize, rule: &Rule) -> Route {
    let path = match &rule.path {
        Path::Exact(text) => PathMatcher::exact(text),
        Path::Prefix(text) => PathMatcher::prefix(text),
        Path::Separated(text) => PathMatcher::path_separated_prefix(text).unwrap(),
        Path::Regex(pattern) => PathMatcher::safe_regex(&pattern.to_string()).unwrap(),
    };
    let mut matcher = RouteMatch::new(if rule.any_case { path.ignore_case() } else { path });
    for (name, question, invert) in &rule.headers {
        let value = match question {
            Question::Exact(text) => ValueMatcher::String(StringMatcher::exact(text)),
            Question::Below(end) => ValueMatcher::Range { start: 0, end: *end },
            Question::Present(wanted) => ValueMatcher::Present(*wanted),
        };
        let header = HeaderMatcher::new(name, value).unwrap();
        matcher = matcher.header(if *invert { header.inverted() } else { header });
    }
    matcher.query.extend(rule.query.map(|(name, wanted)| {
        let exact = |text| ParameterMatcher::String(StringMatcher::exact(text));
        QueryMatcher::new(name, wanted.map_or(ParameterMatcher::Present(true), exact))
    }));
    matcher.grpc_only = rule.grpc_only;
    matcher.fraction = rule.fraction.map(Fraction::per_million);
    let mut route = Route::new(matcher, Action::NonForwarding);
    route.name = number.to_string().into();
    route
}
