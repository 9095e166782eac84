use super::candidates::Candidates;
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
    /// What leads here from the parent; its first byte is the parent's key.
    label: Box<[u8]>,
    /// The first bytes of the children's labels, ascending, and in the same order the children.
    keys: Vec<u8>,
    children: Vec<usize>,
    anywhere: List,
    at_segment: List,
    here: List,
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
        self.lowest.get_or_insert(entry.route);
        let node = match self.any_case {
            true => self.node(pattern.to_ascii_lowercase().as_bytes()),
            false => self.node(pattern.as_bytes()),
        };
        let node = &mut self.nodes[node];
        let list = match ends {
            Ends::Here => &mut node.here,
            Ends::AtSegment => &mut node.at_segment,
            Ends::Anywhere => &mut node.anywhere,
        };
        list.push(entry);
    }

    /// Adds to `candidates` what matches `path`.
    pub(super) fn walk<'a>(&'a self, path: &[u8], candidates: &mut Candidates<'a>) {
        if self.lowest.is_none_or(|lowest| lowest >= candidates.limit()) {
            return;
        }
        let (mut at, mut rest) = (0, path);
        while let Some(node) = self.nodes.get(at) {
            let Some(after) = self.skip(rest, &node.label) else { return };
            rest = after;
            candidates.add(&node.anywhere);
            match rest.first() {
                None => {
                    candidates.add(&node.at_segment);
                    candidates.add(&node.here);
                    return;
                }
                Some(byte) => {
                    if *byte == b'/' {
                        candidates.add(&node.at_segment);
                    }
                    let Ok(child) = node.keys.binary_search(&self.fold(*byte)) else { return };
                    let Some(child) = node.children.get(child) else { return };
                    at = *child;
                }
            }
        }
    }

    /// What follows `label` in `rest`, or `None` when that does not start with it.
    fn skip<'p>(&self, rest: &'p [u8], label: &[u8]) -> Option<&'p [u8]> {
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

    /// The node for `pattern`, made where there is none.
    fn node(&mut self, pattern: &[u8]) -> usize {
        let (mut at, mut rest) = (0, pattern);
        while let Some(byte) = rest.first() {
            let child = match self.nodes[at].keys.binary_search(byte) {
                Ok(child) => self.nodes[at].children[child],
                Err(place) => return self.grow(at, place, rest),
            };
            let label = &self.nodes[child].label;
            let common = label.iter().zip(rest).take_while(|(a, b)| a == b).count();
            if common < label.len() {
                self.split(child, common);
            }
            (at, rest) = (child, &rest[common..]);
        }
        at
    }

    /// Gives the node `at` a new child as its child number `place`.
    fn grow(&mut self, at: usize, place: usize, label: &[u8]) -> usize {
        let child = self.nodes.len();
        self.nodes.push(Node { label: label.into(), ..Node::default() });
        self.nodes[at].keys.insert(place, label[0]);
        self.nodes[at].children.insert(place, child);
        child
    }

    /// Cuts the label of the node `at` after `length` bytes; what it had goes to a new child.
    fn split(&mut self, at: usize, length: usize) {
        let lower = self.nodes.len();
        let (upper_label, lower_label) = self.nodes[at].label.split_at(length);
        let upper = Node {
            label: upper_label.into(),
            keys: vec![lower_label[0]],
            children: vec![lower],
            ..Node::default()
        };
        let lower_label = lower_label.into();
        let node = std::mem::replace(&mut self.nodes[at], upper);
        self.nodes.push(Node { label: lower_label, ..node });
    }
}
