//! The bootstrap: which management servers to ask, as whom, and how resources are named.
//!
//! It is gRPC's bootstrap file (gRFC A27, A36, A47, A65, A71, A97), so one file serves this library
//! and every gRPC implementation. Unknown fields are ignored; a known field with a wrong value is an
//! error that carries its JSON path.
//!
//! Ours are these additions: the server feature `delta` asks for incremental ADS, the `file_watcher`
//! knows `crl_file`, and there are the certificate providers `spiffe_workload_api` and `sds`.
//!
//! Only the `env` module reads the environment. Nothing here opens a connection or reads a
//! certificate: the paths are kept for those who do.

mod agent;
mod certificate;
mod credentials;
mod env;
mod error;
mod json;
mod node;
mod percent;
mod server;
mod target;
#[cfg(test)]
mod tests;
mod uri;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use self::json::Field;
use self::target::Template;
use crate::name::ResourceName;

#[cfg(feature = "ads")]
pub(crate) use self::env::workload_api_socket;
#[cfg(all(feature = "ads", feature = "file"))]
pub(crate) use self::target::own_listener;
#[cfg(feature = "ads")]
pub(crate) use self::target::{OWN_SERVERS, data_plane_authority, own_server_listener};

pub use self::agent::{Sds, WorkloadApi};
pub use self::certificate::{CertificateProvider, Files, Identity};
pub use self::credentials::{CallCredentials, ChannelCredentials};
pub use self::error::{BootstrapError, Fault};
pub use self::node::{ClientFeature, Locality, Node};
pub use self::server::{Authority, GrpcService, Server, ServerFeatures};
pub use self::target::{ListenerTarget, TargetError};
pub use self::uri::{ServerUri, ServerUriError};

/// The largest bootstrap file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// What a process must know before it can ask a management server for anything.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Bootstrap {
    /// The management servers for names without an authority, by falling priority (A71). Not empty.
    pub servers: Vec<Server>,
    /// Who we are.
    pub node: Node,
    /// Certificate provider instances by name. Instances of unknown plugins are left out, so that a
    /// resource which refers to one is rejected.
    pub certificate_providers: BTreeMap<String, CertificateProvider>,
    /// The servers of the authorities of `xdstp` names (A47), by authority.
    pub authorities: BTreeMap<String, Authority>,
    /// Services that resources may name for side calls, by target (A102).
    pub allowed_grpc_services: BTreeMap<String, GrpcService>,
    client_listener: Template,
    server_listener: Option<Template>,
}

impl Bootstrap {
    /// Reads a bootstrap from `json`.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::Syntax`] with line and column, or [`BootstrapError::Field`] with the path.
    pub fn from_json(json: &str) -> Result<Self, BootstrapError> {
        let value: serde_json::Value = serde_json::from_str(json)?;
        let root = Field::root(&value);
        root.object()?;
        let servers = server::servers(&root.required("xds_servers")?)?;
        let node = root.optional("node").map(|node| Node::parse(&node)).transpose()?;
        let allowed = root.entries("allowed_grpc_services")?;
        Ok(Self {
            node: node.unwrap_or_default(),
            certificate_providers: certificate::providers(&root)?,
            authorities: root
                .entries("authorities")?
                .into_iter()
                .map(|(name, field)| {
                    Ok((name.to_owned(), Authority::parse(name, &field, &servers)?))
                })
                .collect::<Result<_, BootstrapError>>()?,
            allowed_grpc_services: allowed
                .into_iter()
                .map(|(target, field)| Ok((target.to_owned(), GrpcService::parse(&field)?)))
                .collect::<Result<_, BootstrapError>>()?,
            client_listener: match root.optional("client_default_listener_resource_name_template") {
                Some(field) if !field.string()?.is_empty() => Template::new(field.string()?),
                _ => Template::new("%s"),
            },
            server_listener: match root.optional("server_listener_resource_name_template") {
                Some(field) if !field.string()?.is_empty() => Some(Template::new(field.string()?)),
                _ => None,
            },
            servers,
        })
    }

    /// Reads the bootstrap file at `path`.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::Read`] if there is no such file, it cannot be read or is not UTF-8;
    /// [`BootstrapError::TooLarge`] above 4 MiB; and [`BootstrapError::In`] with those of
    /// [`Bootstrap::from_json`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, BootstrapError> {
        let path = path.as_ref();
        let unreadable = |error: std::io::Error| BootstrapError::Read {
            path: path.to_owned(),
            kind: error.kind(),
        };
        let mut json = String::new();
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let read = file.take(MAX_FILE + 1).read_to_string(&mut json).map_err(unreadable)?;
        if u64::try_from(read).is_ok_and(|read| read > MAX_FILE) {
            return Err(BootstrapError::TooLarge { path: path.to_owned(), limit: MAX_FILE });
        }
        Self::from_json(&json).map_err(|error| error.within(path.display().to_string()))
    }

    /// The servers to ask for `name`, by falling priority: those of its authority, or the top-level
    /// ones for an old-style name. `None` if the authority is not in the bootstrap.
    #[must_use]
    pub fn servers_of(&self, name: &ResourceName) -> Option<&[Server]> {
        match name.authority() {
            None => Some(&self.servers),
            Some(authority) => self
                .authorities
                .get(percent::decode(authority)?.as_str())
                .map(|authority| authority.servers.as_slice()),
        }
    }
}
