//! Random rules and requests, from few enough words that they meet often.

use mesh_core::rng::{Rng, XorShift};

use crate::spec::*;

pub(crate) struct Dice(pub(crate) XorShift);

pub(crate) const PATHS: &[&str] = &[
    "/",
    "/a",
    "/a/b",
    "/A/b",
    "/a/b/c",
    "/api/v1/x.json",
    "/pkg.Svc/Do",
    "/pkg.Svc/Undo",
    "/../Do",
    "/a/b\"c",
    "/a/",
    "*",
    "/Svc/Do/x",
];
pub(crate) const QUERIES: &[&str] = &["q=1", "", "a/b"];
pub(crate) const VALUES: &[&str] =
    &["1", "2", "-3", "+4", " 5", "ab", "aB", "b", "a,b", "1,2", "", "POST", "GET"];
pub(crate) const SENT: &[&[u8]] = &[
    b"1",
    b"2",
    b"-3",
    b"+4",
    b"ab",
    b"aB",
    b"b",
    b"",
    b"\xff",
    b"a,b",
    b"trailers",
    b"a\xffb",
    b"10",
];
pub(crate) const FIELDS: &[&str] =
    &["x-a", "x-a", "x-a", "x-b", "x-bin", "te", "cookie", "content-type"];
const NAMES: &[&str] = &[
    "x-a",
    "x-a",
    "x-b",
    "x-bin",
    "te",
    "cookie",
    "content-type",
    ":method",
    ":method",
    ":path",
    ":authority",
    "host",
];
pub(crate) const AUTHORITIES: &[&str] = &["shop", "Shop", "shop:80", "cart"];
pub(crate) const IDS: &[&str] = &["spiffe://td/a", "spiffe://td/b", "spiffe://other/a"];
pub(crate) const DNS: &[&str] = &["a.test", "b.test", "A.test"];
pub(crate) const SUBJECTS: &[&str] = &["CN=a", "CN=b", ""];
pub(crate) const IPS: &[&str] =
    &["10.0.0.1", "10.0.1.1", "11.0.0.1", "::ffff:10.0.0.1", "fd00::1", "fd00:1::2"];
const NETS: &[(&str, u8)] = &[
    ("10.0.0.0", 8),
    ("10.0.0.0", 24),
    ("10.0.0.1", 32),
    ("0.0.0.0", 0),
    ("::", 0),
    ("fd00::", 16),
    ("fd00:1::", 32),
    ("::ffff:10.0.0.0", 104),
    ("11.0.0.9", 16),
];
const TEMPLATES: &[&str] = &[
    "/a/*",
    "/**",
    "/a/**",
    "/{x}/b",
    "/{x=a/*}",
    "/*/*",
    "/pkg.Svc/*",
    "/api/v{n}/{f}.json",
    "/**.json",
    "/",
];

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.0.below(u32::try_from(bound).unwrap())).unwrap()
    }

    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.0.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub(crate) fn some<T>(
        &mut self,
        least: usize,
        more: usize,
        mut one: impl FnMut(&mut Self) -> T,
    ) -> Vec<T> {
        let count = least + self.below(more + 1);
        (0..count).map(|_| one(self)).collect()
    }

    pub(crate) fn config(&mut self) -> Config {
        if self.percent(35) {
            return Config::Tree(self.tree(3));
        }
        let action = match self.below(20) {
            0 => Action::Log,
            1..10 => Action::Deny,
            _ => Action::Allow,
        };
        // Many policies of single words, as the index likes them, or few that are deep.
        let is_wide = self.percent(25);
        let count = if is_wide { 2 + self.below(12) } else { 1 + self.below(2) };
        let mut policies: Vec<Policy> = Vec::new();
        while policies.len() < count {
            let name = format!("p{}", self.below(100));
            if policies.iter().all(|policy| policy.name != name) {
                policies.push(self.policy(name, is_wide));
            }
        }
        Config::Rules { action, policies }
    }

    fn policy(&mut self, name: String, is_flat: bool) -> Policy {
        if is_flat && self.percent(40) {
            return self.filed(name);
        }
        let depth = if is_flat { 1 } else { 4 };
        let permissions = self.some(1, 1, |dice| dice.formula(depth, Side::What));
        let principals = match self.percent(25) {
            true => vec![Formula::Always],
            false => self.some(1, 1, |dice| dice.formula(depth, Side::Who)),
        };
        Policy { name, permissions, principals }
    }

    /// A policy that the index files under one word or range.
    fn filed(&mut self, name: String) -> Policy {
        let exact = |text| Text { form: Form::Exact, text, any_case: false };
        let header = |name, text| Leaf::Header {
            name,
            ask: Ask::Text(exact(text)),
            invert: false,
            missing_is_empty: false,
        };
        let leaf = match self.below(4) {
            0 => Leaf::UrlPath(exact(self.pick(PATHS))),
            1 => header(":authority", self.pick(AUTHORITIES)),
            2 if self.percent(50) => Leaf::SourceIp(self.net()),
            2 => Leaf::DestinationIp(self.net()),
            _ => header("x-a", self.pick(&["1", "2", "ab", "b", "10", "-3"])),
        };
        let principals = vec![match self.percent(60) {
            true => Formula::Always,
            false => Formula::Leaf(Leaf::Authenticated(Some(exact(self.pick(IDS))))),
        }];
        Policy { name, permissions: vec![Formula::Leaf(leaf)], principals }
    }

    fn formula(&mut self, depth: usize, side: Side) -> Formula {
        if depth == 0 || self.percent(25) {
            return match self.percent(4) {
                true => Formula::Always,
                false => Formula::Leaf(self.leaf(side)),
            };
        }
        match self.below(3) {
            0 => Formula::And(self.some(2, 1, |dice| dice.formula(depth - 1, side))),
            1 => Formula::Or(self.some(2, 1, |dice| dice.formula(depth - 1, side))),
            _ => Formula::Not(Box::new(self.formula(depth - 1, side))),
        }
    }

    fn leaf(&mut self, side: Side) -> Leaf {
        let which = match side {
            Side::What => self.pick(&[0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7]),
            Side::Who => self.pick(&[0, 1, 6, 7, 8, 9, 9, 9, 10, 10]),
            Side::Predicate => 11,
        };
        match which {
            0 => self.header(),
            1 => Leaf::UrlPath(self.text(PATHS)),
            2 => Leaf::Template(self.pick(TEMPLATES)),
            3 => Leaf::DestinationIp(self.net()),
            4 => {
                let (first, end) =
                    self.pick(&[(80, 81), (443, 444), (80, 8081), (0, 80), (81, 65_536)]);
                Leaf::DestinationPort(first, end)
            }
            5 => Leaf::ServerName(self.text(&["shop", "Shop", "cart", ""])),
            6 | 7 => Leaf::Metadata {
                of_route: which == 7,
                path: self.pick(&[&["k"][..], &["k"], &["k", "k"], &["l"]]).to_vec(),
                ask: self.content(2),
                invert: self.percent(20),
            },
            8 => Leaf::SourceIp(self.net()),
            9 => Leaf::Authenticated(match self.percent(15) {
                true => None,
                false => Some(self.text(&[IDS, DNS, SUBJECTS].concat())),
            }),
            10 => Leaf::Certificate(match self.percent(20) {
                true => None,
                false if self.percent(60) => Some((San::Uri, self.text(IDS))),
                false => Some((San::Dns, self.text(DNS))),
            }),
            _ => {
                let input = self.input();
                Leaf::Input(input, self.text(words(input)))
            }
        }
    }

    fn header(&mut self) -> Leaf {
        let name = self.pick(NAMES);
        let words = match name {
            ":path" => &[PATHS, &["/a?q=1", "/a/b?", "/pkg.Svc/Do?q=1"]].concat(),
            ":authority" | "host" => AUTHORITIES,
            "content-type" => &["application/grpc", "application/grpc+proto"],
            _ => VALUES,
        };
        let ask = match self.below(10) {
            0 => Ask::Present(self.percent(50)),
            1 | 2 => {
                let (start, end) = self.pick(&[(0, 3), (-5, 0), (2, 5), (5, 2)]);
                Ask::Range(start, end)
            }
            _ => Ask::Text(self.text(words)),
        };
        Leaf::Header { name, ask, invert: self.percent(20), missing_is_empty: self.percent(15) }
    }

    fn text(&mut self, words: &[&'static str]) -> Text {
        let form = self.pick(&[
            Form::Exact,
            Form::Exact,
            Form::Exact,
            Form::Prefix,
            Form::Suffix,
            Form::Contains,
            Form::Regex,
        ]);
        let text = match form {
            Form::Exact => self.pick(words),
            Form::Regex => self.pick(&[
                "*",
                "?*",
                "",
                "/?",
                "*a",
                "/a*",
                "spiffe://*/a",
                "*.*",
                "?",
                "s?op",
                "*,*",
                "1*",
            ]),
            Form::Prefix | Form::Suffix | Form::Contains => {
                let word = self.pick(words);
                let half = (word.len() / 2).max(1);
                match (word.get(..half), word.get(word.len() - word.len().min(half)..)) {
                    (Some(head), Some(tail)) => {
                        if form == Form::Prefix {
                            head
                        } else {
                            tail
                        }
                    }
                    _ => "a",
                }
            }
        };
        let any_case = form != Form::Regex && self.percent(20);
        Text { form, text, any_case }
    }

    fn net(&mut self) -> Net {
        let (address, bits) = self.pick(NETS);
        Net { address, bits }
    }

    fn content(&mut self, depth: usize) -> Content {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => Content::Null,
            1 => Content::Bool(self.percent(50)),
            2 => Content::Number(self.pick(&[0, 1, 2])),
            3 => Content::Range(0, 2),
            4 => Content::Text(self.text(VALUES)),
            5 => Content::Present,
            6 | 7 => Content::OneOf(Box::new(self.content(depth - 1))),
            _ => Content::Either(self.some(2, 0, |dice| dice.content(depth - 1))),
        }
    }

    fn input(&mut self) -> Input {
        self.pick(&[
            Input::Header("x-a"),
            Input::Header(":path"),
            Input::Header(":method"),
            Input::Header("cookie"),
            Input::ServerName,
            Input::SourceIp,
            Input::DestinationPort,
            Input::Uris,
            Input::Dns,
            Input::Subject,
        ])
    }

    fn tree(&mut self, depth: usize) -> Tree {
        let input = self.input();
        let branches = match self.below(5) {
            0 => Branches::Exact(input, self.map(input, depth)),
            1 => Branches::Prefix(input, self.map(input, depth)),
            _ => Branches::List(
                self.some(1, 2, |dice| (dice.formula(2, Side::Predicate), dice.target(depth))),
            ),
        };
        let otherwise = self.percent(60).then(|| self.target(depth));
        Tree { branches, otherwise }
    }

    fn map(&mut self, input: Input, depth: usize) -> Vec<(&'static str, Target)> {
        let words = words(input);
        let mut map: Vec<(&'static str, Target)> = Vec::new();
        for _ in 0..3 {
            let word = self.pick(words);
            let end = 1 + self.below(word.len().max(1));
            let key = if self.percent(50) { word } else { word.get(..end).unwrap_or(word) };
            if map.iter().all(|(other, _)| *other != key) {
                map.push((key, self.target(depth)));
            }
        }
        map
    }

    fn target(&mut self, depth: usize) -> Target {
        if depth > 1 && self.percent(25) {
            return Target::Tree(Box::new(self.tree(depth - 1)));
        }
        let action =
            self.pick(&[Action::Allow, Action::Allow, Action::Deny, Action::Deny, Action::Log]);
        // One name, one action, so that leaves of the same name are the same.
        Target::Act(format!("{action:?}{}", self.below(3)), action)
    }
}

/// What leaves are about.
#[derive(Clone, Copy)]
enum Side {
    What,
    Who,
    Predicate,
}

fn words(input: Input) -> &'static [&'static str] {
    match input {
        Input::Header(":path") => PATHS,
        Input::Header(":method") => &["GET", "POST"],
        Input::Header(_) => VALUES,
        Input::ServerName => &["shop", "cart", ""],
        Input::SourceIp => &["10.0.0.1", "10.0.1.1", "fd00::1", "11.0.0.1"],
        Input::DestinationPort => &["80", "443", "8080"],
        Input::Uris => IDS,
        Input::Dns => DNS,
        Input::Subject => SUBJECTS,
    }
}
