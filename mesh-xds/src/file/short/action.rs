//! `to`: where a route sends its requests.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::route::v3 as pb;
use envoy_types::pb::envoy::config::route::v3::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use envoy_types::pb::envoy::config::route::v3::route::Action;
use envoy_types::pb::envoy::config::route::v3::route_action::{
    ClusterSpecifier, MaxStreamDuration,
};
use envoy_types::pb::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use envoy_types::pb::google::protobuf::UInt32Value;

use super::cursor::Cursor;
use super::matching;
use super::retry::Retry;
use super::service::{Scope, proto_duration};
use crate::file::diagnose::similar;
use crate::file::error::{FileError, Why};

/// The action of `to`, which holds for `timeout` at most.
pub(super) fn compile(
    to: &Cursor<'_>,
    scope: &Scope<'_>,
    timeout: Option<Duration>,
) -> Result<Action, FileError> {
    if to.is_text() {
        let name = version(to.text()?, scope).map_err(|why| to.fail(why))?;
        return Ok(forward(ClusterSpecifier::Cluster(name), timeout));
    }
    let entries = to.entries().map_err(|_| {
        to.mismatch("a version, a mapping of versions to weights, `redirect` or `respond`")
    })?;
    if let [(kind @ ("redirect" | "respond"), what)] = &*entries {
        return match *kind {
            "redirect" => redirect(what).map(Action::Redirect),
            _ => respond(what).map(Action::DirectResponse),
        };
    }
    let mut clusters = Vec::with_capacity(entries.len());
    for (name, weight) in &entries {
        let name = version(name, scope).map_err(|why| weight.fail_key(why))?;
        let weight = Some(UInt32Value { value: weight.number(MAX_WEIGHT)? });
        clusters.push(ClusterWeight { name, weight, ..Default::default() });
    }
    if clusters.iter().all(|cluster| cluster.weight.is_none_or(|weight| weight.value == 0)) {
        return Err(to.invalid("the weights sum to 0"));
    }
    let clusters = pb::WeightedCluster { clusters, ..Default::default() };
    Ok(forward(ClusterSpecifier::WeightedClusters(clusters), timeout))
}

/// The route of a service that has one version and no routes.
pub(super) fn everything_to(scope: &Scope<'_>, version: &str) -> pb::Route {
    let cluster = ClusterSpecifier::Cluster(scope.cluster(version));
    let action = forward(cluster, scope.settings.timeout);
    route(matching::everything(), action, scope.settings.retry.as_ref())
}

/// The route of the requests that match, which are sent again as `retry` says.
pub(super) fn route(
    matcher: pb::RouteMatch,
    mut action: Action,
    retry: Option<&Retry>,
) -> pb::Route {
    let mut metadata = None;
    if let (Action::Route(forward), Some(retry)) = (&mut action, retry) {
        forward.retry_policy = Some(retry.policy());
        metadata = retry.metadata();
    }
    pb::Route { r#match: Some(matcher), action: Some(action), metadata, ..Default::default() }
}

/// The cluster of the version called `name`.
fn version(name: &str, scope: &Scope<'_>) -> Result<String, Why> {
    if scope.versions.contains(&name) {
        return Ok(scope.cluster(name));
    }
    let names = scope.versions.iter().map(|it| (*it).to_owned());
    Err(Why::UnknownVersion { name: name.to_owned(), suggestion: similar(name, names) })
}

/// Both limits are set because one holds for HTTP and the other for gRPC (gRFC A31).
fn forward(cluster: ClusterSpecifier, timeout: Option<Duration>) -> Action {
    let timeout = timeout.map(proto_duration);
    Action::Route(pb::RouteAction {
        cluster_specifier: Some(cluster),
        timeout,
        max_stream_duration: timeout.map(|limit| MaxStreamDuration {
            max_stream_duration: Some(limit),
            ..Default::default()
        }),
        ..Default::default()
    })
}

fn redirect(what: &Cursor<'_>) -> Result<pb::RedirectAction, FileError> {
    let known = ["scheme", "host", "port", "path", "prefix", "code", "strip_query"];
    let fields = what.fields(&known)?;
    let mut action = pb::RedirectAction::default();
    if let Some(scheme) = fields.get("scheme") {
        let scheme = scheme.choice(&[("http", "http"), ("https", "https")])?.to_owned();
        action.scheme_rewrite_specifier = Some(SchemeRewriteSpecifier::SchemeRedirect(scheme));
    }
    if let Some(host) = fields.get("host") {
        action.host_redirect = host.text()?.to_owned();
    }
    if let Some(port) = fields.get("port") {
        action.port_redirect = port.number(u16::MAX.into())?;
    }
    action.path_rewrite_specifier = match fields.one_of(&["path", "prefix"])? {
        Some(("path", path)) => Some(PathRewriteSpecifier::PathRedirect(path.text()?.to_owned())),
        Some((_, prefix)) => Some(PathRewriteSpecifier::PrefixRewrite(prefix.text()?.to_owned())),
        None => None,
    };
    let code = fields.get("code").map(|code| {
        let found = code.number(999)?;
        let known = CODES.iter().find(|(number, _)| *number == found).map(|(_, code)| *code);
        known.ok_or_else(|| code.mismatch("one of 301, 302, 303, 307, 308"))
    });
    action.response_code =
        code.transpose()?.unwrap_or(RedirectResponseCode::MovedPermanently).into();
    action.strip_query =
        fields.get("strip_query").map(|it| it.flag()).transpose()?.unwrap_or_default();
    Ok(action)
}

fn respond(what: &Cursor<'_>) -> Result<pb::DirectResponseAction, FileError> {
    let fields = what.fields(&["status", "body"])?;
    let cursor = fields.required("status")?;
    let status = cursor.number(599)?;
    if status < 200 {
        return Err(cursor.mismatch("a number from 200 to 599"));
    }
    let body = fields.get("body").map(|body| match body.text()? {
        text if text.len() > MAX_BODY => Err(body.invalid(format!("longer than {MAX_BODY} bytes"))),
        text => Ok(DataSource {
            specifier: Some(Specifier::InlineString(text.to_owned())),
            ..Default::default()
        }),
    });
    Ok(pb::DirectResponseAction { status, body: body.transpose()?, ..Default::default() })
}

const CODES: &[(u32, RedirectResponseCode)] = &[
    (301, RedirectResponseCode::MovedPermanently),
    (302, RedirectResponseCode::Found),
    (303, RedirectResponseCode::SeeOther),
    (307, RedirectResponseCode::TemporaryRedirect),
    (308, RedirectResponseCode::PermanentRedirect),
];

/// More is a slip of the pen.
const MAX_WEIGHT: u32 = 1_000_000;

/// Envoy's default for `max_direct_response_body_size_bytes`.
const MAX_BODY: usize = 4096;
