//! `RouteConfiguration` to a [`Table`].

mod action;
mod fields;
mod rule;
#[cfg(test)]
mod tests;

use std::sync::Arc;

#[cfg(feature = "tls")]
pub(super) use self::rule::route_match;
use envoy_types::pb::envoy::config::route::v3::virtual_host::TlsRequirementType;
use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost as Message};
use mesh_core::limit::Rule;
use mesh_core::route::{Builder, Error, FieldRules, Overrides, Table, VirtualHost};
use prost::Message as _;
use rustc_hash::FxHashMap;

use self::action::Defaults;
use self::fields::level;
use super::filter::{Registry, overrides};
use super::limit::{Place, rules};
use super::{Path, Reject};

/// The routes in the resource `raw`.
///
/// # Errors
/// [`Reject`] as gRFC A28, A31, A39, A44 and A63 say.
pub fn parse(raw: &[u8], registry: &Registry) -> Result<Table, Reject> {
    let path = Path::root();
    let message = RouteConfiguration::decode(raw).map_err(|e| path.reject(e))?;
    table(&message, registry, &path)
}

/// What the parse functions of a route configuration share.
struct Scope<'a> {
    registry: &'a Registry,
    builder: &'a mut Builder,
    /// The cluster specifier plugins by name; all of them optional and unknown.
    plugins: FxHashMap<&'a str, ()>,
    /// The longest body of a direct response.
    max_body: usize,
    /// What requests of the virtual host that is being read are counted as.
    host_limits: Arc<[Rule]>,
    /// The whole configuration, and where it is.
    whole: (&'a RouteConfiguration, &'a Path<'a>),
}

impl Scope<'_> {
    /// What the levels of a server's route change about header fields, in Envoy's order.
    fn fields(
        &self,
        host: (fields::Level<'_>, &Path<'_>),
        route: (fields::Level<'_>, &Path<'_>),
    ) -> Result<FieldRules, Reject> {
        let (whole, path) = self.whole;
        if !whole.internal_only_headers.is_empty() {
            // Which requests are internal is not known here.
            return Err(path.field("internal_only_headers").reject("is not supported by servers"));
        }
        let mut levels = [route, host, (level!(whole), path)];
        if whole.most_specific_header_mutations_wins {
            levels.reverse();
        }
        let mut rules = FieldRules::default();
        for (level, path) in levels {
            fields::extend(&mut rules, level, path)?;
        }
        Ok(rules)
    }
}

/// The routes in `message`, which is at `path`.
pub(super) fn table(
    message: &RouteConfiguration,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Table, Reject> {
    /// Envoy's default for `max_direct_response_body_size_bytes`.
    const BODY: usize = 4096;
    let mut builder = Table::builder();
    if message.ignore_port_in_host_matching {
        builder.ignore_port();
    }
    if message.ignore_path_parameters_in_path_matching {
        // Rules would see other paths than those that were meant.
        let path = path.field("ignore_path_parameters_in_path_matching");
        return Err(path.reject("is not supported"));
    }
    let mut base = Overrides::default();
    overrides(&message.typed_per_filter_config, registry, &mut base, path)?;
    let max_body = message.max_direct_response_body_size_bytes.map(|v| v.value);
    let max_body = max_body.map_or(BODY, |max| usize::try_from(max).unwrap_or(usize::MAX));
    let plugins = plugins(message, path)?;
    let mut hosts = Vec::with_capacity(message.virtual_hosts.len());
    let (whole, host_limits) = ((message, path), Arc::default());
    let mut scope =
        Scope { registry, builder: &mut builder, plugins, max_body, host_limits, whole };
    for (at, host) in message.virtual_hosts.iter().enumerate() {
        hosts.push(virtual_host(host, &mut scope, &base, &path.element("virtual_hosts", at))?);
    }
    for host in hosts {
        builder.virtual_host(host);
    }
    builder.build().map_err(|error| locate(&error, message, path))
}

/// Plugins choose clusters by code of their own. We have none, so they must be optional.
fn plugins<'a>(
    message: &'a RouteConfiguration,
    path: &Path<'_>,
) -> Result<FxHashMap<&'a str, ()>, Reject> {
    let mut plugins = FxHashMap::default();
    for (at, plugin) in message.cluster_specifier_plugins.iter().enumerate() {
        let path = path.element("cluster_specifier_plugins", at);
        if !plugin.is_optional {
            return Err(path.field("extension").reject("is not supported"));
        }
        let name = plugin.extension.as_ref().map_or("", |e| &e.name);
        plugins.insert(name, ());
    }
    Ok(plugins)
}

fn virtual_host(
    message: &Message,
    scope: &mut Scope<'_>,
    base: &Overrides,
    path: &Path<'_>,
) -> Result<VirtualHost, Reject> {
    if message.matcher.is_some() {
        return Err(path.field("matcher").reject("is not supported"));
    }
    if message.require_tls != TlsRequirementType::None as i32 {
        return Err(path.field("require_tls").reject("only NONE is supported"));
    }
    let defaults = Defaults::new(message, path)?;
    let mut base = base.clone();
    overrides(&message.typed_per_filter_config, scope.registry, &mut base, path)?;
    let limits = rules(&message.rate_limits, Place::Route, &scope.registry.cluster(), path)?;
    scope.host_limits = limits.into();
    let mut host = VirtualHost::new(&message.name, &[]);
    host.domains.clone_from(&message.domains);
    for (at, route) in message.routes.iter().enumerate() {
        let within =
            rule::Within { base: &base, defaults: &defaults, fields: (level!(message), path) };
        let route = rule::route(route, scope, within, &path.element("routes", at))?;
        host.routes.extend(route);
    }
    Ok(host)
}

/// Says where in `message` the table's error is.
fn locate(error: &Error, message: &RouteConfiguration, path: &Path<'_>) -> Reject {
    let find = |name: &str, domain: Option<&str>, is_last: bool| {
        let is_it = |host: &&Message| {
            let has = |d: &str| host.domains.iter().any(|own| own.eq_ignore_ascii_case(d));
            host.name == name && domain.is_none_or(has)
        };
        let mut found = message.virtual_hosts.iter().enumerate().filter(|(_, host)| is_it(host));
        let found = if is_last { found.next_back() } else { found.next() };
        found.map_or(0, |(at, _)| at)
    };
    let (host, field) = match error {
        Error::NoDomains { virtual_host } => {
            let empty = message.virtual_hosts.iter();
            let at = empty.clone().position(|h| h.domains.is_empty() && *h.name == **virtual_host);
            (at.unwrap_or(0), "domains")
        }
        Error::Domain { virtual_host, domain } => {
            (find(virtual_host, Some(domain), false), "domains")
        }
        Error::DuplicateDomain { virtual_host, domain } => {
            (find(virtual_host, Some(domain), true), "domains")
        }
        Error::Patterns { virtual_host, .. } | Error::UnknownCluster { virtual_host, .. } => {
            (find(virtual_host, None, false), "routes")
        }
        Error::TooMany | Error::NoWeight | Error::TooMuchWeight | _ => return path.reject(error),
    };
    path.element("virtual_hosts", host).field(field).reject(error)
}
