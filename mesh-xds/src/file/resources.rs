//! Files to resources.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor};

use super::{
    deserialize::{At, Trace},
    diagnose::{diagnose, message_of, similar},
    error::{FileError, Origin, Why},
    policy,
    set::Set,
    short,
    tree::{Node, Value},
};
use crate::parse::Registry;
use crate::proto;

/// A resource from a file: what a control plane would have sent.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileResource {
    /// The type, always as `type.googleapis.com/<message>`.
    pub type_url: String,
    /// The name that other resources and subscriptions refer to.
    pub name: String,
    /// The encoded message.
    pub value: Bytes,
    /// Where it was written.
    pub origin: Origin,
}

impl fmt::Debug for FileResource {
    /// Without the message, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { type_url, name, origin, .. } = self;
        f.debug_struct("FileResource")
            .field("type_url", type_url)
            .field("name", name)
            .field("origin", origin)
            .finish_non_exhaustive()
    }
}

impl FileResource {
    /// Whether it holds rules that all servers enforce, whatever their listeners say: Envoy's RBAC
    /// filter in a `TypedExtensionConfig` whose name begins with `authorization/`. Policies compile
    /// to such.
    #[must_use]
    pub fn is_authorization(&self) -> bool {
        message_name(&self.type_url) == "envoy.config.core.v3.TypedExtensionConfig"
            && self.name.starts_with(policy::PREFIX)
    }

    /// Whether it says whose requests are, in a `TypedExtensionConfig` called `tenants`. The member
    /// of that name in the short form compiles to such.
    #[must_use]
    pub fn is_tenancy(&self) -> bool {
        message_name(&self.type_url) == "envoy.config.core.v3.TypedExtensionConfig"
            && self.name == short::TENANTS
    }

    /// Whether it holds the token of an emergency, in a `TypedExtensionConfig` whose name begins
    /// with `break-glass/`.
    #[must_use]
    pub fn is_break_glass(&self) -> bool {
        message_name(&self.type_url) == "envoy.config.core.v3.TypedExtensionConfig"
            && self.name.starts_with(policy::BREAK_GLASS)
    }
}

/// Reads the resources of a file or of a directory.
///
/// Of a directory, the files directly in it ending in `.yaml`, `.yml` or `.json` are read in the
/// order of their names; names that start with a dot are skipped, and symbolic links are followed,
/// as Kubernetes' volumes need it.
///
/// Every YAML document in a file is one of: a resource with its `@type`; a mapping with
/// `resources` (and perhaps `version_info`), which is how Envoy writes such files; a list of
/// resources; a policy with its `apiVersion`; the short form, with its `version: mesh/v1`.
///
/// # Errors
///
/// The first problem found: a file that cannot be read, a message that cannot be understood, or
/// two resources with the same type and name.
pub fn read(path: &Path) -> Result<Vec<FileResource>, FileError> {
    resources(&contents(path)?, None)
}

/// Reads the resources in `text`, which errors will call `file`.
///
/// # Errors
///
/// As [`read()`].
pub fn parse(text: &str, file: &Path) -> Result<Vec<FileResource>, FileError> {
    let contents = [(file.to_owned(), text.as_bytes().to_vec())];
    Set::of(&contents, None).into_result()
}

/// The files that [`read()`] would read, with their bytes.
pub(crate) fn contents(path: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, FileError> {
    files(path)?.into_iter().map(|file| content(&file).map(|bytes| (file, bytes))).collect()
}

/// The resources in files that were read before, valid by `registry` if there is one.
pub(crate) fn resources(
    contents: &[(PathBuf, Vec<u8>)],
    registry: Option<&Registry>,
) -> Result<Vec<FileResource>, FileError> {
    Set::of(contents, registry).into_result()
}

fn files(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let io = |error| FileError::io(path, &error);
    if !fs::metadata(path).map_err(io)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(io)? {
        let file = entry.map_err(io)?.path();
        // A dangling link is an error here, not a file that is silently missing.
        let is_file = || fs::metadata(&file).map(|it| it.is_file());
        if is_resource_file(&file) && is_file().map_err(|error| FileError::io(&file, &error))? {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn is_resource_file(file: &Path) -> bool {
    let hidden = file.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = file.extension().and_then(|it| it.to_str()).map(str::to_ascii_lowercase);
    !hidden && matches!(extension.as_deref(), Some("yaml" | "yml" | "json"))
}

fn content(file: &Path) -> Result<Vec<u8>, FileError> {
    let io = |error| FileError::io(file, &error);
    if fs::metadata(file).map_err(io)?.len() > MAX_FILE {
        let why = format!("larger than {} MiB", MAX_FILE >> 20);
        return Err(FileError::new(file, None, Why::Syntax(why)));
    }
    fs::read(file).map_err(io)
}

/// The resources of a document.
pub(super) fn members<'n>(
    document: &'n Node,
    file: &Arc<Path>,
) -> Result<Vec<&'n Node>, FileError> {
    let fail = |line, why| Err(FileError::new(Arc::clone(file), Some(line), why));
    if let Some(items) = document.items() {
        return Ok(items.iter().collect());
    }
    let type_url = document.field("@type").and_then(Node::text);
    let is_response = type_url.is_some_and(|url| message_name(url) == RESPONSE);
    let is_one = document.field("@type").is_some() && !is_response;
    if is_one || policy::is_policy(document) {
        return Ok(vec![document]);
    }
    let Some(resources) = document.field("resources") else {
        if is_response || document.value == Value::Null {
            return Ok(Vec::new());
        }
        return fail(document.line, Why::NotAResource(SHAPES.to_owned()));
    };
    let known = ["@type", "resources", "version_info", "type_url", "nonce"];
    let entries = document.entries().unwrap_or_default();
    if let Some(entry) = entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
        let suggestion = similar(&entry.key, known.into_iter().map(str::to_owned));
        let name = entry.key.clone();
        return fail(entry.line, Why::UnknownField { name, suggestion });
    }
    match resources.items() {
        Some(items) => Ok(items.iter().collect()),
        None if resources.value == Value::Null => Ok(Vec::new()),
        None => {
            let why = "`resources` must be a list".to_owned();
            fail(resources.line, Why::NotAResource(why))
        }
    }
}

pub(super) fn resource(node: &Node, file: &Arc<Path>) -> Result<FileResource, FileError> {
    let fail = |line, why| FileError::new(Arc::clone(file), Some(line), why);
    if !matches!(node.value, Value::Map(_)) {
        let found = node.describe();
        return Err(fail(node.line, Why::Mismatch { expected: "a resource".to_owned(), found }));
    }
    let type_node = node.field("@type").ok_or_else(|| fail(node.line, Why::MissingType))?;
    let type_url = type_node.text().unwrap_or_default();
    let descriptor = message_of(proto::pool(), type_url)
        .ok_or_else(|| fail(type_node.line, Why::UnknownType(type_url.to_owned())))?;
    let name_field = name_field(&descriptor).ok_or_else(|| {
        let why = format!("{} is not an xDS resource", descriptor.full_name());
        fail(type_node.line, Why::NotAResource(why))
    })?;
    let message = message(node, &descriptor, file)?;
    let name = message.get_field_by_name(name_field);
    let name = name.as_ref().and_then(|value| value.as_str()).unwrap_or_default();
    if name.is_empty() {
        return Err(fail(node.line, Why::MissingName(name_field)));
    }
    Ok(FileResource {
        type_url: format!("type.googleapis.com/{}", descriptor.full_name()),
        name: name.to_owned(),
        value: message.encode_to_vec().into(),
        origin: Origin { file: Arc::clone(file), line: node.line },
    })
}

fn message(
    node: &Node,
    descriptor: &MessageDescriptor,
    file: &Arc<Path>,
) -> Result<DynamicMessage, FileError> {
    let trace = Trace::default();
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let root = At::root(node, &trace);
    let read = DynamicMessage::deserialize_with_options(descriptor.clone(), root, &options);
    read.map_err(|refusal| {
        let diagnosis = diagnose(descriptor, node, &trace.into_steps(), refusal);
        FileError::new(Arc::clone(file), Some(diagnosis.line), diagnosis.why)
            .at_path(diagnosis.path)
    })
}

/// The field that names a resource of this type; `None` when it is no resource type.
fn name_field(descriptor: &MessageDescriptor) -> Option<&'static str> {
    match descriptor.full_name() {
        "envoy.config.endpoint.v3.ClusterLoadAssignment" => Some("cluster_name"),
        "envoy.config.cluster.v3.Cluster"
        | "envoy.config.core.v3.TypedExtensionConfig"
        | "envoy.config.listener.v3.Listener"
        | "envoy.config.route.v3.RouteConfiguration"
        | "envoy.config.route.v3.ScopedRouteConfiguration"
        | "envoy.config.route.v3.VirtualHost"
        | "envoy.extensions.transport_sockets.tls.v3.Secret"
        | "envoy.service.runtime.v3.Runtime" => Some("name"),
        _ => None,
    }
}

pub(super) fn message_name(type_url: &str) -> &str {
    type_url.rsplit_once('/').map_or(type_url, |(_, name)| name)
}

const RESPONSE: &str = "envoy.service.discovery.v3.DiscoveryResponse";
const SHAPES: &str = "expected a resource with `@type`, a mapping with `resources`, a list of resources, or the \
     short form with `version: mesh/v1`";
/// Larger files are refused: 10,000 clusters with their endpoints are about 10 MiB.
const MAX_FILE: u64 = 64 << 20;
