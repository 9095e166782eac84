//! One route: which requests, and how long they may take.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3::route::Action as Specifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::config::route::v3::{
    Route as Message, RouteAction, RouteMatch as Match,
};
use mesh_core::limit;
use mesh_core::matcher::PathMatcher;
use mesh_core::route::{Action, Overrides, Route, RouteMatch, Timeouts};

use super::Scope;
use super::action::{self, Defaults};
use super::fields::{Level, level};
use crate::parse::filter::overrides;
use crate::parse::limit::{Place, rules};
use crate::parse::metadata::metadata;
use crate::parse::value::optional_duration;
use crate::parse::{Path, Reject, matcher, retry};

/// Envoy's default for `RouteAction.timeout`.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What a route has from its virtual host.
#[derive(Clone, Copy)]
pub(super) struct Within<'a> {
    pub(super) base: &'a Overrides,
    pub(super) defaults: &'a Defaults,
    /// What that changes about header fields, and where it is.
    pub(super) fields: (Level<'a>, &'a Path<'a>),
}

/// The route in `message`; `None` if it is to be left out (gRFC A28).
pub(super) fn route(
    message: &Message,
    scope: &mut Scope<'_>,
    within: Within<'_>,
    path: &Path<'_>,
) -> Result<Option<Route>, Reject> {
    let matcher = message.r#match.as_ref();
    let matcher = matcher.ok_or_else(|| path.field("match").reject("is required"))?;
    let matcher = route_match(matcher, &path.field("match"))?;
    let mut own = within.base.clone();
    overrides(&message.typed_per_filter_config, scope.registry, &mut own, path)?;
    let action = action::action(message.action.as_ref(), scope, within.defaults, path)?;
    let Some(mut action) = action else { return Ok(None) };
    if let Action::Forward(forward) = &mut action {
        let policy = forward.retry.as_mut().map(Arc::make_mut);
        retry::extend(policy, message.metadata.as_ref(), &path.field("metadata"))?;
    }
    let mut route = Route::new(matcher, action);
    route.name = message.name.as_str().into();
    route.overrides = own;
    route.metadata = metadata(message.metadata.as_ref(), &path.field("metadata"))?;
    if let Some(Specifier::NonForwardingAction(_)) = &message.action {
        route.limits.virtual_host = scope.host_limits.clone();
    }
    if route.action == Action::NonForwarding {
        let fields = scope.fields(within.fields, (level!(message), path))?;
        route.fields = (!fields.is_empty()).then(|| Arc::new(fields));
    }
    if let Some(Specifier::Route(forward)) = &message.action {
        let path = path.field("route");
        route.timeouts = timeouts(forward, &path)?;
        route.limits = limits(forward, scope, &path)?;
    }
    Ok(Some(route))
}

/// What its requests are counted as.
#[expect(deprecated, reason = "control planes send include_vh_rate_limits")]
fn limits(
    message: &RouteAction,
    scope: &Scope<'_>,
    path: &Path<'_>,
) -> Result<limit::Rules, Reject> {
    let own = rules(&message.rate_limits, Place::Route, &scope.registry.cluster(), path)?;
    let includes_virtual_host = message.include_vh_rate_limits.is_some_and(|it| it.value);
    let virtual_host = scope.host_limits.clone();
    Ok(limit::Rules { own: own.into(), virtual_host, includes_virtual_host })
}

pub(in crate::parse) fn route_match(
    message: &Match,
    path: &Path<'_>,
) -> Result<RouteMatch, Reject> {
    let mut found = RouteMatch::new(path_matcher(message, path)?);
    for (at, header) in message.headers.iter().enumerate() {
        found.headers.push(matcher::header(header, &path.element("headers", at))?);
    }
    for (at, query) in message.query_parameters.iter().enumerate() {
        found.query.push(matcher::query(query, &path.element("query_parameters", at))?);
    }
    // Without these a route would match more than was meant.
    for (name, is_set) in [
        ("cookies", !message.cookies.is_empty()),
        ("tls_context", message.tls_context.is_some()),
        ("dynamic_metadata", !message.dynamic_metadata.is_empty()),
        ("filter_state", !message.filter_state.is_empty()),
    ] {
        if is_set {
            return Err(path.field(name).reject("is not supported"));
        }
    }
    found.grpc_only = message.grpc.is_some();
    if let Some(fraction) = &message.runtime_fraction {
        found.fraction = Some(matcher::fraction(fraction, &path.field("runtime_fraction"))?);
    }
    Ok(found)
}

fn path_matcher(message: &Match, path: &Path<'_>) -> Result<PathMatcher, Reject> {
    let (name, matcher) = match &message.path_specifier {
        Some(PathSpecifier::Prefix(prefix)) => ("prefix", Ok(PathMatcher::prefix(prefix))),
        Some(PathSpecifier::Path(exact)) => ("path", Ok(PathMatcher::exact(exact))),
        Some(PathSpecifier::SafeRegex(regex)) => {
            ("safe_regex", PathMatcher::safe_regex(&regex.regex))
        }
        Some(PathSpecifier::PathSeparatedPrefix(prefix)) => {
            ("path_separated_prefix", PathMatcher::path_separated_prefix(prefix))
        }
        Some(PathSpecifier::ConnectMatcher(_)) => {
            return Err(path.field("connect_matcher").reject("is not supported"));
        }
        Some(PathSpecifier::PathMatchPolicy(_)) => {
            return Err(path.field("path_match_policy").reject("is not supported"));
        }
        None => return Err(path.reject("has no path_specifier that is known")),
    };
    let matcher = matcher.map_err(|why| path.field(name).reject(why))?;
    let ignores_case = message.case_sensitive.is_some_and(|b| !b.value);
    Ok(if ignores_case { matcher.ignore_case() } else { matcher })
}

/// How long a call may take (gRFC A31).
fn timeouts(message: &RouteAction, path: &Path<'_>) -> Result<Timeouts, Reject> {
    let mut timeouts = Timeouts::default();
    let route = optional_duration(message.timeout, &path.field("timeout"))?;
    timeouts.route = Some(route.unwrap_or(TIMEOUT));
    timeouts.idle = optional_duration(message.idle_timeout, &path.field("idle_timeout"))?;
    if let Some(stream) = &message.max_stream_duration {
        let path = path.field("max_stream_duration");
        timeouts.max_stream_duration =
            optional_duration(stream.max_stream_duration, &path.field("max_stream_duration"))?;
        timeouts.grpc_timeout_header_max = optional_duration(
            stream.grpc_timeout_header_max,
            &path.field("grpc_timeout_header_max"),
        )?;
        timeouts.grpc_timeout_header_offset = optional_duration(
            stream.grpc_timeout_header_offset,
            &path.field("grpc_timeout_header_offset"),
        )?;
    }
    Ok(timeouts)
}
