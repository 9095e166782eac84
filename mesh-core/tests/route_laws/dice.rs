//! Random descriptions.

use mesh_core::request::Protocol;
use mesh_core::rng::{Rng, XorShift};

use crate::model::{Config, Host, Path, Question, Request, Rule};
use crate::pattern::{Pattern, Piece};

/// Makes small alphabets collide.
pub(crate) struct Dice(pub(crate) XorShift);

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

    pub(crate) fn config(&mut self) -> Config {
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
        let text = self.text(spine);
        let path = match self.below(4) {
            0 => Path::Exact(text),
            1 => Path::Prefix(self.cut(&text).to_owned()),
            2 => match text.trim_end_matches('/') {
                "" => Path::Separated("/a".to_owned()),
                text => Path::Separated(text.to_owned()),
            },
            _ => Path::Regex(self.pattern(spine)),
        };
        Rule {
            any_case: !matches!(path, Path::Regex(_)) && self.one_in(4),
            path,
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

    /// A path, or a part of `spine` from its start on.
    fn text(&mut self, spine: Option<&str>) -> String {
        match spine {
            Some(spine) => spine[..1 + self.below(spine.len())].to_owned(),
            None => self.path(),
        }
    }

    fn cut<'t>(&mut self, text: &'t str) -> &'t str {
        &text[..self.below(text.len() + 1)]
    }

    /// Of few paths too, so that starts are shared, and one within the other.
    fn pattern(&mut self, spine: Option<&str>) -> Pattern {
        let count = self.of(&[1, 1, 1, 2, 3]);
        let pattern = Pattern((0..count).map(|_| self.alternative(spine)).collect());
        if self.one_in(4) { Pattern::of(vec![Piece::AnyCase(pattern)]) } else { pattern }
    }

    fn alternative(&mut self, spine: Option<&str>) -> Vec<Piece> {
        let text = self.text(spine);
        if self.one_in(3) {
            return text.chars().map(|char| self.wild(char)).collect();
        }
        let mut pieces = vec![Piece::Text(self.cut(&text).to_owned())];
        pieces.extend((0..self.below(4)).map(|_| self.piece()));
        if self.one_in(4) {
            let tail = pieces.split_off(self.below(pieces.len()));
            pieces.push(Piece::AnyCase(Pattern::of(tail)));
        }
        pieces
    }

    fn wild(&mut self, char: char) -> Piece {
        match self.below(6) {
            0 => Piece::Any,
            1 => Piece::Repeat(Pattern::of(vec![Piece::Any]), 0, None),
            _ => Piece::Text(char.to_string()),
        }
    }

    fn piece(&mut self) -> Piece {
        let words = ["a", "/b", "Ab", "b/", "\u{e9}"];
        match self.below(5) {
            0 => Piece::Any,
            1 => Piece::OneOf(self.of(&["ab", "aA", "/b", "b"])),
            2 => {
                let word = |dice: &mut Self| vec![Piece::Text(dice.of(&words).to_owned())];
                let part = Pattern((0..=self.below(2)).map(|_| word(self)).collect());
                let counts = [(0, Some(1)), (0, None), (1, None), (2, Some(2)), (1, Some(3))];
                let (least, most) = self.of(&counts);
                Piece::Repeat(part, least, most)
            }
            3 => Piece::Repeat(Pattern::of(vec![Piece::Any]), 0, None),
            _ => Piece::Text(self.of(&words).to_owned()),
        }
    }

    /// A short path over few words: half of all paths are in half of all tables.
    fn path(&mut self) -> String {
        let words = ["a", "ab", "abc", "b", "A", "Ab", ""];
        (0..=self.below(4)).map(|_| format!("/{}", self.of(&words))).collect()
    }

    pub(crate) fn request(&mut self, config: &Config) -> Request {
        let rules: Vec<_> = config.hosts.iter().flat_map(|host| &host.rules).collect();
        let mut path = self.path();
        if !rules.is_empty() && self.one_in(2) {
            path = match &rules[self.below(rules.len())].path {
                Path::Exact(text) | Path::Prefix(text) | Path::Separated(text) => text.clone(),
                Path::Regex(pattern) => pattern.example(&mut self.0),
            };
            path.push_str(self.of(&["", "", "/", "b", "/ab"]));
            if self.one_in(8) {
                path.make_ascii_uppercase();
            }
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
