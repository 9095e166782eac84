//! `match`: which requests a route takes.

use envoy_types::pb::envoy::config::route::v3 as pb;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use mesh_core::matcher::{self, Field, PathMatcher};

use super::cursor::Cursor;
use super::service::is_name;
use crate::file::error::{FileError, Why};

/// What a value is asked: what it says, or whether it is there.
enum Ask {
    Text(StringMatcher),
    Present(bool),
}

/// The match of a route; without one it takes everything.
pub(super) fn compile(cursor: Option<&Cursor<'_>>) -> Result<pb::RouteMatch, FileError> {
    let Some(cursor) = cursor else { return Ok(everything()) };
    let fields = cursor.fields(&["path", "prefix", "regex", "header", "method", "query"])?;
    let mut found = everything();
    if let Some((kind, value)) = fields.one_of(&["path", "prefix", "regex"])? {
        found.path_specifier = Some(path(kind, &value)?);
    }
    if let Some(method) = fields.get("method") {
        found.headers.push(header(":method", Ask::Text(methods(&method)?)));
    }
    for (name, value) in
        fields.get("header").map(|it| it.entries()).transpose()?.unwrap_or_default()
    {
        Field::new(name).map_err(|why| value.fail_key(Why::Invalid(why.to_string())))?;
        found.headers.push(header(name, ask(&value)?));
    }
    for (name, value) in fields.get("query").map(|it| it.entries()).transpose()?.unwrap_or_default()
    {
        let asked = match ask(&value)? {
            Ask::Text(matcher) => QueryParameterMatchSpecifier::StringMatch(matcher),
            Ask::Present(present) => QueryParameterMatchSpecifier::PresentMatch(present),
        };
        found.query_parameters.push(pb::QueryParameterMatcher {
            name: name.to_owned(),
            query_parameter_match_specifier: Some(asked),
        });
    }
    Ok(found)
}

pub(super) fn everything() -> pb::RouteMatch {
    let path_specifier = Some(PathSpecifier::Prefix("/".to_owned()));
    pb::RouteMatch { path_specifier, ..Default::default() }
}

fn path(kind: &str, value: &Cursor<'_>) -> Result<PathSpecifier, FileError> {
    let text = value.text()?;
    if kind == "regex" {
        PathMatcher::safe_regex(text).map_err(|why| value.invalid(why.to_string()))?;
        return Ok(PathSpecifier::SafeRegex(regex(text)));
    }
    if !text.starts_with('/') {
        return Err(value.invalid("a path starts with `/`"));
    }
    Ok(match kind {
        "path" => PathSpecifier::Path(text.to_owned()),
        _ => PathSpecifier::Prefix(text.to_owned()),
    })
}

fn header(name: &str, ask: Ask) -> pb::HeaderMatcher {
    let asked = match ask {
        Ask::Text(matcher) => HeaderMatchSpecifier::StringMatch(matcher),
        Ask::Present(present) => HeaderMatchSpecifier::PresentMatch(present),
    };
    pb::HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(asked),
        ..Default::default()
    }
}

/// One method or a list of them.
fn methods(cursor: &Cursor<'_>) -> Result<StringMatcher, FileError> {
    let items = if cursor.is_list() { cursor.items()? } else { vec![cursor.clone()] };
    let mut names = Vec::with_capacity(items.len());
    for item in items {
        match item.text()? {
            // What these names are made of means itself in a regex.
            name if is_name(name, "-_") && name == name.to_ascii_uppercase() => names.push(name),
            _ => return Err(item.mismatch("a method such as `GET`")),
        }
    }
    match &*names {
        [] => Err(cursor.invalid("the list is empty")),
        [name] => Ok(string(MatchPattern::Exact((*name).to_owned()))),
        _ => Ok(string(MatchPattern::SafeRegex(regex(&names.join("|"))))),
    }
}

fn ask(cursor: &Cursor<'_>) -> Result<Ask, FileError> {
    if cursor.is_text() {
        return Ok(Ask::Text(string(MatchPattern::Exact(cursor.text()?.to_owned()))));
    }
    const KINDS: &[&str] = &["exact", "prefix", "suffix", "contains", "regex", "present"];
    if cursor.entries().is_err() {
        return Err(cursor.text().err().unwrap_or_else(|| cursor.mismatch("a string")));
    }
    let Some((kind, value)) = cursor.fields(KINDS)?.one_of(KINDS)? else {
        return Err(cursor.invalid(format!("names none of {}", KINDS.join(", "))));
    };
    if kind == "present" {
        return value.flag().map(Ask::Present);
    }
    let text = value.text()?;
    let checked = match kind {
        "prefix" => matcher::StringMatcher::prefix(text),
        "suffix" => matcher::StringMatcher::suffix(text),
        "contains" => matcher::StringMatcher::contains(text),
        "regex" => matcher::StringMatcher::safe_regex(text),
        _ => Ok(matcher::StringMatcher::exact(text)),
    };
    checked.map_err(|why| value.invalid(why.to_string()))?;
    let text = text.to_owned();
    Ok(Ask::Text(string(match kind {
        "prefix" => MatchPattern::Prefix(text),
        "suffix" => MatchPattern::Suffix(text),
        "contains" => MatchPattern::Contains(text),
        "regex" => MatchPattern::SafeRegex(regex(&text)),
        _ => MatchPattern::Exact(text),
    })))
}

fn string(pattern: MatchPattern) -> StringMatcher {
    StringMatcher { match_pattern: Some(pattern), ignore_case: false }
}

fn regex(regex: &str) -> RegexMatcher {
    RegexMatcher { regex: regex.to_owned(), ..Default::default() }
}
