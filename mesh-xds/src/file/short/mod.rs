//! The short form: services, their versions and routes, and servers, for people who write them by hand.
//!
//! ```text
//! services.NAME ─► Listener NAME ─► RouteConfiguration NAME ─► Cluster NAME/VERSION …
//! server.PLACE ─► Listener server/PLACE
//! ```
//!
//! It compiles to the same resources that a control plane sends, so everything after it is the
//! same. Unlike the long form it can be judged while it is read: a mistake is reported where it was
//! made, with line and column. `docs/configuration.md` has the grammar.

mod action;
mod address;
mod cluster;
mod cursor;
mod matching;
mod server;
mod service;
mod settings;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use self::cursor::Cursor;
use self::settings::Settings;
use super::error::{FileError, Why};
use super::resources::FileResource;
use super::tree::Node;

/// What `version` must be.
const VERSION: &str = "mesh/v1";

/// Whether `document` is in the short form, well-formed or not.
pub(super) fn is_short(document: &Node) -> bool {
    let long = ["@type", "resources"].iter().any(|key| document.field(key).is_some());
    let short = ["version", "services", "defaults", "server"];
    !long && short.iter().any(|key| document.field(key).is_some())
}

/// The resources that `document` stands for, or all that is wrong with it.
pub(super) fn compile(
    document: &Node,
    file: &Arc<Path>,
) -> Result<Vec<FileResource>, Vec<FileError>> {
    let root = Cursor::root(document, file);
    let fields = root.fields(&["version", "defaults", "services", "server"]).map_err(one)?;
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
    let mut resources = Vec::new();
    for (place, server) in servers.unwrap_or_default() {
        match server::compile(place, &server) {
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
