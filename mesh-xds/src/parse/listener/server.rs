//! A listener of a server (gRFC A36).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::Address as AddressMessage;
use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::{PortSpecifier, Protocol};
use envoy_types::pb::envoy::config::listener::v3::Listener as Message;
use envoy_types::pb::envoy::config::listener::v3::listener_filter::ConfigType;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use mesh_core::cluster::Address;
use mesh_core::listener::{ChainMatch, Selector, SelectorError};
use mesh_core::snapshot::{HttpFilter, Inspection};

use super::chain_match::chain_match;
use super::filter_chain::{ServerChain, filter_chain};
use crate::parse::filter::Registry;
use crate::parse::value::is_type;
use crate::parse::{Path, Reject};

/// A listener of a server: where it listens, and what becomes of connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerListener {
    /// Where it listens. A server elsewhere does not serve by it.
    pub address: Address,
    /// What is looked at of a connection before a chain is chosen.
    pub inspection: Inspection,
    /// Chooses among `chains`.
    pub selector: Arc<Selector>,
    /// The chains that can match.
    pub chains: Box<[ServerChain]>,
    /// The chain of all other connections.
    pub default: Option<ServerChain>,
}

impl ServerListener {
    /// The chains, with the default one as the last.
    pub fn all_chains(&self) -> impl Iterator<Item = &ServerChain> {
        self.chains.iter().chain(&self.default)
    }

    /// The clusters that its filters send side calls to; one may stand twice.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = Arc<str>> {
        self.all_chains().flat_map(|chain| HttpFilter::clusters(&chain.filters))
    }

    /// The secrets that its chains are secured with; one may stand twice.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &Arc<str>> {
        self.all_chains().filter_map(|chain| chain.security.as_ref()).flat_map(|tls| tls.secrets())
    }
}

pub(super) fn listener(
    message: &Message,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<ServerListener, Reject> {
    let address = address(message.address.as_ref(), &path.field("address"))?;
    let mut inspection = inspection(message, path)?;
    if message.use_original_dst.is_some_and(|original| original.value) {
        return Err(path.field("use_original_dst").reject("is not supported"));
    }
    if message.filter_chain_matcher.is_some() {
        return Err(path.field("filter_chain_matcher").reject("is not supported"));
    }
    let (mut chains, mut matches, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for (at, chain) in message.filter_chains.iter().enumerate() {
        let path = path.element("filter_chains", at);
        let matched = path.field("filter_chain_match");
        let matched = chain_match(chain.filter_chain_match.as_ref(), inspection, &matched)?;
        let chain = filter_chain(chain, registry, &path)?;
        if let Some(matched) = matched {
            chains.push(chain);
            matches.push(matched);
            places.push(at);
        }
    }
    let default = message.default_filter_chain.as_ref();
    let default = default
        .map(|chain| filter_chain(chain, registry, &path.field("default_filter_chain")))
        .transpose()?;
    if chains.is_empty() && default.is_none() {
        return Err(path.field("filter_chains").reject("has no chain that can match"));
    }
    if matches.iter().any(ChainMatch::reads_hello) {
        inspection = Inspection::ClientHello;
    }
    let selector = Selector::new(&matches).map_err(|why| locate(&why, &places, path))?;
    let chains = chains.into();
    Ok(ServerListener { address, inspection, selector: Arc::new(selector), chains, default })
}

fn locate(why: &SelectorError, places: &[usize], path: &Path<'_>) -> Reject {
    match why {
        SelectorError::Overlap { first, second } => {
            let place = |of: &usize| places.get(*of).copied().unwrap_or(*of);
            let (first, second) = (place(first), place(second));
            let why = SelectorError::Overlap { first, second };
            path.element("filter_chains", second).field("filter_chain_match").reject(why)
        }
        SelectorError::TooMany | _ => path.field("filter_chains").reject(why),
    }
}

/// gRPC refuses all listener filters (gRFC A36). `tls_inspector` is what PERMISSIVE is made of, and
/// is done here; all others change what a connection's addresses are, or look into it.
fn inspection(message: &Message, path: &Path<'_>) -> Result<Inspection, Reject> {
    let mut inspection = Inspection::Addresses;
    for (at, filter) in message.listener_filters.iter().enumerate() {
        let path = path.element("listener_filters", at);
        match &filter.config_type {
            Some(ConfigType::TypedConfig(any)) if is_type::<TlsInspector>(&any.type_url) => {
                if filter.filter_disabled.is_some() {
                    return Err(path.field("filter_disabled").reject("is not supported"));
                }
                inspection = Inspection::FirstByte;
            }
            Some(ConfigType::TypedConfig(any)) => {
                let path = path.field("typed_config");
                return Err(path.reject(format_args!("{} is not supported", any.type_url)));
            }
            Some(ConfigType::ConfigDiscovery(_)) | None => {
                return Err(path.reject("has no typed_config"));
            }
        }
    }
    Ok(inspection)
}

fn address(message: Option<&AddressMessage>, path: &Path<'_>) -> Result<Address, Reject> {
    let socket = match message.and_then(|message| message.address.as_ref()) {
        Some(AddressKind::SocketAddress(socket)) => socket,
        Some(AddressKind::Pipe(pipe)) if !pipe.path.is_empty() => {
            return Ok(Address::Unix(pipe.path.as_str().into()));
        }
        Some(AddressKind::Pipe(_)) => return Err(path.field("pipe.path").reject("is empty")),
        Some(AddressKind::EnvoyInternalAddress(_)) => {
            return Err(path.field("envoy_internal_address").reject("is not supported"));
        }
        None => return Err(path.reject("is required")),
    };
    let path = path.field("socket_address");
    if socket.protocol != i32::from(Protocol::Tcp) {
        return Err(path.field("protocol").reject("is not TCP"));
    }
    let ip: IpAddr = socket.address.parse().map_err(|_| {
        path.field("address").reject(format_args!("{:?} is no IP address", socket.address))
    })?;
    let port = match socket.port_specifier {
        Some(PortSpecifier::PortValue(port)) => u16::try_from(port).ok(),
        Some(PortSpecifier::NamedPort(_)) | None => None,
    };
    let port = port.ok_or_else(|| path.field("port_value").reject("is not in 0 to 65535"))?;
    Ok(Address::Socket(SocketAddr::new(ip, port)))
}
