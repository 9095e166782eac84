//! A service: its listener, its routes, and a cluster per version.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::config_source::ConfigSourceSpecifier;
use envoy_types::pb::envoy::config::core::v3::{AggregatedConfigSource, ApiVersion, ConfigSource};
use envoy_types::pb::envoy::config::listener::v3::{ApiListener, Listener};
use envoy_types::pb::envoy::config::route::v3 as pb;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::google::protobuf::{self, Any};
use prost::{Message, Name};

use super::cursor::Cursor;
use super::retry::Retry;
use super::settings::Settings;
use super::{action, cluster, matching, one};
use crate::file::error::{FileError, Origin, Why};
use crate::file::resources::FileResource;

/// What the parts of a service must know of the whole.
pub(super) struct Scope<'a> {
    pub(super) name: &'a str,
    pub(super) versions: Vec<&'a str>,
    pub(super) settings: Settings,
    /// Whether requests on any of its routes are sent again.
    pub(super) is_retried: bool,
}

impl Scope<'_> {
    /// The cluster of a version.
    pub(super) fn cluster(&self, version: &str) -> String {
        format!("{}/{version}", self.name)
    }
}

const KEYS: &[&str] = &[
    "protocol", "timeout", "balance", "retry", "breaker", "identity", "peers", "routes", "versions",
];

/// The resources of the service called `name`, or all that is wrong with it.
pub(super) fn compile(
    name: &str,
    service: &Cursor<'_>,
    defaults: &Settings,
) -> Result<Vec<FileResource>, Vec<FileError>> {
    if !is_name(name, ".-_:") {
        let why = "a service's name has letters, digits, `.`, `-`, `_` and `:`";
        return Err(vec![service.fail_key(Why::Invalid(why.to_owned()))]);
    }
    let fields = service.fields(KEYS).map_err(one)?;
    let settings = defaults.clone().with(&fields).map_err(one)?;
    let versions = fields.get("versions").map(|it| it.entries()).transpose().map_err(one)?;
    let versions = versions.unwrap_or_default();
    let names = versions.iter().map(|(name, _)| *name).collect();
    let retries = |route: &Cursor<'_>| {
        route.entries().is_ok_and(|keys| keys.iter().any(|(key, _)| *key == "retry"))
    };
    let routes = fields.get("routes");
    let items = routes.as_ref().and_then(|routes| routes.items().ok()).unwrap_or_default();
    let is_retried = settings.retry.is_some() || items.iter().any(retries);
    let scope = Scope { name, versions: names, settings, is_retried };

    let mut errors = Vec::new();
    let mut clusters = Vec::new();
    for (version, cursor) in &versions {
        match cluster::compile(version, cursor, &scope) {
            Ok(cluster) => {
                clusters.push(resource(scope.cluster(version), cursor.origin(), &cluster))
            }
            Err(error) => errors.push(error),
        }
    }
    let routes = match routes {
        Some(routes) => compile_routes(&routes, &scope, &mut errors),
        None => match &*scope.versions {
            [version] => vec![action::everything_to(&scope, version)],
            [] => {
                errors.push(service.fail_key(Why::MissingName("versions")));
                Vec::new()
            }
            _ => {
                let why = "with several versions, `routes` must say who gets what".to_owned();
                errors.push(service.fail_key(Why::Invalid(why)));
                Vec::new()
            }
        },
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut resources = vec![
        resource(name.to_owned(), service.origin(), &listener(name)),
        resource(name.to_owned(), service.origin(), &route_configuration(name, routes)),
    ];
    resources.extend(clusters);
    Ok(resources)
}

fn compile_routes(
    routes: &Cursor<'_>,
    scope: &Scope<'_>,
    errors: &mut Vec<FileError>,
) -> Vec<pb::Route> {
    let items = routes.items().unwrap_or_else(|error| {
        errors.push(error);
        Vec::new()
    });
    let mut compiled = Vec::new();
    for item in items {
        match route(&item, scope) {
            Ok(route) => compiled.push(route),
            Err(error) => errors.push(error),
        }
    }
    compiled
}

fn route(cursor: &Cursor<'_>, scope: &Scope<'_>) -> Result<pb::Route, FileError> {
    let fields = cursor.fields(&["match", "to", "timeout", "retry"])?;
    let matcher = matching::compile(fields.get("match").as_ref())?;
    let timeout = fields.get("timeout").map(|timeout| timeout.duration()).transpose()?;
    let timeout = timeout.or(scope.settings.timeout);
    let retry = fields.get("retry").map(|retry| Retry::read(&retry)).transpose()?;
    let retry = retry.as_ref().or(scope.settings.retry.as_ref());
    let action = action::compile(&fields.required("to")?, scope, timeout)?;
    Ok(action::route(matcher, action, retry))
}

fn listener(name: &str) -> Listener {
    let ads = ConfigSource {
        config_source_specifier: Some(ConfigSourceSpecifier::Ads(AggregatedConfigSource {})),
        resource_api_version: ApiVersion::V3.into(),
        ..Default::default()
    };
    let manager = manager(hcm::http_connection_manager::RouteSpecifier::Rds(hcm::Rds {
        config_source: Some(ads),
        route_config_name: name.to_owned(),
    }));
    Listener {
        name: name.to_owned(),
        api_listener: Some(ApiListener { api_listener: Some(any(&manager)) }),
        ..Default::default()
    }
}

/// A connection manager without filters.
pub(super) fn manager(
    routes: hcm::http_connection_manager::RouteSpecifier,
) -> hcm::HttpConnectionManager {
    let router = hcm::HttpFilter {
        name: "router".to_owned(),
        config_type: Some(hcm::http_filter::ConfigType::TypedConfig(any(&Router::default()))),
        ..Default::default()
    };
    hcm::HttpConnectionManager {
        route_specifier: Some(routes),
        http_filters: vec![router],
        ..Default::default()
    }
}

pub(super) fn route_configuration(name: &str, routes: Vec<pb::Route>) -> pb::RouteConfiguration {
    let host = pb::VirtualHost {
        name: name.to_owned(),
        domains: vec!["*".to_owned()],
        routes,
        ..Default::default()
    };
    pb::RouteConfiguration {
        name: name.to_owned(),
        virtual_hosts: vec![host],
        ..Default::default()
    }
}

pub(in crate::file) fn resource<M: Message + Name>(
    name: String,
    origin: Origin,
    message: &M,
) -> FileResource {
    let value = message.encode_to_vec().into();
    FileResource { type_url: M::type_url(), name, value, origin }
}

pub(in crate::file) fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// At most a year, by the reader.
pub(super) fn proto_duration(duration: Duration) -> protobuf::Duration {
    protobuf::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

/// Whether `name` is made of letters, digits and `others`.
pub(super) fn is_name(name: &str, others: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}
