//! HTTP filters and what routes change about them (gRFC A39).

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

use envoy_types::pb::envoy::config::route::v3::FilterConfig;
use envoy_types::pb::envoy::extensions::filters::http::router::v3::Router;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter as Message;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType;
use envoy_types::pb::google::protobuf::Any;
use mesh_core::filter::{ConnectionFactory, Factory, Guard, Side, Tenancy};
use mesh_core::route::{Override, Overrides};
use mesh_core::snapshot::HttpFilter;
use rustc_hash::{FxHashMap, FxHashSet};

use super::authz::{Auditing, NetworkRbacFactory, RbacFactory};
#[cfg(feature = "tls")]
use super::ext_authz::ExtAuthzFactory;
use super::fault::FaultFactory;
#[cfg(feature = "tls")]
use super::jwt::JwtFactory;
use super::limit::{LocalRateLimitFactory, NetworkLocalRateLimitFactory, RateLimitFactory};
use super::overload::{AdaptiveConcurrencyFactory, AdmissionControlFactory};
use super::secret::SecretReader;
use super::value::{is_type, unpack};
use super::{Path, Reject, Workload, guard};

/// What resources may refer to: filters, by the type of their configuration (those that come with
/// the mesh, and others), certificate providers, by name, and secrets.
#[derive(Clone)]
pub struct Registry {
    providers: Providers,
    filters: FxHashMap<Box<str>, Arc<dyn Factory>>,
    overrides: FxHashMap<Box<str>, Arc<dyn Factory>>,
    connections: FxHashMap<Box<str>, Arc<dyn ConnectionFactory>>,
    guards: Vec<Arc<Guard>>,
    tenancy: Option<Arc<Tenancy>>,
    workload: Option<Workload>,
    cluster: NodeCluster,
    secrets: Option<Arc<dyn SecretReader>>,
}

/// The cluster of this node itself, once that is known (`node.cluster` of the bootstrap).
#[derive(Clone, Debug, Default)]
pub(super) struct NodeCluster(Arc<OnceLock<Arc<str>>>);

impl NodeCluster {
    /// Its name; empty if it has none.
    pub(super) fn name(&self) -> Arc<str> {
        self.0.get().cloned().unwrap_or_default()
    }
}

impl Registry {
    /// Knows, besides those that come with the mesh, the filters that `factories` make. Of two for
    /// one type the last counts.
    pub fn new(factories: impl IntoIterator<Item = Arc<dyn Factory>>) -> Self {
        Self::audited(Auditing::default(), factories)
    }

    /// The same, and whoever `auditing` names is told of what filters decide.
    pub fn audited(
        auditing: Auditing,
        factories: impl IntoIterator<Item = Arc<dyn Factory>>,
    ) -> Self {
        let mut registry = Self {
            providers: Providers::default(),
            filters: FxHashMap::default(),
            overrides: FxHashMap::default(),
            connections: FxHashMap::default(),
            guards: Vec::new(),
            tenancy: None,
            workload: None,
            cluster: NodeCluster::default(),
            secrets: None,
        };
        for factory in built_in(&auditing, &registry.cluster).into_iter().chain(factories) {
            let own = factory.type_url();
            let per_route = message_name(factory.override_type_url().unwrap_or(own)).into();
            registry.filters.insert(message_name(own).into(), factory.clone());
            registry.overrides.insert(per_route, factory);
        }
        registry.add_connection_filter(Arc::new(NetworkRbacFactory::new(auditing)));
        registry.add_connection_filter(Arc::new(NetworkLocalRateLimitFactory::default()));
        registry
    }

    /// Knows the certificate providers called `names`, and no others.
    #[must_use]
    pub fn certificate_providers(self, names: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self { providers: Providers::These(names.into_iter().collect()), ..self }
    }

    /// Puts `guard` among the filters of every server's listener, where no listener can leave it
    /// out and no route can switch it off.
    #[must_use]
    pub fn guarded(mut self, guard: Arc<Guard>) -> Self {
        self.guards.push(guard);
        self
    }

    /// Finds out whose requests are by `tenancy` at every server's listener, behind the filters that
    /// verify tokens and in front of local policies. No listener can leave it out and no route can
    /// switch it off. Default: requests are nobody's.
    #[must_use]
    pub fn tenants(self, tenancy: Tenancy) -> Self {
        Self { tenancy: Some(Arc::new(tenancy)), ..self }
    }

    /// Reads local policies for `workload`. Default: the one that the files themselves speak of.
    #[must_use]
    pub fn for_workload(self, workload: Workload) -> Self {
        Self { workload: Some(workload), ..self }
    }

    /// Says which cluster this node itself belongs to, before any resource is read. The first to say
    /// so counts. Default: none, which has an empty name.
    pub fn of_cluster(&self, name: &str) {
        let _ = self.cluster.0.set(name.into());
    }

    /// The cluster that this node itself belongs to.
    pub(super) fn cluster(&self) -> Arc<str> {
        self.cluster.name()
    }

    /// The workload that local policies are for, if it is known.
    #[must_use]
    pub fn workload(&self) -> Option<&Workload> {
        self.workload.as_ref()
    }

    /// Takes any certificate provider for known: to check resources where those of their mesh are
    /// not.
    #[must_use]
    pub fn any_certificate_provider(self) -> Self {
        Self { providers: Providers::Any, ..self }
    }

    /// Takes secrets, which `reader` reads: resources may name them. Default: they are refused.
    #[must_use]
    pub fn secrets(self, reader: Arc<dyn SecretReader>) -> Self {
        Self { secrets: Some(reader), ..self }
    }

    pub(crate) fn secret_reader(&self) -> Option<&Arc<dyn SecretReader>> {
        self.secrets.as_ref()
    }

    /// Whether resources may name secrets.
    pub(super) fn has_secrets(&self) -> bool {
        match &self.providers {
            Providers::Any => true,
            Providers::These(_) => self.secrets.is_some(),
        }
    }

    pub(super) fn has_certificate_provider(&self, name: &str) -> bool {
        match &self.providers {
            Providers::Any => true,
            Providers::These(names) => names.contains(name),
        }
    }

    /// Knows one more filter of connections. Of two for one type the last counts.
    pub fn add_connection_filter(&mut self, factory: Arc<dyn ConnectionFactory>) {
        self.connections.insert(message_name(factory.type_url()).into(), factory);
    }

    pub(super) fn connection_filter(&self, type_url: &str) -> Option<&Arc<dyn ConnectionFactory>> {
        self.connections.get(message_name(type_url))
    }

    fn filter(&self, type_url: &str) -> Option<&Arc<dyn Factory>> {
        self.filters.get(message_name(type_url))
    }

    fn per_route(&self, type_url: &str) -> Option<&Arc<dyn Factory>> {
        self.overrides.get(message_name(type_url))
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new([])
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.filters.keys()).finish()
    }
}

/// What comes with the mesh.
fn built_in(auditing: &Auditing, cluster: &NodeCluster) -> Vec<Arc<dyn Factory>> {
    vec![
        Arc::new(RbacFactory::new(auditing.clone())),
        Arc::new(FaultFactory::default()),
        Arc::new(LocalRateLimitFactory::new(cluster.clone())),
        Arc::new(RateLimitFactory::new(cluster.clone())),
        Arc::new(AdaptiveConcurrencyFactory),
        Arc::new(AdmissionControlFactory),
        // Without cryptography, whatever asks for tokens is refused.
        #[cfg(feature = "tls")]
        Arc::new(JwtFactory::default()),
        #[cfg(feature = "tls")]
        Arc::new(ExtAuthzFactory),
    ]
}

#[derive(Clone)]
enum Providers {
    Any,
    These(BTreeSet<Arc<str>>),
}

impl Default for Providers {
    fn default() -> Self {
        Self::These(BTreeSet::new())
    }
}

fn message_name(type_url: &str) -> &str {
    type_url.rsplit_once('/').map_or(type_url, |(_, name)| name)
}

/// The filters of a connection manager.
pub(super) struct Filters {
    /// Those that requests pass, in order, without the router.
    pub(super) used: Vec<HttpFilter>,
    /// Those that are optional and not known, for people.
    pub(super) ignored: Vec<Arc<str>>,
}

/// The filters of a connection manager at `path` for requests of `side`, without the router, which
/// must be the last.
pub(super) fn filters(
    messages: &[Message],
    side: Side,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Filters, Reject> {
    let Some((last, _)) = messages.split_last() else {
        return Err(path.field("http_filters").reject("is empty"));
    };
    let (mut used, mut ignored, mut names) = (Vec::new(), Vec::new(), FxHashSet::default());
    let known = |type_url: &str| registry.filter(type_url).filter(|factory| factory.is_for(side));
    for (at, message) in messages.iter().enumerate() {
        let path = path.element("http_filters", at);
        if message.name.is_empty() {
            return Err(path.field("name").reject("is empty"));
        }
        guard::refuse_name(&message.name, &path.field("name"))?;
        if !names.insert(&message.name) {
            return Err(path.field("name").reject(format_args!("{:?} stands twice", message.name)));
        }
        let any = match &message.config_type {
            Some(ConfigType::TypedConfig(any)) => Some(any),
            Some(ConfigType::ConfigDiscovery(_)) | None => None,
        };
        let is_router = any.is_some_and(|any| is_type::<Router>(&any.type_url));
        if is_router != std::ptr::eq(message, last) {
            let why = if is_router {
                "the router is not the last filter"
            } else {
                "no router ends the list"
            };
            return Err(path.reject(why));
        }
        if is_router {
            continue;
        }
        match filter(message, any, &known, &path)? {
            Some(filter) => used.push(filter),
            None => {
                let kind = any.map_or("without typed_config", |any| message_name(&any.type_url));
                ignored.push(format!("filter {:?} ({kind})", message.name).into());
            }
        }
    }
    if side == Side::Server {
        registry.guards.iter().for_each(|guard| guard::insert(guard, &mut used));
        // After the guards, and so in front of them.
        registry.tenancy.iter().for_each(|tenancy| guard::insert_tenancy(tenancy, &mut used));
    }
    Ok(Filters { used, ignored })
}

fn filter<'r>(
    message: &Message,
    any: Option<&Any>,
    known: &dyn Fn(&str) -> Option<&'r Arc<dyn Factory>>,
    path: &Path<'_>,
) -> Result<Option<HttpFilter>, Reject> {
    let path = path.field("typed_config");
    let known = any.and_then(|any| known(&any.type_url).map(|factory| (any, factory)));
    let Some((any, factory)) = known else {
        let kind = any.map_or("a filter without typed_config", |any| &any.type_url);
        return if message.is_optional {
            Ok(None)
        } else {
            Err(path.reject(format_args!("{kind} is not supported")))
        };
    };
    Ok(Some(HttpFilter {
        name: message.name.as_str().into(),
        factory: factory.clone(),
        settings: factory.parse(&any.value).map_err(|why| path.reject(why))?,
        disabled: message.disabled,
    }))
}

/// Adds what `typed_per_filter_config` at `path` says to `overrides`, in place of what is there.
pub(super) fn overrides(
    messages: &HashMap<String, Any>,
    registry: &Registry,
    into: &mut Overrides,
    path: &Path<'_>,
) -> Result<(), Reject> {
    // In order, so that the same resource is always refused for the same reason.
    let mut messages: Vec<_> = messages.iter().collect();
    messages.sort_unstable_by_key(|(name, _)| *name);
    for (name, any) in messages {
        let path = path.entry("typed_per_filter_config", name);
        guard::refuse_name(name, &path)?;
        if let Some(entry) = override_of(name, any, registry, &path)? {
            into.insert(entry);
        }
    }
    Ok(())
}

fn override_of(
    name: &str,
    any: &Any,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Option<Override>, Reject> {
    let Some(wrapper) = unpack::<FilterConfig>(any, path)? else {
        return settings(name, any, false, registry, path);
    };
    let mut found = match &wrapper.config {
        Some(any) => settings(name, any, wrapper.is_optional, registry, &path.field("config"))?,
        None => Some(Override::disabled(name)),
    };
    if let Some(found) = &mut found {
        found.disabled = wrapper.disabled;
    }
    Ok(found)
}

fn settings(
    name: &str,
    any: &Any,
    is_optional: bool,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Option<Override>, Reject> {
    match registry.per_route(&any.type_url) {
        Some(factory) => {
            let settings = factory.parse_override(&any.value).map_err(|why| path.reject(why))?;
            Ok(Some(Override::new(name, settings)))
        }
        None if is_optional => Ok(None),
        None => Err(path.reject(format_args!("{} is not supported", any.type_url))),
    }
}
