//! Conditions that permissions and principals have in common.

use std::net::IpAddr;

use envoy_types::pb::envoy::config::core::v3::CidrRange;
use envoy_types::pb::envoy::config::rbac::v3::{MetadataSource, SourcedMetadata};
use envoy_types::pb::envoy::config::route::v3::HeaderMatcher as HeaderMessage;
use envoy_types::pb::envoy::r#type::matcher::v3 as pb;
use envoy_types::pb::envoy::r#type::matcher::v3::double_matcher::MatchPattern as DoublePattern;
use envoy_types::pb::envoy::r#type::matcher::v3::list_matcher::MatchPattern as ListPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::metadata_matcher::path_segment::Segment;
use envoy_types::pb::envoy::r#type::matcher::v3::path_matcher::Rule as PathRule;
use envoy_types::pb::envoy::r#type::matcher::v3::value_matcher::MatchPattern;
use mesh_core::authz::Condition;
use mesh_core::matcher::{Cidr, ContentMatcher, MetadataMatcher};

use super::scope::{Levels, Scope};
use crate::parse::matcher::{header as header_matcher, string};
use crate::parse::{Path, Reject};

/// `header`. What gRPC keeps to itself may not be named (gRFC A41).
pub(super) fn header(
    message: &HeaderMessage,
    scope: &Scope<'_>,
    path: &Path<'_>,
) -> Result<Condition, Reject> {
    scope.of_requests(path)?;
    let name = message.name.to_ascii_lowercase();
    if name.starts_with("grpc-") || name == ":scheme" {
        let why = format_args!("{:?} may not be matched", message.name);
        return Err(path.field("name").reject(why));
    }
    header_matcher(message, path).map(Condition::Header)
}

/// `url_path`.
pub(super) fn url_path(
    message: &pb::PathMatcher,
    scope: &Scope<'_>,
    path: &Path<'_>,
) -> Result<Condition, Reject> {
    scope.of_requests(path)?;
    match &message.rule {
        Some(PathRule::Path(message)) => string(message, &path.field("path")).map(Condition::Path),
        None => Err(path.reject("has no rule that is known")),
    }
}

/// A range of addresses. Without a length, only one of all addresses is clear.
pub(super) fn cidr(message: &CidrRange, path: &Path<'_>) -> Result<Cidr, Reject> {
    let at = path.field("address_prefix");
    let address: IpAddr =
        message.address_prefix.parse().map_err(|_| at.reject("is not an IP address"))?;
    let at = path.field("prefix_len");
    let length = match &message.prefix_len {
        Some(length) => length.value,
        None if address.is_unspecified() => 0,
        None => return Err(at.reject("is required")),
    };
    let length = u8::try_from(length).map_err(|_| at.reject("is out of range"))?;
    Cidr::new(address, length).map_err(|why| at.reject(why))
}

/// `sourced_metadata`.
pub(super) fn sourced_metadata(
    message: &SourcedMetadata,
    scope: &Scope<'_>,
    path: &Path<'_>,
) -> Result<Condition, Reject> {
    let at = path.field("metadata_matcher");
    let matcher = message.metadata_matcher.as_ref().ok_or_else(|| at.reject("is required"))?;
    let matcher = metadata(matcher, scope, &at)?;
    match MetadataSource::try_from(message.metadata_source) {
        Ok(MetadataSource::Dynamic) => Ok(Condition::Metadata(matcher)),
        Ok(MetadataSource::Route) => Ok(Condition::RouteMetadata(matcher)),
        Err(_) => Err(path.field("metadata_source").reject("is unknown")),
    }
}

/// `metadata`.
pub(super) fn metadata(
    message: &pb::MetadataMatcher,
    scope: &Scope<'_>,
    path: &Path<'_>,
) -> Result<MetadataMatcher, Reject> {
    scope.of_requests(path)?;
    if message.filter.is_empty() {
        return Err(path.field("filter").reject("is empty"));
    }
    if message.path.is_empty() {
        return Err(path.field("path").reject("is empty"));
    }
    let key = |(at, segment): (usize, &pb::metadata_matcher::PathSegment)| match &segment.segment {
        Some(Segment::Key(key)) if !key.is_empty() => Ok(key.as_str().into()),
        Some(Segment::Key(_)) | None => Err(path.element("path", at).reject("has no key")),
    };
    let keys = message.path.iter().enumerate().map(key).collect::<Result<_, _>>()?;
    let at = path.field("value");
    let value = message.value.as_ref().ok_or_else(|| at.reject("is required"))?;
    Ok(MetadataMatcher {
        namespace: message.filter.as_str().into(),
        path: keys,
        value: content(value, Levels::ALL, &at)?,
        invert: message.invert,
    })
}

fn content(
    message: &pb::ValueMatcher,
    levels: Levels,
    path: &Path<'_>,
) -> Result<ContentMatcher, Reject> {
    let levels = levels.below(path)?;
    match &message.match_pattern {
        Some(MatchPattern::NullMatch(_)) => Ok(ContentMatcher::Null),
        Some(MatchPattern::BoolMatch(value)) => Ok(ContentMatcher::Bool(*value)),
        Some(MatchPattern::StringMatch(message)) => {
            string(message, &path.field("string_match")).map(ContentMatcher::String)
        }
        Some(MatchPattern::DoubleMatch(message)) => match &message.match_pattern {
            Some(DoublePattern::Exact(number)) => Ok(ContentMatcher::Number(*number)),
            Some(DoublePattern::Range(range)) => Ok(ContentMatcher::Range(range.start..range.end)),
            None => Err(path.field("double_match").reject("has no match_pattern that is known")),
        },
        Some(MatchPattern::PresentMatch(true)) => Ok(ContentMatcher::Present),
        // Envoy matches nothing then, whatever one might read into it.
        Some(MatchPattern::PresentMatch(false)) => {
            Err(path.field("present_match").reject("is false, which matches nothing: use invert"))
        }
        Some(MatchPattern::ListMatch(message)) => {
            let path = path.field("list_match");
            match &message.match_pattern {
                Some(ListPattern::OneOf(message)) => {
                    let inner = content(message, levels, &path.field("one_of"))?;
                    Ok(ContentMatcher::OneOf(Box::new(inner)))
                }
                None => Err(path.reject("has no match_pattern that is known")),
            }
        }
        Some(MatchPattern::OrMatch(message)) => {
            let path = path.field("or_match");
            if message.value_matchers.len() < 2 {
                return Err(path.field("value_matchers").reject("has fewer than two"));
            }
            let one = |(at, message)| content(message, levels, &path.element("value_matchers", at));
            let all = message.value_matchers.iter().enumerate().map(one).collect::<Result<_, _>>();
            all.map(ContentMatcher::Any)
        }
        None => Err(path.reject("has no match_pattern that is known")),
    }
}
