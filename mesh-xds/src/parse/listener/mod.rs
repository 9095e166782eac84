//! `Listener` to what a client target or a server needs of it.
//!
//! A listener with an `api_listener` is for clients (gRFC A27), any other for servers (gRFC A36).

mod chain_match;
mod filter_chain;
mod manager;
mod server;
#[cfg(test)]
pub(in crate::parse) mod tests;

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::listener::v3::Listener as Message;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
use mesh_core::filter::Side;
use mesh_core::route::Table;
use mesh_core::snapshot::HttpFilter;
use prost::Message as _;

pub use self::filter_chain::ServerChain;
pub use self::server::ServerListener;
use crate::name::ResourceName;
use crate::parse::filter::Registry;
use crate::parse::value::unpack;
use crate::parse::{Path, Reject};

/// A listener, for one of the two sides.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Listener {
    /// For clients: `api_listener`.
    Client(Arc<ClientListener>),
    /// For servers: an address and filter chains.
    Server(Arc<ServerListener>),
}

/// A listener for clients: the connection manager in its `api_listener` (gRFC A27).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientListener {
    /// Where the routes are.
    pub routes: RouteSource,
    /// The filters in order, without the router.
    pub filters: Arc<[HttpFilter]>,
    /// Filters that are optional and not known, for people: requests do not pass them.
    pub ignored: Arc<[Arc<str>]>,
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

impl Listener {
    /// The route configurations that it names, each once.
    #[must_use]
    pub fn route_names(&self) -> Vec<ResourceName> {
        let sources: Vec<&RouteSource> = match self {
            Self::Client(listener) => vec![&listener.routes],
            Self::Server(listener) => listener.all_chains().map(|chain| &chain.routes).collect(),
        };
        let mut names = Vec::new();
        for source in sources {
            match source {
                RouteSource::Rds(name) if !names.contains(name) => names.push(name.clone()),
                RouteSource::Rds(_) | RouteSource::Inline(_) => {}
            }
        }
        names
    }
}

impl Listener {
    /// What it names and nobody here knows, each once, for people.
    #[must_use]
    pub fn ignored(&self) -> Vec<Arc<str>> {
        let mut all: Vec<Arc<str>> = match self {
            Self::Client(listener) => listener.ignored.to_vec(),
            Self::Server(listener) => {
                listener.all_chains().flat_map(|chain| chain.ignored.iter().cloned()).collect()
            }
        };
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The listener in the resource `raw`.
///
/// # Errors
/// [`Reject`] as gRFC A27, A36, A39 and A41 say.
pub fn parse(raw: &[u8], registry: &Registry) -> Result<Listener, Reject> {
    let path = Path::root();
    let message = Message::decode(raw).map_err(|e| path.reject(e))?;
    if message.api_listener.is_none() {
        let server = server::listener(&message, registry, &path)?;
        return Ok(Listener::Server(Arc::new(server)));
    }
    let path = path.field("api_listener");
    let any = message.api_listener.as_ref().and_then(|api| api.api_listener.as_ref());
    let any = any.ok_or_else(|| path.reject("is empty"))?;
    let path = path.field("api_listener");
    let Some(manager) = unpack::<HttpConnectionManager>(any, &path)? else {
        return Err(path.reject(format_args!("{:?} is not an HttpConnectionManager", any.type_url)));
    };
    let manager = manager::manager(&manager, Side::Client, registry, &path)?;
    Ok(Listener::Client(Arc::new(ClientListener {
        routes: manager.routes,
        filters: manager.filters,
        ignored: manager.ignored,
        max_stream_duration: manager.max_stream_duration,
    })))
}
