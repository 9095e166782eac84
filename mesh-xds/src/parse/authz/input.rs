//! What predicates of a tree look at.

use envoy_types::pb::envoy::extensions::matching::common_inputs::network::v3::{
    DestinationIpInput, DestinationPortInput, DirectSourceIpInput, DynamicMetadataInput,
    ServerNameInput, SourceIpInput, SourcePortInput, dynamic_metadata_input,
};
use envoy_types::pb::envoy::extensions::matching::common_inputs::ssl::v3::{
    DnsSanInput, SubjectInput, UriSanInput,
};
use envoy_types::pb::envoy::extensions::matching::input_matchers::ip::v3::Ip;
use envoy_types::pb::envoy::extensions::matching::input_matchers::metadata::v3::Metadata;
use envoy_types::pb::envoy::r#type::matcher::v3 as pb;
use envoy_types::pb::envoy::r#type::matcher::v3::HttpRequestHeaderMatchInput;
use envoy_types::pb::envoy::r#type::matcher::v3::metadata_matcher::path_segment::Segment;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3 as xds;
use envoy_types::pb::xds::r#type::matcher::v3::matcher::matcher_list::predicate::SinglePredicate;
use envoy_types::pb::xds::r#type::matcher::v3::matcher::matcher_list::predicate::single_predicate::Matcher;
use envoy_types::pb::xds::r#type::matcher::v3::string_matcher::MatchPattern as XdsPattern;
use mesh_core::authz::{Condition, Input};
use mesh_core::matcher::{Cidr, Field};

use super::condition::{cidr, metadata};
use super::scope::Scope;
use crate::parse::matcher::string;
use crate::parse::value::{is_type, unpack};
use crate::parse::{Path, Reject};

/// The condition in `message`: an input, and what is asked of it.
pub(super) fn single(
    message: &SinglePredicate,
    scope: &Scope<'_>,
    path: &Path<'_>,
) -> Result<Condition, Reject> {
    let at = path.field("input");
    let input = message.input.as_ref().ok_or_else(|| at.reject("is required"))?;
    match &message.matcher {
        Some(Matcher::ValueMatch(message)) => {
            let matcher = string(&same(message), &path.field("value_match"))?;
            Ok(Condition::Text(text(input, scope, &at)?, matcher))
        }
        Some(Matcher::CustomMatch(extension)) => custom(input, extension, scope, path),
        None => Err(path.reject("has no matcher that is known")),
    }
}

/// An input that is text.
pub(super) fn text(
    extension: &TypedExtensionConfig,
    scope: &Scope<'_>,
    path: &Path<'_>,
) -> Result<Input, Reject> {
    let (any, path) = (typed_config(extension, path)?, path.field("typed_config"));
    if let Some(message) = unpack::<HttpRequestHeaderMatchInput>(any, &path)? {
        scope.of_requests(&path)?;
        let path = path.field("header_name");
        let name = message.header_name.to_ascii_lowercase();
        if name.starts_with("grpc-") || name == ":scheme" {
            return Err(path.reject(format_args!("{name:?} may not be matched")));
        }
        return Field::new(&name).map(Input::Header).map_err(|why| path.reject(why));
    }
    for (is_it, input) in [
        (is_type::<ServerNameInput>(&any.type_url), Input::ServerName),
        (is_type::<SourceIpInput>(&any.type_url), Input::SourceIp),
        (is_type::<DirectSourceIpInput>(&any.type_url), Input::SourceIp),
        (is_type::<SourcePortInput>(&any.type_url), Input::SourcePort),
        (is_type::<DestinationIpInput>(&any.type_url), Input::DestinationIp),
        (is_type::<DestinationPortInput>(&any.type_url), Input::DestinationPort),
        (is_type::<UriSanInput>(&any.type_url), Input::UriNames),
        (is_type::<DnsSanInput>(&any.type_url), Input::DnsNames),
        (is_type::<SubjectInput>(&any.type_url), Input::Subject),
    ] {
        if is_it {
            return Ok(input);
        }
    }
    Err(path.reject(format_args!("{} is not supported", any.type_url)))
}

/// What extensions ask of an input: whether an address is in a range, or what metadata says.
fn custom(
    input: &TypedExtensionConfig,
    extension: &TypedExtensionConfig,
    scope: &Scope<'_>,
    path: &Path<'_>,
) -> Result<Condition, Reject> {
    let (input_path, path) = (path.field("input"), path.field("custom_match"));
    let (any, path) = (typed_config(extension, &path)?, path.field("typed_config"));
    if let Some(message) = unpack::<Ip>(any, &path)? {
        let one = |(at, range)| cidr(range, &path.element("cidr_ranges", at));
        let ranges = message.cidr_ranges.iter().enumerate().map(one);
        let ranges = ranges.collect::<Result<Box<[Cidr]>, _>>()?;
        if ranges.is_empty() {
            return Err(path.field("cidr_ranges").reject("is empty"));
        }
        let input = text(input, scope, &input_path)?;
        if input == Input::SourceIp {
            return Ok(Condition::SourceIp(ranges));
        }
        if input == Input::DestinationIp {
            return Ok(Condition::DestinationIp(ranges));
        }
        return Err(input_path.reject("is not an address"));
    }
    if let Some(message) = unpack::<Metadata>(any, &path)? {
        let (any, input_path) =
            (typed_config(input, &input_path)?, input_path.field("typed_config"));
        let Some(from) = unpack::<DynamicMetadataInput>(any, &input_path)? else {
            return Err(input_path.reject("is not dynamic metadata"));
        };
        let key = |segment: dynamic_metadata_input::PathSegment| {
            let segment = segment
                .segment
                .map(|dynamic_metadata_input::path_segment::Segment::Key(key)| Segment::Key(key));
            pb::metadata_matcher::PathSegment { segment }
        };
        let message = pb::MetadataMatcher {
            filter: from.filter,
            path: from.path.into_iter().map(key).collect(),
            value: message.value,
            invert: message.invert,
        };
        // The way is the input's, the value is the matcher's.
        return metadata(&message, scope, &path).map(Condition::Metadata);
    }
    Err(path.reject(format_args!("{} is not supported", any.type_url)))
}

fn typed_config<'a>(
    extension: &'a TypedExtensionConfig,
    path: &Path<'_>,
) -> Result<&'a Any, Reject> {
    let any = extension.typed_config.as_ref();
    any.ok_or_else(|| path.field("typed_config").reject("is required"))
}

/// The same matcher as Envoy's own message has it.
fn same(message: &xds::StringMatcher) -> pb::StringMatcher {
    let match_pattern = message.match_pattern.as_ref().map(|pattern| match pattern {
        XdsPattern::Exact(text) => MatchPattern::Exact(text.clone()),
        XdsPattern::Prefix(text) => MatchPattern::Prefix(text.clone()),
        XdsPattern::Suffix(text) => MatchPattern::Suffix(text.clone()),
        XdsPattern::Contains(text) => MatchPattern::Contains(text.clone()),
        XdsPattern::SafeRegex(regex) => {
            let regex = regex.regex.clone();
            MatchPattern::SafeRegex(pb::RegexMatcher { regex, ..Default::default() })
        }
        XdsPattern::Custom(_) => MatchPattern::Custom(Default::default()),
    });
    pb::StringMatcher { match_pattern, ignore_case: message.ignore_case }
}
