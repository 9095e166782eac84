use super::candidates::Candidates;
use super::regexes::Regexes;
use super::{Entry, List};

/// A radix trie over bytes: what of a path is a pattern, in one walk along the path.
#[derive(Debug)]
pub(super) struct Trie {
    /// The first is the root, for the empty prefix.
    nodes: Vec<Node>,
    /// Whether the patterns are in lower case and match any case.
    any_case: bool,
    /// The lowest route in here: a path that has found a lower one need not walk.
    lowest: Option<u32>,
}

#[derive(Debug, Default)]
struct Node {
    /// What follows the byte that leads here.
    label: Box<[u8]>,
    /// The bytes that lead to children, ascending, and in the same order the children.
    keys: Vec<u8>,
    children: Vec<usize>,
    /// Where any one byte leads to.
    any_byte: Option<usize>,
    /// In a box: most nodes only lead on.
    patterns: Option<Box<Patterns>>,
}

/// What ends with a node.
#[derive(Debug, Default)]
struct Patterns {
    anywhere: List,
    at_segment: List,
    here: List,
    /// Those with this start.
    regexes: Option<Regexes>,
}

/// Where the path may end, or go on, after a pattern.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ends {
    /// It ends with the pattern.
    Here,
    /// It ends with the pattern or goes on with a `/`.
    AtSegment,
    /// It goes on with anything.
    Anywhere,
}

impl Trie {
    /// Has no patterns, and will compare them as they are.
    pub(super) fn new() -> Self {
        Self { nodes: vec![Node::default()], any_case: false, lowest: None }
    }

    /// Has no patterns, and will not mind the case of ASCII letters.
    pub(super) fn any_case() -> Self {
        Self { any_case: true, ..Self::new() }
    }

    /// Adds a route, which is above those before.
    pub(super) fn push(&mut self, pattern: &str, ends: Ends, entry: Entry) {
        let node = self.node(0, pattern.as_bytes());
        let patterns = self.patterns(node, entry.route);
        let list = match ends {
            Ends::Here => &mut patterns.here,
            Ends::AtSegment => &mut patterns.at_segment,
            Ends::Anywhere => &mut patterns.anywhere,
        };
        list.push(entry);
    }

    /// Adds all regular expressions with one start; in it `None` stands for any byte.
    pub(super) fn push_regexes(&mut self, start: &[Option<u8>], regexes: Regexes) {
        let mut node = 0;
        for (number, bytes) in start.split(Option::is_none).enumerate() {
            if number > 0 {
                node = self.after_any_byte(node);
            }
            node = self.node(node, &bytes.iter().copied().flatten().collect::<Vec<_>>());
        }
        let patterns = self.patterns(node, regexes.first());
        patterns.regexes = Some(regexes);
    }

    /// Adds to `candidates` what matches `path`.
    pub(super) fn walk<'a>(&'a self, path: &[u8], candidates: &mut Candidates<'a>) {
        if self.lowest.is_some_and(|lowest| lowest < candidates.limit()) {
            self.walk_from(0, path, candidates);
        }
    }

    /// The rest of a walk, which came to the node `at`. Goes both ways where any byte leads on.
    fn walk_from<'a>(&'a self, mut at: usize, mut rest: &[u8], candidates: &mut Candidates<'a>) {
        while let Some(node) = self.nodes.get(at) {
            let Some(after) = self.skip(rest, &node.label) else { return };
            rest = after;
            if let Some(patterns) = &node.patterns {
                patterns.add_to(candidates, rest);
            }
            let Some((byte, after)) = rest.split_first() else { return };
            if let Some(any_byte) = node.any_byte {
                self.walk_from(any_byte, after, candidates);
            }
            let Ok(child) = node.keys.binary_search(&self.fold(*byte)) else { return };
            let Some(child) = node.children.get(child) else { return };
            (at, rest) = (*child, after);
        }
    }

    /// What follows `label` in `rest`, or `None` when that does not start with it.
    fn skip<'p>(&self, rest: &'p [u8], label: &[u8]) -> Option<&'p [u8]> {
        if label.is_empty() {
            return Some(rest);
        }
        let (start, after) = rest.split_at_checked(label.len())?;
        let is_equal = match self.any_case {
            true => start.eq_ignore_ascii_case(label),
            false => start == label,
        };
        is_equal.then_some(after)
    }

    fn fold(&self, byte: u8) -> u8 {
        if self.any_case { byte.to_ascii_lowercase() } else { byte }
    }

    /// What ends with a node, to which a route is added, from `route` on.
    fn patterns(&mut self, node: usize, route: u32) -> &mut Patterns {
        self.lowest = Some(self.lowest.map_or(route, |lowest| lowest.min(route)));
        self.nodes[node].patterns.get_or_insert_default()
    }

    /// The node for `pattern` below the node `at`, made where there is none.
    fn node(&mut self, mut at: usize, pattern: &[u8]) -> usize {
        let folded: Vec<_> = pattern.iter().map(|byte| self.fold(*byte)).collect();
        let mut rest = &*folded;
        while let Some((byte, after)) = rest.split_first() {
            let child = match self.nodes[at].keys.binary_search(byte) {
                Ok(child) => self.nodes[at].children[child],
                Err(place) => return self.grow(at, place, (*byte, after)),
            };
            let label = &self.nodes[child].label;
            let common = label.iter().zip(after).take_while(|(a, b)| a == b).count();
            if common < label.len() {
                self.split(child, common);
            }
            (at, rest) = (child, &after[common..]);
        }
        at
    }

    /// The node for any one byte after the node `at`, made where there is none.
    fn after_any_byte(&mut self, at: usize) -> usize {
        let new = self.nodes.len();
        let node = *self.nodes[at].any_byte.get_or_insert(new);
        if node == new {
            self.nodes.push(Node::default());
        }
        node
    }

    /// Gives the node `at` a new child as its child number `place`.
    fn grow(&mut self, at: usize, place: usize, (key, label): (u8, &[u8])) -> usize {
        let child = self.nodes.len();
        self.nodes.push(Node { label: label.into(), ..Node::default() });
        self.nodes[at].keys.insert(place, key);
        self.nodes[at].children.insert(place, child);
        child
    }

    /// Cuts the label of the node `at` after `length` bytes; what it had goes to a new child.
    fn split(&mut self, at: usize, length: usize) {
        let lower = self.nodes.len();
        let (label, after) = self.nodes[at].label.split_at(length);
        let upper = Node {
            label: label.into(),
            keys: vec![after[0]],
            children: vec![lower],
            ..Node::default()
        };
        let label = after[1..].into();
        let node = std::mem::replace(&mut self.nodes[at], upper);
        self.nodes.push(Node { label, ..node });
    }
}

impl Patterns {
    /// Adds to `candidates` what matches a path that goes on with `rest`.
    fn add_to<'a>(&'a self, candidates: &mut Candidates<'a>, rest: &[u8]) {
        candidates.add(&self.anywhere);
        if let Some(regexes) = &self.regexes {
            candidates.add_regexes(regexes);
        }
        match rest.first() {
            None => {
                candidates.add(&self.at_segment);
                candidates.add(&self.here);
            }
            Some(b'/') => candidates.add(&self.at_segment),
            Some(_) => {}
        }
    }
}
