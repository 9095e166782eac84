//! Whether resources are valid, and on which line they are not.

use super::error::{FileError, Why};
use super::resources::FileResource;
use super::tree::Node;
use crate::name::{ResourceName, ResourceType};
use crate::parse::{self, Path, Registry, Reject};

/// Refuses `resource`, which was written as `node`, for the reasons that a server's would be.
pub(super) fn check(
    resource: &FileResource,
    node: Option<&Node>,
    registry: &Registry,
) -> Result<(), FileError> {
    let valid = match ResourceType::from_url(&resource.type_url) {
        Some(kind) => parse_as(kind, resource, registry),
        None if resource.is_authorization() => parse::authorizer(&resource.value).map(drop),
        None => Ok(()),
    };
    valid.map_err(|reject| {
        let line = node.map_or(resource.origin.line, |node| line_of(node, &reject.path));
        let why = Why::Refused(reject.why.into());
        FileError::new(resource.origin.file.clone(), Some(line), why).at_path(reject.path.into())
    })
}

fn parse_as(
    kind: ResourceType,
    resource: &FileResource,
    registry: &Registry,
) -> Result<(), Reject> {
    ResourceName::parse(kind, &resource.name).map_err(|why| Path::root().reject(why))?;
    match kind {
        ResourceType::Listener => parse::listener::parse(&resource.value, registry).map(drop),
        ResourceType::RouteConfiguration => {
            parse::route::parse(&resource.value, registry).map(drop)
        }
        ResourceType::Cluster => parse::cluster::parse(&resource.value, registry).map(drop),
        ResourceType::ClusterLoadAssignment => {
            parse::endpoints::update(None, &resource.value).map(drop)
        }
        ResourceType::Secret => parse::secret::parse(&resource.value, registry).map(drop),
    }
}

/// The line of the field at `path`, or of what is nearest above it: a missing field has no line.
fn line_of(root: &Node, path: &str) -> usize {
    let (mut node, mut line, mut rest) = (root, root.line, path);
    while let Some((step, after)) = next_step(rest) {
        let below = match step {
            Step::Field(name) => {
                let entries = node.entries().unwrap_or_default();
                entries.iter().find(|e| e.key == name || snake_case(&e.key) == name).map(|entry| {
                    // A block mapping starts on the line after its key, which people look for.
                    let is_block = entry.value.entries().is_some() || entry.value.items().is_some();
                    (&entry.value, if is_block { entry.line } else { entry.value.line })
                })
            }
            Step::Item(at) => {
                node.items().and_then(|items| items.get(at)).map(|item| (item, item.line))
            }
        };
        match below {
            Some((below, its_line)) => (node, line, rest) = (below, its_line, after),
            None => break,
        }
    }
    line
}

enum Step<'p> {
    Field(&'p str),
    Item(usize),
}

/// The first step of a path such as `a.b[3].c["key"]`, and what follows.
fn next_step(path: &str) -> Option<(Step<'_>, &str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    if let Some(rest) = path.strip_prefix("[\"") {
        let (key, rest) = rest.split_once("\"]")?;
        return Some((Step::Field(key), rest));
    }
    if let Some(rest) = path.strip_prefix('[') {
        let (index, rest) = rest.split_once(']')?;
        return Some((Step::Item(index.parse().ok()?), rest));
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (name, rest) = path.split_at_checked(end)?;
    (!name.is_empty()).then_some((Step::Field(name), rest))
}

/// proto-JSON takes `clusterName` for `cluster_name`.
pub(super) fn snake_case(key: &str) -> String {
    let mut snake = String::with_capacity(key.len());
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
