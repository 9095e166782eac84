//! From "something there was refused" to what a person can fix.

use prost_reflect::{DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};

use super::{
    deserialize::{Refusal, Step},
    error::Why,
    tree::{Node, Value},
};

/// What is wrong, in which field, on which line.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) line: usize,
    pub(crate) path: String,
    pub(crate) why: Why,
}

/// What a place in a message takes.
enum Shape {
    One(Kind),
    List(Kind),
    Map(Kind),
    /// Anything goes: below a `Struct`, or beyond a field that does not exist.
    Free,
}

/// Explains why `root`, read as a `message`, was refused at the last of `steps`.
pub(crate) fn diagnose(
    message: &MessageDescriptor,
    root: &Node,
    steps: &[Step<'_>],
    refusal: Refusal,
) -> Diagnosis {
    let mut shape = Shape::One(Kind::Message(message.clone()));
    let mut node = root;
    let mut line = root.line;
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(entry) => {
                let unknown = fields(&shape, node, node_is_root(node, root));
                if let Some(message) = unknown {
                    let names = message.fields().map(|field| field.name().to_owned());
                    let suggestion = similar(&entry.key, names);
                    let why = Why::UnknownField { name: entry.key.clone(), suggestion };
                    return Diagnosis { line: entry.line, path, why };
                }
                line = entry.line;
            }
            Step::Field(entry) => {
                shape = below(&shape, node, &entry.key, node_is_root(node, root));
                node = &entry.value;
                // A block mapping starts on the line after its key, which is what people look for.
                line = if is_scalar(node) { node.line } else { entry.line };
                push_field(&mut path, &entry.key);
            }
            Step::Done(entry) => {
                push_field(&mut path, &entry.key);
                let why = match entry.value.text() {
                    Some(url) if entry.key == "@type" => Why::UnknownType(url.to_owned()),
                    _ => Why::Invalid(refusal.0),
                };
                return Diagnosis { line: entry.line, path, why };
            }
            Step::Item(index, item) => {
                shape = if let Shape::List(kind) = shape { Shape::One(kind) } else { Shape::Free };
                (node, line) = (item, item.line);
                path.push_str(&format!("[{index}]"));
            }
        }
    }
    Diagnosis { line, path, why: reason(&shape, node, refusal) }
}

fn reason(shape: &Shape, node: &Node, refusal: Refusal) -> Why {
    match shape {
        Shape::One(Kind::Message(message)) if message.full_name() == ANY => {
            match (&node.value, node.field("@type")) {
                (Value::Map(_), None) => Why::MissingType,
                (Value::Map(_), Some(_)) => Why::Invalid(refusal.0),
                _ => mismatch("a mapping with `@type`", node),
            }
        }
        Shape::One(Kind::Enum(r#enum)) => unknown_value(r#enum, node),
        Shape::One(kind) => match expected(kind) {
            Some(expected) => mismatch(expected, node),
            None if matches!(node.value, Value::Map(_)) => Why::Invalid(refusal.0),
            None => mismatch("a mapping", node),
        },
        Shape::List(_) => mismatch("a list", node),
        Shape::Map(_) if !matches!(node.value, Value::Map(_)) => mismatch("a mapping", node),
        Shape::Map(_) | Shape::Free => Why::Invalid(refusal.0),
    }
}

/// The message whose fields `node` lists; `None` where keys are free.
fn fields(shape: &Shape, node: &Node, is_root: bool) -> Option<MessageDescriptor> {
    let Shape::One(Kind::Message(message)) = shape else { return None };
    if message.full_name() != ANY || is_root {
        return Some(message.clone());
    }
    message_of(message.parent_pool(), node.field("@type")?.text()?)
}

/// What the value of `key` in `node` must be.
fn below(shape: &Shape, node: &Node, key: &str, is_root: bool) -> Shape {
    if let Shape::Map(kind) = shape {
        return Shape::One(kind.clone());
    }
    let Some(message) = fields(shape, node, is_root) else { return Shape::Free };
    if FREE.contains(&message.full_name()) {
        return Shape::Free;
    }
    let field = message.get_field_by_name(key).or_else(|| message.get_field_by_json_name(key));
    field.map_or(Shape::Free, |field| shape_of(&field))
}

fn shape_of(field: &FieldDescriptor) -> Shape {
    let kind = field.kind();
    match kind.as_message() {
        Some(entry) if field.is_map() => Shape::Map(entry.map_entry_value_field().kind()),
        _ if field.is_list() => Shape::List(kind),
        _ => Shape::One(kind),
    }
}

/// The message that `type_url` names, in whatever authority.
pub(crate) fn message_of(pool: &DescriptorPool, type_url: &str) -> Option<MessageDescriptor> {
    let (_, name) = type_url.rsplit_once('/')?;
    pool.get_message_by_name(name)
}

fn expected(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Double | Kind::Float => "a number",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "an integer of 32 bits",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "an integer of 64 bits",
        Kind::Uint32 | Kind::Fixed32 => "an unsigned integer of 32 bits",
        Kind::Uint64 | Kind::Fixed64 => "an unsigned integer of 64 bits",
        Kind::Bool => "a boolean",
        Kind::String => "a string",
        Kind::Bytes => "text in base64",
        Kind::Enum(_) => "the name of a value",
        Kind::Message(message) => match message.full_name() {
            "google.protobuf.Duration" => "a duration such as `1.5s`",
            "google.protobuf.Timestamp" => "a time such as `2030-01-31T12:00:00Z`",
            "google.protobuf.DoubleValue" | "google.protobuf.FloatValue" => "a number",
            "google.protobuf.Int32Value" => "an integer of 32 bits",
            "google.protobuf.Int64Value" => "an integer of 64 bits",
            "google.protobuf.UInt32Value" => "an unsigned integer of 32 bits",
            "google.protobuf.UInt64Value" => "an unsigned integer of 64 bits",
            "google.protobuf.BoolValue" => "a boolean",
            "google.protobuf.StringValue" => "a string",
            "google.protobuf.BytesValue" => "text in base64",
            "google.protobuf.ListValue" => "a list",
            _ => return None,
        },
    })
}

fn mismatch(expected: &str, node: &Node) -> Why {
    let unquoted = matches!(
        node.value,
        Value::Bool(_) | Value::Signed(_) | Value::Unsigned(_) | Value::Float(_)
    );
    let hint = if expected == "a string" && unquoted { "; put it in quotes" } else { "" };
    Why::Mismatch { expected: expected.to_owned(), found: node.describe() + hint }
}

fn unknown_value(r#enum: &EnumDescriptor, node: &Node) -> Why {
    match node.text() {
        Some(name) => {
            let names = r#enum.values().map(|value| value.name().to_owned());
            Why::UnknownValue { name: name.to_owned(), suggestion: similar(name, names) }
        }
        None => mismatch("the name of a value", node),
    }
}

fn is_scalar(node: &Node) -> bool {
    !matches!(node.value, Value::List(_) | Value::Map(_))
}

fn node_is_root(node: &Node, root: &Node) -> bool {
    std::ptr::eq(node, root)
}

pub(crate) fn push_field(path: &mut String, key: &str) {
    // Keys of free mappings may hold anything; a dot in them would read as a step.
    let plain = key.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'@'));
    match (plain, path.is_empty()) {
        (true, true) => path.push_str(key),
        (true, false) => path.push_str(&format!(".{key}")),
        (false, _) => path.push_str(&format!("[{key:?}]")),
    }
}

/// The candidate nearest to `name`, if it is near enough to be a slip of the pen.
pub(crate) fn similar(name: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    // Long names are not slips, and the distance costs the product of both lengths.
    if name.len() > 100 {
        return None;
    }
    let allowed = name.len().div_ceil(3).min(4);
    candidates
        .map(|candidate| (distance(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's: how many characters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        let mut left = i + 1;
        for ((y, above), above_right) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            left = (above + usize::from(x != *y)).min(above_right + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

const ANY: &str = "google.protobuf.Any";
/// Messages whose JSON is not their fields.
const FREE: &[&str] =
    &["google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue"];
