//! `JwtProvider`.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::core::v3::http_uri::HttpUpstreamType;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::jwt_provider::JwksSourceSpecifier;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::{
    JwtClaimToHeader, JwtProvider, RemoteJwks,
};
use http::{HeaderName, Uri};
use mesh_core::jwt::{Expectations, Locations};

use crate::jwt::{ClaimHeader, KeySource, Keys, Provider, Remote, RemoteKeys};
use crate::name::{ResourceName, ResourceType};
use crate::parse::field_name::writable;
use crate::parse::value::{optional_duration, positive_duration};
use crate::parse::{Path, Reject, matcher};

/// Envoy's default for `cache_duration`.
const CACHE: Duration = Duration::from_secs(600);

/// Envoy's default for `failed_refetch_duration`.
const PAUSE: Duration = Duration::from_secs(1);

/// Envoy's default for `clock_skew_seconds`.
const SKEW: u32 = 60;

/// The provider in `message`, whose keys `fetch` keeps if they are fetched.
pub(super) fn provider(
    message: &JwtProvider,
    fetch: &dyn Fn(Remote) -> Arc<RemoteKeys>,
    path: &Path<'_>,
) -> Result<Provider, Reject> {
    if message.clear_route_cache {
        // The route is chosen before the filters run, and with it what they allow.
        return Err(path.field("clear_route_cache").reject("is not supported"));
    }
    let payload_header = optional(&message.forward_payload_header)
        .map(|name| writable(name, &path.field("forward_payload_header")))
        .transpose()?;
    let claim_headers = message.claim_to_headers.iter().enumerate();
    let claim_headers =
        claim_headers.map(|(at, claim)| claim_header(claim, &path.element("claim_to_headers", at)));
    let lists = message.normalize_payload_in_metadata.as_ref();
    let lists = lists.map(|normalize| boxed(&normalize.space_delimited_claims));
    Ok(Provider {
        locations: locations(message, path)?,
        expectations: expectations(message, path)?,
        keys: keys(message, fetch, path)?,
        forward: message.forward,
        payload_header: payload_header.map(|name| (name, message.pad_forward_payload_header)),
        claim_headers: claim_headers.collect::<Result<_, _>>()?,
        payload_as: optional(&message.payload_in_metadata).map(Into::into),
        header_as: optional(&message.header_in_metadata).map(Into::into),
        failure_as: optional(&message.failed_status_in_metadata).map(Into::into),
        lists: lists.unwrap_or_default(),
    })
}

fn optional(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn boxed(all: &[String]) -> Vec<Box<str>> {
    all.iter().map(|text| text.as_str().into()).collect()
}

fn locations(message: &JwtProvider, path: &Path<'_>) -> Result<Locations, Reject> {
    let (headers, params, cookies) =
        (&message.from_headers, &message.from_params, &message.from_cookies);
    if headers.is_empty() && params.is_empty() && cookies.is_empty() {
        return Ok(Locations::default());
    }
    let headers = headers.iter().enumerate().map(|(at, header)| {
        let name = HeaderName::try_from(&header.name).map_err(|_| {
            path.element("from_headers", at).field("name").reject("is no header field's name")
        })?;
        Ok((name, header.value_prefix.as_str().into()))
    });
    let headers = headers.collect::<Result<_, Reject>>()?;
    Ok(Locations { headers, params: boxed(params), cookies: boxed(cookies) })
}

fn expectations(message: &JwtProvider, path: &Path<'_>) -> Result<Expectations, Reject> {
    let subjects = message.subjects.as_ref();
    let subjects = subjects.map(|it| matcher::string(it, &path.field("subjects"))).transpose()?;
    let lifetime = positive_duration(message.max_lifetime, &path.field("max_lifetime"))?;
    Ok(Expectations {
        issuer: optional(&message.issuer).map(Into::into),
        audiences: boxed(&message.audiences),
        subjects,
        require_expiration: message.require_expiration,
        max_lifetime: lifetime.map(|it| it.as_secs()),
        clock_skew: if message.clock_skew_seconds == 0 { SKEW } else { message.clock_skew_seconds },
    })
}

fn claim_header(message: &JwtClaimToHeader, path: &Path<'_>) -> Result<ClaimHeader, Reject> {
    let header = writable(&message.header_name, &path.field("header_name"))?;
    let segments = message.claim_path.iter().map(|segment| segment.key.as_str());
    let found: Vec<Box<str>> = match message.claim_path.is_empty() {
        true => message.claim_name.split('.').map(Into::into).collect(),
        false => segments.map(Into::into).collect(),
    };
    if found.iter().any(|key| key.is_empty()) {
        return Err(path.field("claim_name").reject("has an empty part"));
    }
    Ok(ClaimHeader { header, path: found })
}

fn keys(
    message: &JwtProvider,
    fetch: &dyn Fn(Remote) -> Arc<RemoteKeys>,
    path: &Path<'_>,
) -> Result<KeySource, Reject> {
    match &message.jwks_source_specifier {
        Some(JwksSourceSpecifier::LocalJwks(source)) => {
            local(source, &path.field("local_jwks")).map(KeySource::Local)
        }
        Some(JwksSourceSpecifier::RemoteJwks(source)) => {
            let remote = remote(source, &path.field("remote_jwks"))?;
            Ok(KeySource::Remote(fetch(remote)))
        }
        None => Err(path.reject("has neither local_jwks nor remote_jwks")),
    }
}

fn local(source: &DataSource, path: &Path<'_>) -> Result<Keys, Reject> {
    if source.watched_directory.is_some() {
        return Err(path.field("watched_directory").reject("is not supported"));
    }
    match &source.specifier {
        Some(Specifier::InlineString(text)) => {
            Keys::parse(text.as_bytes()).map_err(|why| path.field("inline_string").reject(why))
        }
        Some(Specifier::InlineBytes(bytes)) => {
            Keys::parse(bytes).map_err(|why| path.field("inline_bytes").reject(why))
        }
        Some(Specifier::Filename(name)) => {
            Keys::read(name).map_err(|why| path.field("filename").reject(why))
        }
        Some(Specifier::EnvironmentVariable(_)) => {
            Err(path.field("environment_variable").reject("is not supported"))
        }
        None => Err(path.reject("is empty")),
    }
}

fn remote(source: &RemoteJwks, path: &Path<'_>) -> Result<Remote, Reject> {
    let place = path.field("http_uri");
    let from = source.http_uri.as_ref().ok_or_else(|| place.reject("is required"))?;
    let Some(HttpUpstreamType::Cluster(cluster)) = &from.http_upstream_type else {
        return Err(place.field("cluster").reject("is required"));
    };
    ResourceName::parse(ResourceType::Cluster, cluster)
        .map_err(|why| place.field("cluster").reject(why))?;
    let uri: Option<Uri> = from.uri.parse().ok();
    let parts = uri.and_then(|uri| {
        let path = uri.path_and_query().map_or("/", |it| it.as_str()).into();
        Some((uri.authority()?.as_str().into(), path))
    });
    let (authority, target) =
        parts.ok_or_else(|| place.field("uri").reject("is no absolute URI"))?;
    let timeout = positive_duration(from.timeout, &place.field("timeout"))?;
    let cache = positive_duration(source.cache_duration, &path.field("cache_duration"))?;
    let pause = source.async_fetch.as_ref().and_then(|it| it.failed_refetch_duration);
    let pause = optional_duration(pause, &path.field("async_fetch.failed_refetch_duration"))?;
    Ok(Remote {
        cluster: cluster.as_str().into(),
        authority,
        path: target,
        timeout: timeout.ok_or_else(|| place.field("timeout").reject("is required"))?,
        cache: cache.unwrap_or(CACHE),
        pause: pause.unwrap_or(PAUSE),
    })
}
