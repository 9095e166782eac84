//! `to.operation`: what is done.

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::rbac::v3::Permission;
use envoy_types::pb::envoy::config::rbac::v3::permission::Rule;
use envoy_types::pb::envoy::extensions::path::r#match::uri_template::v3::UriTemplateMatchConfig;
use envoy_types::pb::envoy::r#type::matcher::v3::{PathMatcher, path_matcher};
use mesh_core::matcher::PathTemplate;

use super::list::{List, Pair};
use super::term::{Term, permit};
use super::text::{Case, Form, filled, port};
use crate::file::cursor::Cursor;
use crate::file::error::FileError;
use crate::file::short::any;

/// The permission that the mapping at `cursor` describes.
pub(super) fn operation(cursor: &Cursor<'_>) -> Result<Permission, FileError> {
    let fields = cursor.fields(FIELDS)?;
    if fields.is_empty() {
        return Err(cursor.invalid("says nothing: everything is meant by no `to` at all"));
    }
    let mut terms = Vec::new();
    let mut list = List { fields: &fields, terms: &mut terms };
    list.read(Pair("hosts", "notHosts"), &host)?;
    list.read(Pair("methods", "notMethods"), &method)?;
    list.read(Pair("paths", "notPaths"), &path)?;
    list.read(Pair("ports", "notPorts"), &to_port)?;
    Ok(Permission::all(terms))
}

/// A host as in `:authority`, with its port where the client names one. Case does not matter.
pub(super) fn host(cursor: &Cursor<'_>) -> Result<Permission, FileError> {
    let header = Form::read(cursor)?.header(":authority", Case::Ignored);
    Ok(permit(Rule::Header(header)))
}

pub(super) fn method(cursor: &Cursor<'_>) -> Result<Permission, FileError> {
    let header = Form::read(cursor)?.header(":method", Case::Matters);
    Ok(permit(Rule::Header(header)))
}

pub(super) fn to_port(cursor: &Cursor<'_>) -> Result<Permission, FileError> {
    port(cursor).map(|port| permit(Rule::DestinationPort(port)))
}

/// A path without the query, or a template of one: `{*}` is one segment, `{**}` any number.
pub(super) fn path(cursor: &Cursor<'_>) -> Result<Permission, FileError> {
    let text = filled(cursor)?;
    if text.contains(['{', '}']) {
        return template(text, cursor);
    }
    let matcher = Form::read(cursor)?.matcher(Case::Matters);
    let rule = path_matcher::Rule::Path(matcher);
    Ok(permit(Rule::UrlPath(PathMatcher { rule: Some(rule) })))
}

fn template(text: &str, cursor: &Cursor<'_>) -> Result<Permission, FileError> {
    let bare = text.replace("{**}", "\u{1}").replace("{*}", "\u{2}");
    if bare.contains(['*', '{', '}']) {
        return Err(cursor.invalid("a template of a path has `{*}` and `{**}`, and no other `*`"));
    }
    let pattern = bare.replace('\u{1}', "**").replace('\u{2}', "*");
    PathTemplate::new(&pattern).map_err(|why| cursor.invalid(why.to_string()))?;
    let config = UriTemplateMatchConfig { path_template: pattern };
    Ok(permit(Rule::UriTemplate(TypedExtensionConfig {
        name: "uri-template".to_owned(),
        typed_config: Some(any(&config)),
    })))
}

const FIELDS: &[&str] =
    &["hosts", "notHosts", "methods", "notMethods", "paths", "notPaths", "ports", "notPorts"];
