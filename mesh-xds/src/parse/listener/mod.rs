//! `Listener` to what a client target needs of it.

#[cfg(test)]
pub(in crate::parse) mod tests;

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::listener::v3::Listener as Message;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use mesh_core::filter::Side;
use mesh_core::route::Table;
use mesh_core::snapshot::HttpFilter;
use prost::Message as _;

use crate::name::{ResourceName, ResourceType};
use crate::parse::filter::{Registry, filters};
use crate::parse::value::{optional_duration, same_stream, unpack};
use crate::parse::{Path, Reject, route};

/// A listener for clients: the connection manager in its `api_listener` (gRFC A27).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listener {
    /// Where the routes are.
    pub routes: RouteSource,
    /// The filters in order, without the router.
    pub filters: Arc<[HttpFilter]>,
    /// `common_http_protocol_options.max_stream_duration`: for routes that say nothing (gRFC A31).
    pub max_stream_duration: Option<Duration>,
}

/// Where a listener's routes are.
#[derive(Clone, Debug)]
pub enum RouteSource {
    /// In a resource of their own.
    Rds(ResourceName),
    /// In the listener.
    Inline(Arc<Table>),
}

/// The listener in the resource `raw`.
///
/// # Errors
/// [`Reject`] as gRFC A27 and A39 say. A listener with an address and without `api_listener` is for
/// servers, and refused here.
pub fn parse(raw: &[u8], registry: &Registry) -> Result<Listener, Reject> {
    let path = Path::root();
    let message = Message::decode(raw).map_err(|e| path.reject(e))?;
    let required = || path.field("api_listener").reject("is required for a client target");
    let api = message.api_listener.as_ref().and_then(|a| a.api_listener.as_ref());
    let any = api.ok_or_else(required)?;
    let path = path.field("api_listener");
    let path = path.field("api_listener");
    let Some(manager) = unpack::<HttpConnectionManager>(any, &path)? else {
        return Err(path.reject(format_args!("{:?} is not an HttpConnectionManager", any.type_url)));
    };
    connection_manager(&manager, registry, &path)
}

fn connection_manager(
    message: &HttpConnectionManager,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Listener, Reject> {
    if message.xff_num_trusted_hops != 0 {
        return Err(path.field("xff_num_trusted_hops").reject("is not 0"));
    }
    if !message.original_ip_detection_extensions.is_empty() {
        return Err(path.field("original_ip_detection_extensions").reject("is not empty"));
    }
    let common = message.common_http_protocol_options.as_ref();
    let duration = path.field("common_http_protocol_options.max_stream_duration");
    let max_stream_duration =
        optional_duration(common.and_then(|c| c.max_stream_duration), &duration)?;
    Ok(Listener {
        routes: routes(message.route_specifier.as_ref(), registry, path)?,
        filters: filters(&message.http_filters, Side::Client, registry, path)?.into(),
        max_stream_duration,
    })
}

fn routes(
    specifier: Option<&RouteSpecifier>,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<RouteSource, Reject> {
    match specifier {
        Some(RouteSpecifier::Rds(rds)) => {
            let path = path.field("rds");
            same_stream(rds.config_source.as_ref(), &path.field("config_source"))?;
            let name =
                ResourceName::parse(ResourceType::RouteConfiguration, &rds.route_config_name);
            Ok(RouteSource::Rds(name.map_err(|why| path.field("route_config_name").reject(why))?))
        }
        Some(RouteSpecifier::RouteConfig(message)) => {
            let table = route::table(message, registry, &path.field("route_config"))?;
            Ok(RouteSource::Inline(Arc::new(table)))
        }
        Some(RouteSpecifier::ScopedRoutes(_)) => {
            Err(path.field("scoped_routes").reject("is not supported"))
        }
        None => Err(path.reject("has neither rds nor route_config")),
    }
}
