//! `Table::find` gives what a naive search gives, route by route in order.
//!
//! The oracle shares nothing with the compiled table: it compares strings as the definitions say,
//! from a plain description that the table is built from as well.

#![expect(clippy::unwrap_used, reason = "a test")]

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use mesh_core::matcher::{
    Fraction, HeaderMatcher, ParameterMatcher, PathMatcher, QueryMatcher, StringMatcher,
    ValueMatcher,
};
use mesh_core::request::{Protocol, RequestHead};
use mesh_core::rng::{Rng, XorShift};
use mesh_core::route::{Action, NoRoute, Route, RouteMatch, Table, VirtualHost};

/// Random tables per run; each is asked [`REQUESTS`] times.
const TABLES: u64 = 2_000;
const REQUESTS: usize = 12;

#[derive(Debug)]
struct Config {
    ignore_port: bool,
    hosts: Vec<Host>,
}

#[derive(Debug)]
struct Host {
    domains: Vec<String>,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    kind: Kind,
    text: String,
    any_case: bool,
    headers: Vec<(&'static str, Question, bool)>,
    query: Option<(&'static str, Option<&'static str>)>,
    grpc_only: bool,
    fraction: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Exact,
    Prefix,
    Separated,
    /// The text is a list of literals; `?` stands for one character and `*` for any number.
    Regex,
}

#[derive(Debug)]
enum Question {
    Exact(&'static str),
    Below(i64),
    Present(bool),
}

#[derive(Debug)]
struct Request {
    authority: String,
    path: String,
    query: Option<&'static str>,
    headers: Vec<(&'static str, &'static str)>,
    protocol: Protocol,
}

#[test]
fn compiled_and_naive_search_agree() {
    for seed in 0..TABLES {
        let mut dice = Dice(XorShift::new(seed));
        let config = dice.config();
        let table = build(&config);
        for _ in 0..REQUESTS {
            let request = dice.request(&config);
            let chance = dice.0.next_u64();
            let (mut ours, mut theirs) = (XorShift::new(chance), XorShift::new(chance));
            let expect = naive(&config, &request, &mut theirs);
            let context = || format!("seed {seed}: {request:#?} {config:#?}");
            assert_eq!(compiled(&table, &request, &mut ours), expect, "{}", context());
            assert_eq!(ours.state(), theirs.state(), "as many numbers drawn, {}", context());
        }
    }
}

/// The host and rule that the table finds, as `host/rule`, `host/-` or `-`.
fn compiled(table: &Table, request: &Request, rng: &mut XorShift) -> String {
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

fn naive(config: &Config, request: &Request, rng: &mut XorShift) -> String {
    let Some((at, host)) = naive_host(config, &request.authority) else { return "-".to_owned() };
    for (number, rule) in host.rules.iter().enumerate() {
        let holds = path_matches(rule, &request.path)
            && (!rule.grpc_only || request.protocol == Protocol::Grpc)
            && rule.headers.iter().all(|header| header_matches(header, request))
            && rule.query.is_none_or(|query| query_matches(query, request));
        if holds && rule.fraction.is_none_or(|share| rng.below(1_000_000) < share) {
            return format!("{at}/{number}");
        }
    }
    format!("{at}/-")
}

fn naive_host<'c>(config: &'c Config, authority: &str) -> Option<(usize, &'c Host)> {
    let mut name = authority.to_lowercase();
    if config.ignore_port
        && let Some(colon) = name.find(':')
    {
        name.truncate(colon);
    }
    let mut best: Option<((u8, usize), usize)> = None;
    for (at, host) in config.hosts.iter().enumerate() {
        for domain in &host.domains {
            let domain = domain.to_lowercase();
            let longer = name.len() >= domain.len();
            let rank = if domain == "*" {
                1
            } else if let Some(suffix) = domain.strip_prefix('*') {
                if longer && name.ends_with(suffix) { 3 } else { 0 }
            } else if let Some(prefix) = domain.strip_suffix('*') {
                if longer && name.starts_with(prefix) { 2 } else { 0 }
            } else {
                if name == domain { 4 } else { 0 }
            };
            let rank = (rank, domain.len());
            if rank.0 > 0 && best.is_none_or(|(other, _)| rank > other) {
                best = Some((rank, at));
            }
        }
    }
    best.map(|(_, at)| (at, &config.hosts[at]))
}

fn path_matches(rule: &Rule, path: &str) -> bool {
    let fold = |text: &str| if rule.any_case { text.to_lowercase() } else { text.to_owned() };
    let (path, text) = (fold(path), fold(&rule.text));
    match rule.kind {
        Kind::Exact => path == text,
        Kind::Prefix => path.starts_with(&text),
        Kind::Separated => path == text || path.starts_with(&format!("{text}/")),
        Kind::Regex => wildcard_matches(text.as_bytes(), path.as_bytes()),
    }
}

fn wildcard_matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((b'*', after)), rest) => {
            wildcard_matches(after, text)
                || rest.is_some_and(|(_, rest)| wildcard_matches(pattern, rest))
        }
        (Some((b'?', after)), Some((_, rest))) => wildcard_matches(after, rest),
        (Some((byte, after)), Some((first, rest))) => {
            byte == first && wildcard_matches(after, rest)
        }
        (Some(_), None) => false,
    }
}

fn header_matches((name, question, invert): &(&str, Question, bool), request: &Request) -> bool {
    let sent = request.headers.iter().filter(|(sent, _)| sent == name).map(|(_, value)| *value);
    let values: Vec<_> = sent.collect();
    let hidden = request.protocol == Protocol::Grpc && name.ends_with("-bin");
    let value = (!values.is_empty() && !hidden).then(|| values.join(","));
    let answer = match (question, value) {
        (Question::Present(wanted), value) => value.is_some() == *wanted,
        (_, None) => return false,
        (Question::Exact(wanted), Some(value)) => value == *wanted,
        (Question::Below(end), Some(value)) => {
            value.parse::<i64>().is_ok_and(|number| 0 <= number && number < *end)
        }
    };
    answer != *invert
}

fn query_matches((name, wanted): (&str, Option<&str>), request: &Request) -> bool {
    for pair in request.query.unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key == name {
            return wanted.is_none_or(|wanted| value == wanted);
        }
    }
    false
}

fn build(config: &Config) -> Table {
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
    let path = match rule.kind {
        Kind::Exact => PathMatcher::exact(&rule.text),
        Kind::Prefix => PathMatcher::prefix(&rule.text),
        Kind::Separated => PathMatcher::path_separated_prefix(&rule.text).unwrap(),
        Kind::Regex => {
            let pattern = rule.text.replace('?', ".").replace('*', ".*");
            PathMatcher::safe_regex(&pattern).unwrap()
        }
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

/// Makes small alphabets collide.
struct Dice(XorShift);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(u32::try_from(bound).unwrap())).unwrap()
    }

    /// One time in `n`.
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn config(&mut self) -> Config {
        let mut domains = vec![
            "*",
            "a.x",
            "*.x",
            "*.a.x",
            "*x",
            "a.*",
            "a.x.*",
            "B.y",
            "b.*",
            "a.x:80",
            "*:80",
            "*-a.x",
            "b-*",
            "\u{e9}.x",
            "*\u{e9}.x",
        ];
        let hosts = 1 + self.below(4);
        let mut hosts: Vec<_> =
            (0..hosts).map(|_| Host { domains: Vec::new(), rules: self.rules() }).collect();
        for host in &mut hosts {
            for _ in 0..=self.below(3) {
                let domain = domains.swap_remove(self.below(domains.len()));
                host.domains.push(domain.to_owned());
            }
        }
        Config { ignore_port: self.one_in(4), hosts }
    }

    fn rules(&mut self) -> Vec<Rule> {
        // How often rules are conditional differs by host, so that both kinds of search are deep.
        let conditions = self.of(&[1, 2, 8]);
        let count = self.of(&[0, 3, 12, 40]);
        // In one of four, all rules lie along one path, nested deeper than a look-up has places for.
        let spine = self.one_in(4).then_some("/a/ab/abc/b/Ab/a//ab");
        (0..count).map(|_| self.rule(conditions, spine)).collect()
    }

    fn rule(&mut self, conditions: usize, spine: Option<&str>) -> Rule {
        let kind = self.of(&[Kind::Exact, Kind::Prefix, Kind::Separated, Kind::Regex]);
        let mut text = match spine {
            Some(spine) => spine[..1 + self.below(spine.len())].to_owned(),
            None => self.path(),
        };
        match kind {
            Kind::Exact => {}
            Kind::Prefix => text.truncate(self.below(text.len() + 1)),
            Kind::Separated => {
                text.truncate(text.trim_end_matches('/').len());
                if text.is_empty() {
                    text.push_str("/a");
                }
            }
            Kind::Regex => {
                let wild = |dice: &mut Self, byte| match dice.below(6) {
                    0 => '?',
                    1 => '*',
                    _ => byte,
                };
                text = text.chars().map(|byte| wild(self, byte)).collect();
            }
        }
        Rule {
            kind,
            text,
            any_case: kind != Kind::Regex && self.one_in(4),
            headers: self.headers(conditions),
            query: self.one_in(6 * conditions).then(|| self.parameter()),
            grpc_only: self.one_in(8 * conditions),
            fraction: self
                .one_in(4 * conditions)
                .then(|| self.of(&[0, 300_000, 700_000, 1_000_000])),
        }
    }

    fn headers(&mut self, conditions: usize) -> Vec<(&'static str, Question, bool)> {
        let count =
            usize::from(self.one_in(2 * conditions)) + usize::from(self.one_in(4 * conditions));
        (0..count).map(|_| self.header()).collect()
    }

    fn header(&mut self) -> (&'static str, Question, bool) {
        let question = match self.below(3) {
            0 => Question::Exact(self.of(&["1", "2", "1,2"])),
            1 => Question::Below(2),
            _ => Question::Present(self.one_in(2)),
        };
        (self.of(&["x", "y", "z-bin"]), question, self.one_in(3))
    }

    fn parameter(&mut self) -> (&'static str, Option<&'static str>) {
        (self.of(&["p", "q"]), self.of(&[None, Some("1"), Some("")]))
    }

    /// A short path over few words: half of all paths are in half of all tables.
    fn path(&mut self) -> String {
        let words = ["a", "ab", "abc", "b", "A", "Ab", ""];
        (0..=self.below(4)).map(|_| format!("/{}", self.of(&words))).collect()
    }

    fn request(&mut self, config: &Config) -> Request {
        let rules: Vec<_> = config.hosts.iter().flat_map(|host| &host.rules).collect();
        let mut path = self.path();
        if !rules.is_empty() && self.one_in(2) {
            let rule = rules[self.below(rules.len())];
            path = rule.text.replace('?', "b").replace('*', self.of(&["", "ab", "/a"]));
            path.push_str(self.of(&["", "", "/", "b", "/ab"]));
        }
        let hosts =
            ["a.x", "b.a.x", "A.X", "x", "bx", "a.x.y", "a.b", "b.y", "b-", "-a.x", "c-a.x"];
        let ports = ["", "", "", ":80", ":81"];
        let host = self.of(&hosts);
        let values = ["0", "1", "2", "3", "text"];
        let headers = (0..self.below(4)).map(|_| (self.of(&["x", "y", "z-bin"]), self.of(&values)));
        Request {
            path,
            headers: headers.collect(),
            authority: format!("{host}{}", self.of(&ports)),
            query: self.of(&[None, Some("p=1"), Some("q=2&q=1&p"), Some("")]),
            protocol: self.of(&[Protocol::Grpc, Protocol::Http]),
        }
    }
}
