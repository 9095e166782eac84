//! What the naive evaluator thinks of single texts, addresses and values.

use crate::spec::*;

/// What the answer to a question may be, in one reading or another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct May {
    pub(crate) be_true: bool,
    pub(crate) be_false: bool,
}

pub(crate) const UNKNOWN: May = May { be_true: true, be_false: true };

pub(crate) fn is(answer: bool) -> May {
    May { be_true: answer, be_false: !answer }
}

pub(crate) fn not(May { be_true, be_false }: May) -> May {
    May { be_true: be_false, be_false: be_true }
}

pub(crate) fn principal_matches(text: &Text, tls: &Tls) -> bool {
    let Some(shown) = &tls.certificate else { return text_matches(text, b"") };
    let names = match (shown.uris.is_empty(), shown.dns.is_empty()) {
        (false, _) => shown.uris.clone(),
        (true, false) => shown.dns.clone(),
        (true, true) => vec![shown.subject],
    };
    names.iter().any(|name| text_matches(text, name.as_bytes()))
}

pub(crate) fn text_matches(Text { form, text, any_case }: &Text, value: &[u8]) -> bool {
    let (mut wanted, mut value) = (text.as_bytes().to_vec(), value.to_vec());
    if *form == Form::Regex {
        return glob(&wanted, &value);
    }
    if *any_case {
        wanted.make_ascii_lowercase();
        value.make_ascii_lowercase();
    }
    match form {
        Form::Exact => value == wanted,
        Form::Prefix => value.starts_with(&wanted),
        Form::Suffix => value.ends_with(&wanted),
        Form::Contains => value.windows(wanted.len()).any(|window| window == wanted),
        Form::Regex => unreachable!("answered above"),
    }
}

fn glob(pattern: &[u8], value: &[u8]) -> bool {
    match (pattern.split_first(), value.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((b'*', pattern)), rest) => {
            glob(pattern, value)
                || rest.is_some_and(|(byte, rest)| {
                    *byte != b'\n' && glob(&[b"*", pattern].concat(), rest)
                })
        }
        (Some((wanted, pattern)), Some((byte, rest))) => {
            (wanted == byte || (*wanted == b'?' && *byte != b'\n')) && glob(pattern, rest)
        }
        (Some(_), None) => false,
    }
}

pub(crate) fn template_matches(template: &str, path: &str) -> May {
    // Variables are only names for what they match.
    let mut plain = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (variable, after) = after.split_once('}').expect("templates are well-formed");
        plain.push_str(before);
        plain.push_str(variable.split_once('=').map_or("*", |(_, pattern)| pattern));
        rest = after;
    }
    plain.push_str(rest);
    if !segments(&plain, path) {
        return is(false);
    }
    let usual = |c: char| c.is_ascii_alphanumeric() || "-._~%!$&'()+,;:@/".contains(c);
    if path.chars().all(usual) { is(true) } else { UNKNOWN }
}

fn segments(template: &str, path: &str) -> bool {
    if let Some(rest) = template.strip_prefix("**") {
        return (0..=path.len()).any(|at| segments(rest, &path[at..]));
    }
    if let Some(rest) = template.strip_prefix('*') {
        let end = path.find('/').unwrap_or(path.len());
        return (1..=end).any(|at| segments(rest, &path[at..]));
    }
    match (template.chars().next(), path.chars().next()) {
        (None, None) => true,
        (Some(a), Some(b)) if a == b => segments(&template[1..], &path[1..]),
        _ => false,
    }
}

/// An address as family and bits.
fn bits(address: &str) -> (bool, u128) {
    let plain = address.strip_prefix("::ffff:").filter(|rest| rest.contains('.'));
    let address = plain.unwrap_or(address);
    if !address.contains(':') {
        let parts = address.split('.').map(|part| part.parse::<u128>().expect("an octet"));
        return (true, parts.fold(0, |all, part| (all << 8) | part));
    }
    let (before, after) = address.split_once("::").unwrap_or((address, ""));
    let groups = |text: &str| -> Vec<u128> {
        let groups = text.split(':').filter(|group| !group.is_empty());
        groups.map(|group| u128::from_str_radix(group, 16).expect("a group")).collect()
    };
    let (mut all, after) = (groups(before), groups(after));
    all.resize(8 - after.len(), 0);
    all.extend(after);
    (false, all.into_iter().fold(0, |all, group| (all << 16) | group))
}

pub(crate) fn in_net(net: Net, address: &str) -> bool {
    let ((is_v4, net_bits), (also_v4, asked)) = (bits(net.address), bits(address));
    let total: u32 = if is_v4 { 32 } else { 128 };
    let is_mapped = is_v4 && net.address.contains(':');
    let length = u32::from(net.bits) - if is_mapped { 96 } else { 0 };
    is_v4 == also_v4 && (length == 0 || (net_bits ^ asked) >> (total - length) == 0)
}

/// A whole number as people write it, with a sign and blanks around it.
pub(crate) fn number(value: &[u8]) -> Option<i64> {
    let text = String::from_utf8(value.to_vec()).ok()?;
    let text = text.trim_matches([' ', '\t']);
    let (digits, sign) = match text.strip_prefix('-') {
        Some(digits) => (digits, -1),
        None => (text.strip_prefix('+').unwrap_or(text), 1),
    };
    if digits.is_empty() || digits.len() > 17 || digits.contains(|c: char| !c.is_ascii_digit()) {
        return None;
    }
    Some(digits.bytes().fold(0, |all, digit| all * 10 + i64::from(digit - b'0')) * sign)
}

pub(crate) fn dig<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    let Some((key, rest)) = path.split_first() else { return Some(value) };
    let Value::Struct(fields) = value else { return None };
    dig(&fields.iter().find(|(name, _)| name == key)?.1, rest)
}

pub(crate) fn content_matches(ask: &Content, value: &Value) -> May {
    let any = |answers: Vec<May>| May {
        be_true: answers.iter().any(|answer| answer.be_true),
        be_false: answers.iter().all(|answer| answer.be_false),
    };
    match ask {
        Content::Null => is(matches!(value, Value::Null)),
        Content::Bool(wanted) => is(matches!(value, Value::Bool(found) if found == wanted)),
        Content::Number(wanted) => is(matches!(value, Value::Number(found) if found == wanted)),
        Content::Range(start, end) => {
            is(matches!(value, Value::Number(found) if start <= found && found < end))
        }
        Content::Text(text) => {
            is(matches!(value, Value::Text(found) if text_matches(text, found.as_bytes())))
        }
        // Not primitive, they are not present by the documentation, but Envoy finds them.
        Content::Present if matches!(value, Value::List(_) | Value::Struct(_)) => UNKNOWN,
        Content::Present => is(true),
        Content::OneOf(inner) => match value {
            Value::List(values) => {
                any(values.iter().map(|value| content_matches(inner, value)).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Struct(_) => {
                is(false)
            }
        },
        Content::Either(parts) => {
            any(parts.iter().map(|part| content_matches(part, value)).collect())
        }
    }
}
