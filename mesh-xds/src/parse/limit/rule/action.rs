//! `RateLimit.Action`: what makes one entry of a descriptor.

use std::net::IpAddr;
use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3::rate_limit::Action as Message;
use envoy_types::pb::envoy::config::route::v3::rate_limit::action as pb;
use envoy_types::pb::envoy::config::route::v3::rate_limit::action::ActionSpecifier;
use envoy_types::pb::envoy::config::route::v3::rate_limit::action::meta_data::Source as Origin;
use envoy_types::pb::envoy::r#type::metadata::v3::MetadataKey;
use envoy_types::pb::envoy::r#type::metadata::v3::metadata_key::path_segment::Segment;
use envoy_types::pb::google::protobuf::UInt32Value;
use envoy_types::pb::xds::core::v3::CidrRange;
use mesh_core::limit::{Action, Entry, Source};
use mesh_core::matcher::{Cidr, Field};

use crate::parse::{Path, Reject, matcher};

/// The action in `message`. `cluster` is the name of this node's own.
#[expect(deprecated, reason = "control planes send dynamic_metadata")]
pub(super) fn action(
    message: &Message,
    cluster: &Arc<str>,
    path: &Path<'_>,
) -> Result<Action, Reject> {
    match &message.action_specifier {
        Some(ActionSpecifier::SourceCluster(_)) => Ok(Action::SourceCluster(cluster.clone())),
        Some(ActionSpecifier::DestinationCluster(_)) => Ok(Action::DestinationCluster),
        Some(ActionSpecifier::RemoteAddress(_)) => Ok(Action::RemoteAddress),
        Some(ActionSpecifier::RequestHeaders(it)) => header(it, &path.field("request_headers")),
        Some(ActionSpecifier::QueryParameters(it)) => query(it, &path.field("query_parameters")),
        Some(ActionSpecifier::GenericKey(it)) => {
            let path = path.field("generic_key");
            entry(&it.descriptor_key, "generic_key", &it.descriptor_value, &path).map(Action::Fixed)
        }
        Some(ActionSpecifier::HeaderValueMatch(it)) => {
            header_match(it, &path.field("header_value_match"))
        }
        Some(ActionSpecifier::QueryParameterValueMatch(it)) => {
            query_match(it, &path.field("query_parameter_value_match"))
        }
        Some(ActionSpecifier::MaskedRemoteAddress(it)) => {
            let path = path.field("masked_remote_address");
            let v4 = bits(it.v4_prefix_mask_len, 32, &path.field("v4_prefix_mask_len"))?;
            let v6 = bits(it.v6_prefix_mask_len, 128, &path.field("v6_prefix_mask_len"))?;
            Ok(Action::MaskedRemoteAddress { v4, v6 })
        }
        Some(ActionSpecifier::RemoteAddressMatch(it)) => {
            address_match(it, &path.field("remote_address_match"))
        }
        Some(ActionSpecifier::DynamicMetadata(it)) => {
            let key = (it.descriptor_key.as_str(), it.metadata_key.as_ref());
            let rest = (it.default_value.as_str(), false);
            metadata(key, rest, Source::Request, &path.field("dynamic_metadata"))
        }
        Some(ActionSpecifier::Metadata(it)) => {
            let path = path.field("metadata");
            let source = source(it.source, &path.field("source"))?;
            let key = (it.descriptor_key.as_str(), it.metadata_key.as_ref());
            metadata(key, (it.default_value.as_str(), it.skip_if_absent), source, &path)
        }
        Some(ActionSpecifier::Extension(_)) => {
            Err(path.field("extension").reject("is not supported"))
        }
        None => Err(path.reject("has no action_specifier that is known")),
    }
}

fn filled(text: &str, path: &Path<'_>) -> Result<Arc<str>, Reject> {
    if text.is_empty() { Err(path.reject("is empty")) } else { Ok(text.into()) }
}

/// The entry of an action. Values are taken as they are: that they may be formats is a switch that
/// is off in Envoy.
fn entry(key: &str, default: &str, value: &str, path: &Path<'_>) -> Result<Entry, Reject> {
    let key = Arc::from(if key.is_empty() { default } else { key });
    Ok(Entry { key, value: filled(value, &path.field("descriptor_value"))? })
}

fn header(message: &pb::RequestHeaders, path: &Path<'_>) -> Result<Action, Reject> {
    let field = Field::new(&message.header_name);
    Ok(Action::Header {
        field: field.map_err(|why| path.field("header_name").reject(why))?,
        key: filled(&message.descriptor_key, &path.field("descriptor_key"))?,
        skip_if_absent: message.skip_if_absent,
    })
}

fn query(message: &pb::QueryParameters, path: &Path<'_>) -> Result<Action, Reject> {
    let name = filled(&message.query_parameter_name, &path.field("query_parameter_name"))?;
    Ok(Action::Query {
        name: (&*name).into(),
        key: filled(&message.descriptor_key, &path.field("descriptor_key"))?,
        skip_if_absent: message.skip_if_absent,
    })
}

fn header_match(message: &pb::HeaderValueMatch, path: &Path<'_>) -> Result<Action, Reject> {
    if message.headers.is_empty() {
        return Err(path.field("headers").reject("is empty"));
    }
    let headers = message.headers.iter().enumerate();
    let headers = headers.map(|(at, it)| matcher::header(it, &path.element("headers", at)));
    Ok(Action::HeaderMatch {
        entry: entry(&message.descriptor_key, "header_match", &message.descriptor_value, path)?,
        headers: headers.collect::<Result<_, _>>()?,
        expect: message.expect_match.is_none_or(|expect| expect.value),
    })
}

fn query_match(message: &pb::QueryParameterValueMatch, path: &Path<'_>) -> Result<Action, Reject> {
    if message.query_parameters.is_empty() {
        return Err(path.field("query_parameters").reject("is empty"));
    }
    let query = message.query_parameters.iter().enumerate();
    let query = query.map(|(at, it)| matcher::query(it, &path.element("query_parameters", at)));
    Ok(Action::QueryMatch {
        entry: entry(&message.descriptor_key, "query_match", &message.descriptor_value, path)?,
        query: query.collect::<Result<_, _>>()?,
        expect: message.expect_match.is_none_or(|expect| expect.value),
    })
}

fn address_match(message: &pb::RemoteAddressMatch, path: &Path<'_>) -> Result<Action, Reject> {
    let at = path.field("address_matcher");
    let matcher = message.address_matcher.as_ref().ok_or_else(|| at.reject("is required"))?;
    let ranges = matcher.ranges.iter().enumerate();
    let ranges = ranges.map(|(index, range)| cidr(range, &at.element("ranges", index)));
    let (key, value) = (&message.descriptor_key, &message.descriptor_value);
    Ok(Action::AddressMatch {
        entry: entry(key, "remote_address_match", value, path)?,
        ranges: ranges.collect::<Result<_, _>>()?,
        invert: matcher.invert_match,
    })
}

fn cidr(message: &CidrRange, path: &Path<'_>) -> Result<Cidr, Reject> {
    let at = path.field("address_prefix");
    let address: IpAddr =
        message.address_prefix.parse().map_err(|_| at.reject("is not an IP address"))?;
    let at = path.field("prefix_len");
    let length = message.prefix_len.map_or(0, |length| length.value);
    let length = u8::try_from(length).map_err(|_| at.reject("is out of range"))?;
    Cidr::new(address, length).map_err(|why| at.reject(why))
}

fn bits(message: Option<UInt32Value>, most: u8, path: &Path<'_>) -> Result<u8, Reject> {
    let Some(bits) = message else { return Ok(most) };
    let bits = u8::try_from(bits.value).ok().filter(|bits| *bits <= most);
    bits.ok_or_else(|| path.reject(format_args!("is above {most}")))
}

fn source(source: i32, path: &Path<'_>) -> Result<Source, Reject> {
    match Origin::try_from(source) {
        Ok(Origin::Dynamic) => Ok(Source::Request),
        Ok(Origin::RouteEntry) => Ok(Source::Route),
        Ok(Origin::ClusterEntry | Origin::ClusterLocalityEntry) => {
            Err(path.reject("metadata of clusters is not supported"))
        }
        Err(_) => Err(path.reject("is unknown")),
    }
}

fn metadata(
    (key, place): (&str, Option<&MetadataKey>),
    (default, skip_if_absent): (&str, bool),
    source: Source,
    path: &Path<'_>,
) -> Result<Action, Reject> {
    let (namespace, way) = metadata_key(place, &path.field("metadata_key"))?;
    Ok(Action::Metadata {
        source,
        namespace,
        path: way,
        key: filled(key, &path.field("descriptor_key"))?,
        default: Some(default).filter(|text| !text.is_empty()).map(Arc::from),
        skip_if_absent,
    })
}

/// A namespace, and the way to a value in it.
pub(super) type Place = (Box<str>, Box<[Box<str>]>);

pub(super) fn metadata_key(
    message: Option<&MetadataKey>,
    path: &Path<'_>,
) -> Result<Place, Reject> {
    let message = message.ok_or_else(|| path.reject("is required"))?;
    let namespace = filled(&message.key, &path.field("key"))?;
    if message.path.is_empty() {
        return Err(path.field("path").reject("is empty"));
    }
    let segments = message.path.iter().enumerate().map(|(at, segment)| {
        let path = path.element("path", at);
        match &segment.segment {
            Some(Segment::Key(key)) => Ok((&*filled(key, &path.field("key"))?).into()),
            Some(Segment::Index(_)) => Err(path.field("index").reject("is not supported")),
            None => Err(path.reject("has no segment")),
        }
    });
    Ok(((&*namespace).into(), segments.collect::<Result<_, _>>()?))
}
