//! YAML (and with it JSON) as a tree that knows its lines.
//!
//! The parser gives events; the tree is built here so that nesting, size and the expansion of
//! aliases are bounded by us.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

/// Deeper documents are refused. Resources nest about 25 deep.
const MAX_DEPTH: usize = 64;
/// Larger documents are refused; aliases count with what they stand for.
const MAX_NODES: usize = 4_000_000;

/// A value and where it starts, counted from one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) key: String,
    pub(crate) value: Node,
}

/// Why text is not a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeError {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) why: String,
}

impl Node {
    /// The documents in `text`. Empty ones are `Null`.
    pub(crate) fn documents(text: &str) -> Result<Vec<Self>, TreeError> {
        let mut builder =
            Builder { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
        let mut documents = Vec::new();
        while let Some((event, span)) = builder.next()? {
            let starts_a_node = !matches!(
                event,
                Event::Nothing
                    | Event::StreamStart
                    | Event::StreamEnd
                    | Event::DocumentStart(_)
                    | Event::DocumentEnd
            );
            if starts_a_node {
                documents.push(builder.node(event, span, 0)?);
                // Anchors end with their document.
                builder.anchors.clear();
            }
        }
        Ok(documents)
    }

    /// The value of `key`, if this is a mapping that has it.
    pub(crate) fn field(&self, key: &str) -> Option<&Self> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The entries, if this is a mapping.
    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        if let Value::Map(entries) = &self.value { Some(entries) } else { None }
    }

    /// The items, if this is a list.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        if let Value::List(items) = &self.value { Some(items) } else { None }
    }

    /// The text, if this is a string.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// What a reader of an error message calls this value.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => format!("the boolean `{value}`"),
            Value::Signed(value) => format!("the number `{value}`"),
            Value::Unsigned(value) => format!("the number `{value}`"),
            Value::Float(value) => format!("the number `{value}`"),
            Value::Text(text) => format!("the string `{}`", shortened(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }

    /// This node and all below it, and how many levels they are.
    fn extent(&self) -> (usize, usize) {
        let items = self.items().unwrap_or_default().iter();
        let entries = self.entries().unwrap_or_default().iter().map(|entry| &entry.value);
        let below: Vec<(usize, usize)> = items.chain(entries).map(Self::extent).collect();
        let nodes = below.iter().map(|(nodes, _)| nodes).sum::<usize>();
        (nodes + 1, below.iter().map(|(_, depth)| depth).max().copied().unwrap_or(0) + 1)
    }
}

/// A place in the text: line and column, counted from one.
#[derive(Debug, Clone, Copy)]
struct Place(usize, usize);

impl From<&Marker> for Place {
    fn from(marker: &Marker) -> Self {
        Self(marker.line(), marker.col() + 1)
    }
}

struct Builder<'t> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, TreeError> {
        let located = |error: ScanError| fail(error.marker().into(), error.info());
        self.parser.next_event().transpose().map_err(located)
    }

    /// The next event inside a list or mapping.
    fn inner(&mut self, at: Place) -> Result<(Event<'t>, Span), TreeError> {
        self.next()?.ok_or_else(|| fail(at, "the document ends inside this value"))
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, TreeError> {
        let at = Place::from(&span.start);
        if depth >= MAX_DEPTH {
            return Err(fail(at, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, scalar(&text, style, tag.as_deref(), at)?)
            }
            Event::SequenceStart(anchor, tag) => {
                untagged(tag.as_deref(), "seq", at)?;
                (anchor, self.list(at, depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                untagged(tag.as_deref(), "map", at)?;
                (anchor, self.map(at, depth)?)
            }
            Event::Alias(anchor) => return self.alias(anchor, at, depth),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(fail(at, "expected a value")),
        };
        self.count(1, at)?;
        let Place(line, column) = at;
        let node = Node { line, column, value };
        if anchor > 0 {
            self.count(node.extent().0, at)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, at: Place, depth: usize) -> Result<Value, TreeError> {
        let mut items = Vec::new();
        loop {
            match self.inner(at)? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, at: Place, depth: usize) -> Result<Value, TreeError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines: HashMap<String, usize> = HashMap::new();
        loop {
            let (key, place) = match self.inner(at)? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                (Event::Scalar(key, ..), span) => (key.into_owned(), Place::from(&span.start)),
                (_, span) => return Err(fail((&span.start).into(), "a key must be plain text")),
            };
            let Place(line, column) = place;
            if let Some(first) = lines.insert(key.clone(), line) {
                let why = format!("`{key}` is given twice, first on line {first}");
                return Err(fail(place, why));
            }
            let (event, span) = self.inner(place)?;
            let value = self.node(event, span, depth + 1)?;
            entries.push(Entry { line, column, key, value });
        }
    }

    fn alias(&mut self, anchor: usize, at: Place, depth: usize) -> Result<Node, TreeError> {
        let node = self.anchors.get(&anchor).cloned();
        // An anchor is known only once its value is complete, so no value can hold itself.
        let node = node.ok_or_else(|| fail(at, "the alias refers to a value that holds it"))?;
        let (nodes, levels) = node.extent();
        self.count(nodes, at)?;
        if depth + levels > MAX_DEPTH {
            return Err(fail(at, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        Ok(node)
    }

    fn count(&mut self, nodes: usize, at: Place) -> Result<(), TreeError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(fail(at, format!("more than {MAX_NODES} values")));
        }
        Ok(())
    }
}

fn fail(at: Place, why: impl Into<String>) -> TreeError {
    let Place(line, column) = at;
    TreeError { line, column, why: why.into() }
}

/// At most 60 characters of `text`, for messages.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn untagged(tag: Option<&Tag>, expected: &str, at: Place) -> Result<(), TreeError> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == expected) => {
            Err(fail(at, format!("the tag `{}{}` is not supported", tag.handle, tag.suffix)))
        }
        _ => Ok(()),
    }
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    at: Place,
) -> Result<Value, TreeError> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => {
            Ok(Value::Text(text.to_owned()))
        }
        Some(tag) => {
            Err(fail(at, format!("the tag `{}{}` is not supported", tag.handle, tag.suffix)))
        }
        None if style == ScalarStyle::Plain => Ok(plain(text)),
        None => Ok(Value::Text(text.to_owned())),
    }
}

/// YAML 1.2's core schema: what unquoted text means.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        _ => {}
    }
    number(text).unwrap_or_else(|| Value::Text(text.to_owned()))
}

fn number(text: &str) -> Option<Value> {
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(digits, 8);
    }
    // Rust also reads `inf`, `nan` and the like, which are plain text in YAML.
    let numeric = |c: u8| c.is_ascii_digit() || matches!(c, b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.bytes().all(numeric) || !text.bytes().any(|c| c.is_ascii_digit()) {
        return None;
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if let Ok(value) = unsigned.parse() {
        return Some(Value::Unsigned(value));
    }
    if let Ok(value) = text.parse() {
        return Some(Value::Signed(value));
    }
    text.parse().ok().map(Value::Float)
}

fn radix(digits: &str, radix: u32) -> Option<Value> {
    // `from_str_radix` takes a sign, which has no place after the prefix.
    let all_digits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    all_digits.then(|| u64::from_str_radix(digits, radix).ok()).flatten().map(Value::Unsigned)
}
