//! Matchers of strings, headers, query parameters and chance.

use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::route::v3 as pb;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use mesh_core::matcher::{
    Error, Fraction, HeaderMatcher, ParameterMatcher, QueryMatcher, StringMatcher, ValueMatcher,
};
use mesh_core::route::RegexRewrite;

use super::{Path, Reject};

/// The matcher in `message` (gRFC A63).
pub(super) fn string(
    message: &matcher::StringMatcher,
    path: &Path<'_>,
) -> Result<StringMatcher, Reject> {
    let (name, matcher) = match &message.match_pattern {
        Some(MatchPattern::Exact(text)) => ("exact", Ok(StringMatcher::exact(text))),
        Some(MatchPattern::Prefix(text)) => ("prefix", StringMatcher::prefix(text)),
        Some(MatchPattern::Suffix(text)) => ("suffix", StringMatcher::suffix(text)),
        Some(MatchPattern::Contains(text)) => ("contains", StringMatcher::contains(text)),
        Some(MatchPattern::SafeRegex(regex)) => {
            ("safe_regex", StringMatcher::safe_regex(&regex.regex))
        }
        Some(MatchPattern::Custom(_)) => {
            return Err(path.field("custom").reject("is not supported"));
        }
        None => return Err(path.reject("has no match_pattern")),
    };
    let matcher = match matcher {
        Ok(matcher) if message.ignore_case => matcher.ignore_case(),
        matcher => matcher,
    };
    matcher.map_err(|why| path.field(name).reject(why))
}

/// The matcher in `message` (gRFC A28).
#[expect(deprecated, reason = "control planes send the older specifiers")]
pub(super) fn header(
    message: &pb::HeaderMatcher,
    path: &Path<'_>,
) -> Result<HeaderMatcher, Reject> {
    let text = |name: &str, matcher: Result<StringMatcher, Error>| {
        matcher.map(ValueMatcher::String).map_err(|why| path.field(name).reject(why))
    };
    let value = match &message.header_match_specifier {
        Some(HeaderMatchSpecifier::ExactMatch(value)) => {
            ValueMatcher::String(StringMatcher::exact(value))
        }
        Some(HeaderMatchSpecifier::SafeRegexMatch(regex)) => {
            text("safe_regex_match", StringMatcher::safe_regex(&regex.regex))?
        }
        Some(HeaderMatchSpecifier::PrefixMatch(value)) => {
            text("prefix_match", StringMatcher::prefix(value))?
        }
        Some(HeaderMatchSpecifier::SuffixMatch(value)) => {
            text("suffix_match", StringMatcher::suffix(value))?
        }
        Some(HeaderMatchSpecifier::ContainsMatch(value)) => {
            text("contains_match", StringMatcher::contains(value))?
        }
        Some(HeaderMatchSpecifier::StringMatch(message)) => {
            ValueMatcher::String(string(message, &path.field("string_match"))?)
        }
        Some(HeaderMatchSpecifier::RangeMatch(range)) => {
            ValueMatcher::Range { start: range.start, end: range.end }
        }
        Some(HeaderMatchSpecifier::PresentMatch(present)) => ValueMatcher::Present(*present),
        None => return Err(path.reject("has no header_match_specifier that is known")),
    };
    let matcher =
        HeaderMatcher::new(&message.name, value).map_err(|why| path.field("name").reject(why))?;
    let matcher = if message.invert_match { matcher.inverted() } else { matcher };
    let is_empty = message.treat_missing_header_as_empty;
    Ok(if is_empty { matcher.missing_as_empty() } else { matcher })
}

/// The matcher in `message`.
pub(super) fn query(
    message: &pb::QueryParameterMatcher,
    path: &Path<'_>,
) -> Result<QueryMatcher, Reject> {
    if message.name.is_empty() {
        return Err(path.field("name").reject("is empty"));
    }
    let value = match &message.query_parameter_match_specifier {
        Some(QueryParameterMatchSpecifier::StringMatch(message)) => {
            ParameterMatcher::String(string(message, &path.field("string_match"))?)
        }
        Some(QueryParameterMatchSpecifier::PresentMatch(present)) => {
            ParameterMatcher::Present(*present)
        }
        // As in Envoy, a bare name asks for presence.
        None => ParameterMatcher::Present(true),
    };
    Ok(QueryMatcher::new(&message.name, value))
}

/// `runtime_fraction`; the key is ignored (gRFC A28).
pub(super) fn fraction(
    message: &RuntimeFractionalPercent,
    path: &Path<'_>,
) -> Result<Fraction, Reject> {
    let path = path.field("default_value");
    let value = message.default_value.as_ref().ok_or_else(|| path.reject("is required"))?;
    percent(value, &path)
}

/// `FractionalPercent`; above 100 % is all.
pub(super) fn percent(value: &FractionalPercent, path: &Path<'_>) -> Result<Fraction, Reject> {
    let scale = match value.denominator {
        0 => 10_000,
        1 => 100,
        2 => 1,
        _ => return Err(path.field("denominator").reject("is unknown")),
    };
    Ok(Fraction::per_million(value.numerator.saturating_mul(scale)))
}

/// `RegexMatchAndSubstitute`.
pub(super) fn rewrite(
    message: &matcher::RegexMatchAndSubstitute,
    path: &Path<'_>,
) -> Result<RegexRewrite, Reject> {
    let pattern =
        message.pattern.as_ref().ok_or_else(|| path.field("pattern").reject("is required"))?;
    RegexRewrite::new(&pattern.regex, &message.substitution).map_err(|why| {
        let field = if why == Error::Substitution { "substitution" } else { "pattern" };
        path.field(field).reject(why)
    })
}
