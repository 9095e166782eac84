//! What is done.

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::rbac::v3::Permission;
use envoy_types::pb::envoy::config::rbac::v3::permission::{Rule, Set};
use envoy_types::pb::envoy::extensions::path::r#match::uri_template::v3::UriTemplateMatchConfig;
use envoy_types::pb::envoy::r#type::v3::Int32Range;
use mesh_core::authz::{Condition, Expression};
use mesh_core::matcher::PathTemplate;

use super::condition::{cidr, header, metadata, sourced_metadata, url_path};
use super::scope::{Levels, Scope};
use crate::parse::matcher::string;
use crate::parse::value::{typed_config, unpack};
use crate::parse::{Path, Reject};

/// The permission in `message`.
pub(super) fn permission(
    message: &Permission,
    (scope, levels): (&Scope<'_>, Levels),
    path: &Path<'_>,
) -> Result<Expression, Reject> {
    let levels = levels.below(path)?;
    let within = (scope, levels);
    match &message.rule {
        Some(Rule::AndRules(set)) => {
            all(set, within, &path.field("and_rules")).map(Expression::All)
        }
        Some(Rule::OrRules(set)) => all(set, within, &path.field("or_rules")).map(Expression::Any),
        Some(Rule::NotRule(rule)) => {
            permission(rule, within, &path.field("not_rule")).map(Expression::not)
        }
        Some(Rule::Any(true)) => Ok(Expression::Always),
        Some(Rule::Any(false)) => Err(path.field("any").reject("is not true")),
        Some(rule) => {
            scope.count(path)?;
            condition(rule, scope, path).map(Expression::Is)
        }
        None => Err(path.reject("has no rule that is known")),
    }
}

fn all(
    set: &Set,
    within: (&Scope<'_>, Levels),
    path: &Path<'_>,
) -> Result<Vec<Expression>, Reject> {
    if set.rules.is_empty() {
        return Err(path.field("rules").reject("is empty"));
    }
    let one = |(at, rule)| permission(rule, within, &path.element("rules", at));
    set.rules.iter().enumerate().map(one).collect()
}

#[expect(deprecated, reason = "control planes send the older rules")]
fn condition(rule: &Rule, scope: &Scope<'_>, path: &Path<'_>) -> Result<Condition, Reject> {
    match rule {
        Rule::Header(message) => header(message, scope, &path.field("header")),
        Rule::UrlPath(message) => url_path(message, scope, &path.field("url_path")),
        Rule::DestinationIp(range) => {
            let range = cidr(range, &path.field("destination_ip"))?;
            Ok(Condition::DestinationIp([range].into()))
        }
        Rule::DestinationPort(port) if *port <= MAX_PORT => {
            Ok(Condition::DestinationPort(*port..*port + 1))
        }
        Rule::DestinationPort(_) => Err(path.field("destination_port").reject("is not a port")),
        Rule::DestinationPortRange(range) => ports(range, &path.field("destination_port_range")),
        Rule::Metadata(message) => {
            metadata(message, scope, &path.field("metadata")).map(Condition::Metadata)
        }
        Rule::SourcedMetadata(message) => {
            sourced_metadata(message, scope, &path.field("sourced_metadata"))
        }
        Rule::RequestedServerName(message) => {
            string(message, &path.field("requested_server_name")).map(Condition::ServerName)
        }
        Rule::UriTemplate(message) => uri_template(message, scope, &path.field("uri_template")),
        // The only one that Envoy has looks at addresses of upstreams, which a server has none of.
        Rule::Matcher(extension) => {
            let path = path.field("matcher");
            let kind = &typed_config(Some(extension), &path)?.type_url;
            Err(path.reject(format_args!("{kind} is not supported")))
        }
        Rule::AndRules(_) | Rule::OrRules(_) | Rule::NotRule(_) | Rule::Any(_) => {
            Err(path.reject("is not a condition"))
        }
    }
}

fn ports(range: &Int32Range, path: &Path<'_>) -> Result<Condition, Reject> {
    match (u32::try_from(range.start), u32::try_from(range.end)) {
        (Ok(start), Ok(end)) if start < end && end <= MAX_PORT + 1 => {
            Ok(Condition::DestinationPort(start..end))
        }
        _ => Err(path.reject("is not a range of ports")),
    }
}

fn uri_template(
    extension: &TypedExtensionConfig,
    scope: &Scope<'_>,
    path: &Path<'_>,
) -> Result<Condition, Reject> {
    scope.of_requests(path)?;
    let any = typed_config(Some(extension), path)?;
    let path = path.field("typed_config");
    let Some(message) = unpack::<UriTemplateMatchConfig>(any, &path)? else {
        return Err(path.reject(format_args!("{} is not supported", any.type_url)));
    };
    let template = PathTemplate::new(&message.path_template);
    template.map(Condition::PathTemplate).map_err(|why| path.field("path_template").reject(why))
}

const MAX_PORT: u32 = 65_535;
