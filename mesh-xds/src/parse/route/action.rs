//! What happens to the requests of a route.

use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::RoutingPriority as PbPriority;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier as DataSpecifier;
use envoy_types::pb::envoy::config::route::v3 as pb;
use envoy_types::pb::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use envoy_types::pb::envoy::config::route::v3::route::Action as Specifier;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_action::hash_policy::PolicySpecifier;
use http::{HeaderName, StatusCode};
use mesh_core::request::RoutingPriority;
use mesh_core::retry::Counted;
use mesh_core::route::{
    Action, ClusterChoice, ClusterIndex, Forward, PathRedirect, Redirect, RedirectCode, Weighted,
    WeightedCluster,
};

use super::Scope;
use crate::name::{ResourceName, ResourceType};
use crate::parse::filter::overrides;
use crate::parse::{Path, Reject, matcher, retry};

/// What a virtual host says for those of its routes that say nothing themselves.
pub(super) struct Defaults {
    retry: Option<Arc<mesh_core::retry::Policy>>,
    hedge: Option<mesh_core::hedge::Policy>,
    counted: Counted,
    counted_in_response: Counted,
}

impl Defaults {
    /// The defaults in `message`.
    pub(super) fn new(message: &pb::VirtualHost, path: &Path<'_>) -> Result<Self, Reject> {
        Ok(Self {
            retry: retry::policy(message.retry_policy.as_ref(), &path.field("retry_policy"))?,
            hedge: retry::hedge(message.hedge_policy.as_ref(), &path.field("hedge_policy"))?,
            counted: counted(message.include_request_attempt_count),
            counted_in_response: counted(message.include_attempt_count_in_response),
        })
    }
}

fn counted(included: bool) -> Counted {
    if included { Counted::Included } else { Counted::Plain }
}

/// The action of the route at `path`; `None` if the route is to be left out (gRFC A28).
pub(super) fn action(
    message: Option<&Specifier>,
    scope: &mut Scope<'_>,
    defaults: &Defaults,
    path: &Path<'_>,
) -> Result<Option<Action>, Reject> {
    Ok(Some(match message {
        Some(Specifier::Route(route)) => {
            let path = path.field("route");
            check(route, &path)?;
            let forward = forward(route, defaults, scope, &path)?;
            return Ok(forward.map(Action::Forward));
        }
        Some(Specifier::Redirect(message)) => {
            Action::Redirect(redirect(message, &path.field("redirect"))?)
        }
        Some(Specifier::DirectResponse(message)) => {
            direct_response(message, scope.max_body, &path.field("direct_response"))?
        }
        Some(Specifier::NonForwardingAction(_)) => Action::NonForwarding,
        Some(Specifier::FilterAction(_)) => {
            Action::Unsupported("filter_action is not supported".into())
        }
        None => Action::Unsupported("the route has no action that is known".into()),
    }))
}

/// How requests are sent on; `None` if the route is to be left out.
fn forward(
    message: &pb::RouteAction,
    defaults: &Defaults,
    scope: &mut Scope<'_>,
    path: &Path<'_>,
) -> Result<Option<Forward>, Reject> {
    // A route that has a policy has nothing from its virtual host, also if it is an empty one.
    let own = retry::policy(message.retry_policy.as_ref(), &path.field("retry_policy"))?;
    let hedge = retry::hedge(message.hedge_policy.as_ref(), &path.field("hedge_policy"))?;
    let Some(choice) = choice(message.cluster_specifier.as_ref(), scope, path)? else {
        return Ok(None);
    };
    let mut forward = Forward::new(choice);
    forward.retry = own.or_else(|| defaults.retry.clone());
    forward.hedge = hedge.or(defaults.hedge);
    forward.counted = defaults.counted;
    forward.counted_in_response = defaults.counted_in_response;
    forward.priority = match PbPriority::try_from(message.priority) {
        Ok(PbPriority::Default) => RoutingPriority::Default,
        Ok(PbPriority::High) => RoutingPriority::High,
        Err(_) => return Err(path.field("priority").reject("is not known")),
    };
    Ok(Some(forward))
}

/// What is valid or not, but not acted on yet.
fn check(message: &pb::RouteAction, path: &Path<'_>) -> Result<(), Reject> {
    if let Some(rewrite) = &message.regex_rewrite {
        matcher::rewrite(rewrite, &path.field("regex_rewrite"))?;
    }
    for (at, policy) in message.hash_policy.iter().enumerate() {
        let path = path.element("hash_policy", at);
        if let Some(PolicySpecifier::Header(header)) = &policy.policy_specifier
            && let Some(rewrite) = &header.regex_rewrite
        {
            matcher::rewrite(rewrite, &path.field("header.regex_rewrite"))?;
        }
    }
    Ok(())
}

fn choice(
    message: Option<&ClusterSpecifier>,
    scope: &mut Scope<'_>,
    path: &Path<'_>,
) -> Result<Option<ClusterChoice>, Reject> {
    Ok(Some(match message {
        Some(ClusterSpecifier::Cluster(name)) => {
            ClusterChoice::One(cluster(name, scope, &path.field("cluster"))?)
        }
        Some(ClusterSpecifier::WeightedClusters(message)) => {
            ClusterChoice::Weighted(weighted(message, scope, &path.field("weighted_clusters"))?)
        }
        Some(ClusterSpecifier::ClusterHeader(name)) => {
            let parsed = HeaderName::from_bytes(name.as_bytes());
            ClusterChoice::Header(parsed.map_err(|why| path.field("cluster_header").reject(why))?)
        }
        Some(ClusterSpecifier::ClusterSpecifierPlugin(name)) => {
            if !scope.plugins.contains_key(name.as_str()) {
                let path = path.field("cluster_specifier_plugin");
                return Err(path.reject(format_args!("{name:?} is not declared")));
            }
            return Ok(None);
        }
        Some(ClusterSpecifier::InlineClusterSpecifierPlugin(_)) | None => return Ok(None),
    }))
}

fn cluster(name: &str, scope: &mut Scope<'_>, path: &Path<'_>) -> Result<ClusterIndex, Reject> {
    ResourceName::parse(ResourceType::Cluster, name).map_err(|why| path.reject(why))?;
    scope.builder.cluster(name).map_err(|why| path.reject(why))
}

fn weighted(
    message: &pb::WeightedCluster,
    scope: &mut Scope<'_>,
    path: &Path<'_>,
) -> Result<Weighted, Reject> {
    let mut clusters = Vec::with_capacity(message.clusters.len());
    for (at, entry) in message.clusters.iter().enumerate() {
        let path = path.element("clusters", at);
        let weight = entry.weight.map_or(0, |w| w.value);
        if weight == 0 {
            continue;
        }
        if !entry.cluster_header.is_empty() {
            return Err(path.field("cluster_header").reject("is not supported"));
        }
        let cluster = cluster(&entry.name, scope, &path.field("name"))?;
        let mut entry_of = WeightedCluster::new(cluster, weight);
        let own = &mut entry_of.overrides;
        overrides(&entry.typed_per_filter_config, scope.registry, own, &path)?;
        clusters.push(entry_of);
    }
    Weighted::new(clusters).map_err(|why| path.reject(why))
}

fn redirect(message: &pb::RedirectAction, path: &Path<'_>) -> Result<Redirect, Reject> {
    let mut redirect = Redirect::default();
    redirect.scheme = match &message.scheme_rewrite_specifier {
        Some(SchemeRewriteSpecifier::HttpsRedirect(true)) => Some("https".into()),
        Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) => {
            Some(scheme.as_str()).filter(|s| !s.is_empty()).map(Into::into)
        }
        Some(SchemeRewriteSpecifier::HttpsRedirect(false)) | None => None,
    };
    redirect.host =
        Some(&message.host_redirect).filter(|h| !h.is_empty()).map(|h| h.as_str().into());
    redirect.port = match message.port_redirect {
        0 => None,
        port => {
            let above = |_| path.field("port_redirect").reject("is above 65535");
            Some(u16::try_from(port).map_err(above)?)
        }
    };
    redirect.path = match &message.path_rewrite_specifier {
        Some(PathRewriteSpecifier::PathRedirect(to)) => PathRedirect::Replace(to.as_str().into()),
        Some(PathRewriteSpecifier::PrefixRewrite(to)) => PathRedirect::Prefix(to.as_str().into()),
        Some(PathRewriteSpecifier::RegexRewrite(rewrite)) => {
            PathRedirect::Regex(matcher::rewrite(rewrite, &path.field("regex_rewrite"))?)
        }
        Some(_) => return Err(path.field("path_rewrite").reject("is not supported")),
        None => PathRedirect::Keep,
    };
    redirect.code = match RedirectResponseCode::try_from(message.response_code) {
        Ok(RedirectResponseCode::MovedPermanently) => RedirectCode::MovedPermanently,
        Ok(RedirectResponseCode::Found) => RedirectCode::Found,
        Ok(RedirectResponseCode::SeeOther) => RedirectCode::SeeOther,
        Ok(RedirectResponseCode::TemporaryRedirect) => RedirectCode::TemporaryRedirect,
        Ok(RedirectResponseCode::PermanentRedirect) => RedirectCode::PermanentRedirect,
        Err(_) => return Err(path.field("response_code").reject("is unknown")),
    };
    redirect.strip_query = message.strip_query;
    Ok(redirect)
}

fn direct_response(
    message: &pb::DirectResponseAction,
    max_body: usize,
    path: &Path<'_>,
) -> Result<Action, Reject> {
    let status = u16::try_from(message.status).ok().filter(|s| (200..600).contains(s));
    let status = status.and_then(|s| StatusCode::from_u16(s).ok());
    let status = status.ok_or_else(|| path.field("status").reject("is not in 200 to 599"))?;
    let path = path.field("body");
    let body = match message.body.as_ref().and_then(|body| body.specifier.as_ref()) {
        Some(DataSpecifier::InlineString(text)) => Bytes::copy_from_slice(text.as_bytes()),
        Some(DataSpecifier::InlineBytes(bytes)) => Bytes::copy_from_slice(bytes),
        // A control plane does not get to read files or the environment of this process.
        Some(DataSpecifier::Filename(_) | DataSpecifier::EnvironmentVariable(_)) => {
            return Err(path.reject("is not inline"));
        }
        None => Bytes::new(),
    };
    if body.len() > max_body {
        return Err(path.reject(format_args!("is longer than {max_body} bytes")));
    }
    Ok(Action::DirectResponse { status, body })
}
