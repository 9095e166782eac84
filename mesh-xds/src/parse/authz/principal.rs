//! Who does it.

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::rbac::v3::Principal;
use envoy_types::pb::envoy::config::rbac::v3::principal::{Authenticated, Identifier, Set};
use envoy_types::pb::envoy::extensions::rbac::principals::mtls_authenticated::v3::Config;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::SubjectAltNameMatcher;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use mesh_core::authz::{Condition, Expression, NameMatcher};

use super::condition::{cidr, header, metadata, sourced_metadata, url_path};
use super::scope::{Levels, Scope};
use crate::parse::matcher::string;
use crate::parse::value::{typed_config, unpack};
use crate::parse::{Path, Reject};

/// The principal in `message`.
pub(super) fn principal(
    message: &Principal,
    (scope, levels): (&Scope<'_>, Levels),
    path: &Path<'_>,
) -> Result<Expression, Reject> {
    let levels = levels.below(path)?;
    let within = (scope, levels);
    match &message.identifier {
        Some(Identifier::AndIds(set)) => {
            all(set, within, &path.field("and_ids")).map(Expression::All)
        }
        Some(Identifier::OrIds(set)) => {
            all(set, within, &path.field("or_ids")).map(Expression::Any)
        }
        Some(Identifier::NotId(id)) => {
            principal(id, within, &path.field("not_id")).map(Expression::not)
        }
        Some(Identifier::Any(true)) => Ok(Expression::Always),
        Some(Identifier::Any(false)) => Err(path.field("any").reject("is not true")),
        Some(identifier) => {
            scope.count(path)?;
            condition(identifier, scope, path).map(Expression::Is)
        }
        None => Err(path.reject("has no identifier that is known")),
    }
}

fn all(
    set: &Set,
    within: (&Scope<'_>, Levels),
    path: &Path<'_>,
) -> Result<Vec<Expression>, Reject> {
    if set.ids.is_empty() {
        return Err(path.field("ids").reject("is empty"));
    }
    let one = |(at, id)| principal(id, within, &path.element("ids", at));
    set.ids.iter().enumerate().map(one).collect()
}

#[expect(deprecated, reason = "control planes send the older identifiers")]
fn condition(id: &Identifier, scope: &Scope<'_>, path: &Path<'_>) -> Result<Condition, Reject> {
    let source = |range, path: &Path<'_>| Ok(Condition::SourceIp([cidr(range, path)?].into()));
    match id {
        Identifier::Authenticated(message) => authenticated(message, &path.field("authenticated")),
        Identifier::SourceIp(range) => source(range, &path.field("source_ip")),
        Identifier::DirectRemoteIp(range) => source(range, &path.field("direct_remote_ip")),
        // The same as long as nobody is trusted to say where a client is (gRFC A41).
        Identifier::RemoteIp(range) => source(range, &path.field("remote_ip")),
        Identifier::Header(message) => header(message, scope, &path.field("header")),
        Identifier::UrlPath(message) => url_path(message, scope, &path.field("url_path")),
        Identifier::Metadata(message) => {
            metadata(message, scope, &path.field("metadata")).map(Condition::Metadata)
        }
        Identifier::SourcedMetadata(message) => {
            sourced_metadata(message, scope, &path.field("sourced_metadata"))
        }
        Identifier::Custom(extension) => custom(extension, &path.field("custom")),
        Identifier::FilterState(_) => Err(path.field("filter_state").reject("is not supported")),
        Identifier::AndIds(_)
        | Identifier::OrIds(_)
        | Identifier::NotId(_)
        | Identifier::Any(_) => Err(path.reject("is not a condition")),
    }
}

fn authenticated(message: &Authenticated, path: &Path<'_>) -> Result<Condition, Reject> {
    let name = message.principal_name.as_ref();
    let name = name.map(|name| string(name, &path.field("principal_name"))).transpose()?;
    Ok(Condition::Authenticated(name))
}

fn custom(extension: &TypedExtensionConfig, path: &Path<'_>) -> Result<Condition, Reject> {
    let any = typed_config(Some(extension), path)?;
    let path = path.field("typed_config");
    let Some(message) = unpack::<Config>(any, &path)? else {
        return Err(path.reject(format_args!("{} is not supported", any.type_url)));
    };
    match (&message.san_matcher, message.any_validated_client_certificate) {
        (Some(matcher), _) => {
            let name = san(matcher, &path.field("san_matcher"))?;
            Ok(Condition::Certificate(Some(name)))
        }
        (None, true) => Ok(Condition::Certificate(None)),
        (None, false) => Err(path.reject("asks for no certificate")),
    }
}

fn san(message: &SubjectAltNameMatcher, path: &Path<'_>) -> Result<NameMatcher, Reject> {
    let at = path.field("matcher");
    let matcher = message.matcher.as_ref().ok_or_else(|| at.reject("is required"))?;
    let matcher = string(matcher, &at)?;
    match SanType::try_from(message.san_type) {
        Ok(SanType::Uri) => Ok(NameMatcher::Uri(matcher)),
        Ok(SanType::Dns) => Ok(NameMatcher::Dns(matcher)),
        Ok(SanType::Unspecified | SanType::Email | SanType::IpAddress | SanType::OtherName)
        | Err(_) => Err(path.field("san_type").reject("is neither URI nor DNS")),
    }
}
