//! The short form: services, their versions and routes, and servers, for people who write them by hand.
//!
//! ```text
//! services.NAME ─► Listener NAME ─► RouteConfiguration NAME ─► Cluster NAME/VERSION …
//! tenants ─► what every server asks of each request before policies
//! server.PLACE ─► Listener server/PLACE, with the RBAC filters that allow, deny and roles are
//! ```
//!
//! It compiles to the same resources that a control plane sends, so everything after it is the
//! same. Unlike the long form it can be judged while it is read: a mistake is reported where it was
//! made, with line and column. `docs/configuration.md` has the grammar.

mod access;
mod action;
mod address;
mod breaker;
mod cluster;
mod matching;
mod retry;
mod roles;
mod server;
mod service;
mod settings;
mod tenants;
#[cfg(test)]
mod tests;
mod tls;

use std::path::Path;
use std::sync::Arc;

use self::roles::Roles;
pub(super) use self::service::{any, resource};
use self::settings::Settings;
pub(super) use self::tenants::NAME as TENANTS;
#[cfg(feature = "ads")]
pub(super) use self::tenants::tenancy;
use super::cursor::{self, Cursor};
use super::error::{FileError, Why};
use super::policy::{self, Policies};
use super::resources::FileResource;
use super::tree::Node;
use crate::parse::Workload;

/// What `version` must be.
const VERSION: &str = "mesh/v1";
const KNOWN: &[&str] =
    &["version", "defaults", "workload", "services", "roles", "bindings", "server", "tenants"];

/// Whether `document` is in the short form, well-formed or not.
pub(super) fn is_short(document: &Node) -> bool {
    let long = ["@type", "resources"].iter().any(|key| document.field(key).is_some());
    let short = ["version", "services", "defaults", "server", "workload", "tenants"];
    !long && short.iter().any(|key| document.field(key).is_some())
}

/// What `document` says of the workload that this process is, if it does.
pub(super) fn workload(document: &Node, file: &Arc<Path>) -> Option<Result<Workload, FileError>> {
    let cursor = Cursor::root(document, file);
    let entries = cursor.entries().ok()?;
    let found = entries.into_iter().find(|(key, _)| *key == "workload");
    found.map(|(_, cursor)| policy::workload(&cursor))
}

/// The resources that `document` stands for, or all that is wrong with it.
pub(super) fn compile(
    document: &Node,
    file: &Arc<Path>,
    policies: &Policies,
) -> Result<Vec<FileResource>, Vec<FileError>> {
    let root = Cursor::root(document, file);
    let fields = root.fields(KNOWN).map_err(one)?;
    let mut errors = Vec::new();
    let version = fields.required("version").and_then(|version| match version.text()? {
        VERSION => Ok(()),
        _ => Err(version.fail(Why::Invalid(format!("the only version is `{VERSION}`")))),
    });
    errors.extend(version.err());
    let mut defaults = Settings::default();
    match fields.get("defaults").map(|it| Settings::read_all(&it)).transpose() {
        Ok(read) => defaults = read.unwrap_or_default(),
        Err(error) => errors.push(error),
    }
    let services = fields.get("services").map(|it| it.entries()).transpose();
    let services = services.unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    let servers = fields.get("server").map(|it| it.entries()).transpose();
    let servers = servers.unwrap_or_else(|error| {
        errors.push(error);
        None
    });
    let (roles, bindings) = (fields.get("roles"), fields.get("bindings"));
    let roles = Roles::read(roles.as_ref(), bindings.as_ref(), policies.workload());
    let roles = roles.unwrap_or_else(|error| {
        errors.push(error);
        Roles::default()
    });
    let mut resources = Vec::new();
    match fields.get("tenants").map(|it| tenants::compile(&it)).transpose() {
        Ok(tenants) => resources.extend(tenants),
        Err(error) => errors.push(error),
    }
    for (place, server) in servers.unwrap_or_default() {
        match server::compile(place, &server, (policies, &roles)) {
            Ok(listener) => resources.push(listener),
            Err(wrong) => errors.push(wrong),
        }
    }
    for (name, service) in services.unwrap_or_default() {
        match service::compile(name, &service, &defaults) {
            Ok(compiled) => resources.extend(compiled),
            Err(wrong) => errors.extend(wrong),
        }
    }
    if errors.is_empty() { Ok(resources) } else { Err(errors) }
}

/// All that is wrong, where it is one thing.
fn one(error: FileError) -> Vec<FileError> {
    vec![error]
}
