//! `FilterChain`: the filters of a server's connections.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain as Message};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use envoy_types::pb::google::protobuf::Any;
use mesh_core::filter::{ConnectionFilter, Side};
use mesh_core::identity::{Forwarded, ServerTls};
use mesh_core::request::Paths;
use mesh_core::snapshot::{Connections, HttpFilter};
use rustc_hash::FxHashSet;

use super::{RouteSource, manager};
use crate::parse::filter::Registry;
use crate::parse::value::unpack;
use crate::parse::{Path, Reject, tls};

/// A filter chain of a server's listener.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerChain {
    /// Its name, for people; may be empty.
    pub name: Arc<str>,
    /// How connections are secured; `None` is plain text.
    pub security: Option<Arc<ServerTls>>,
    /// What requests say of who has connected.
    pub forwarded: Forwarded,
    /// Filters of connections, in order.
    pub connection_filters: Arc<[Arc<dyn ConnectionFilter>]>,
    /// Bounds of connections.
    pub connections: Connections,
    /// Where the routes are.
    pub routes: RouteSource,
    /// The filters of requests in order, without the router.
    pub filters: Arc<[HttpFilter]>,
    /// Filters that are optional and not known, for people: requests do not pass them.
    pub ignored: Arc<[Arc<str>]>,
    /// `common_http_protocol_options.max_stream_duration`.
    pub max_stream_duration: Option<Duration>,
    /// How paths are rewritten.
    pub paths: Paths,
}

pub(super) fn filter_chain(
    message: &Message,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<ServerChain, Reject> {
    let security = security(message, registry, path)?;
    refuse_proxy_protocol(message, path)?;
    let Some((last, before)) = message.filters.split_last() else {
        return Err(path.field("filters").reject("has no HttpConnectionManager"));
    };
    let mut names = FxHashSet::default();
    for (at, filter) in message.filters.iter().enumerate() {
        let path = path.element("filters", at);
        if filter.name.is_empty() {
            return Err(path.field("name").reject("is empty"));
        }
        if !names.insert(&filter.name) {
            return Err(path.field("name").reject(format_args!("{:?} stands twice", filter.name)));
        }
    }
    let connection_filters = before
        .iter()
        .enumerate()
        .map(|(at, filter)| connection_filter(filter, registry, &path.element("filters", at)))
        .collect::<Result<_, _>>()?;
    let path = path.element("filters", before.len());
    let path = path.field("typed_config");
    let any = config(last, &path)?;
    let Some(message_of_last) = unpack::<HttpConnectionManager>(any, &path)? else {
        let why = format_args!("{:?} is not an HttpConnectionManager", any.type_url);
        return Err(path.reject(why));
    };
    let manager = manager::manager(&message_of_last, Side::Server, registry, &path)?;
    Ok(ServerChain {
        name: message.name.as_str().into(),
        security,
        forwarded: manager::forwarded(&message_of_last, &path)?,
        connection_filters,
        connections: manager::connections(&message_of_last, &path)?,
        routes: manager.routes,
        filters: manager.filters,
        ignored: manager.ignored,
        max_stream_duration: manager.max_stream_duration,
        paths: manager::paths(&message_of_last, &path)?,
    })
}

/// How connections are secured, in one object for as long as the listener stays.
fn security(
    message: &Message,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Option<Arc<ServerTls>>, Reject> {
    let Some(socket) = &message.transport_socket else { return Ok(None) };
    let security = tls::downstream(socket, registry, &path.field("transport_socket"))?;
    Ok(security.map(Arc::new))
}

/// It would change what the addresses of a connection are.
#[expect(deprecated, reason = "control planes may still send it")]
fn refuse_proxy_protocol(message: &Message, path: &Path<'_>) -> Result<(), Reject> {
    if message.use_proxy_proto.is_some_and(|proxy| proxy.value) {
        return Err(path.field("use_proxy_proto").reject("is not supported"));
    }
    Ok(())
}

fn connection_filter(
    filter: &Filter,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Arc<dyn ConnectionFilter>, Reject> {
    let path = path.field("typed_config");
    let any = config(filter, &path)?;
    match registry.connection_filter(&any.type_url) {
        Some(factory) => factory.build(&any.value).map_err(|why| path.reject(why)),
        // Also a connection manager that is not the last one.
        None => Err(path.reject(format_args!("{} is not supported here", any.type_url))),
    }
}

fn config<'a>(filter: &'a Filter, path: &Path<'_>) -> Result<&'a Any, Reject> {
    match &filter.config_type {
        Some(ConfigType::TypedConfig(any)) => Ok(any),
        Some(ConfigType::ConfigDiscovery(_)) => {
            Err(path.reject("config_discovery is not supported"))
        }
        None => Err(path.reject("is required")),
    }
}
