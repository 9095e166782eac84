//! From what the user writes to the name of a Listener (gRFC A27, A36, A47).

use mesh_core::cluster::Address;

use super::{Bootstrap, percent};
use crate::name::{NameError, ResourceName, ResourceType};

/// A resource name with holes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(String);

/// What an `xds:` target asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenerTarget {
    /// The Listener. Its authority, if it has one, is in the bootstrap.
    pub resource: ResourceName,
    /// What requests have as `:authority` and what selects the virtual host, unless the user says
    /// otherwise: the path of the target.
    pub data_plane_authority: String,
}

/// Why a target or an address has no Listener name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The target does not start with `xds:`.
    #[error("target does not start with xds:")]
    Scheme,
    /// The target names no service.
    #[error("target names no service")]
    Empty,
    /// A query or a fragment, which mean nothing here.
    #[error("target has a query or a fragment")]
    Query,
    /// A malformed escape, or one that is not UTF-8.
    #[error("target has a malformed percent escape")]
    Escape,
    /// The authority is not in the bootstrap.
    #[error("authority \"{0}\" is not in the bootstrap")]
    UnknownAuthority(String),
    /// The template makes a name that is none.
    #[error("the listener name template makes \"{name}\"")]
    Name {
        /// What the template made.
        name: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// Servers need `server_listener_resource_name_template`.
    #[error("the bootstrap has no server_listener_resource_name_template")]
    NoServerTemplate,
}

impl Template {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The Listener name with every `%s` replaced by `value`, which is escaped in an `xdstp` name.
    fn fill(&self, value: &str) -> Result<ResourceName, TargetError> {
        let name = if self.0.starts_with("xdstp:") {
            self.0.replace("%s", &percent::encode_path(value))
        } else {
            self.0.replace("%s", value)
        };
        ResourceName::parse(ResourceType::Listener, &name)
            .map_err(|source| TargetError::Name { name, source })
    }
}

/// What requests to `target` have as `:authority`, which no bootstrap changes.
#[cfg(feature = "ads")]
pub(crate) fn data_plane_authority(target: &str) -> Result<String, TargetError> {
    parts(target).map(|(_, service)| percent::encode_authority(&service))
}

/// The Listener that `target` asks for where no bootstrap says otherwise: the one that is called
/// like the service, in the authority if there is one.
#[cfg(all(feature = "ads", feature = "file"))]
pub(crate) fn own_listener(target: &str) -> Result<ResourceName, TargetError> {
    let (authority, service) = parts(target)?;
    let template = match &*authority {
        "" => "%s".to_owned(),
        authority => {
            let authority = percent::encode_authority(authority);
            format!("xdstp://{authority}/{}/%s", ResourceType::Listener.message_name())
        }
    };
    Template(template).fill(&service)
}

/// The Listener of a server on `address` where no bootstrap says otherwise.
#[cfg(feature = "ads")]
pub(crate) fn own_server_listener(address: &Address) -> Result<ResourceName, TargetError> {
    Template(format!("{OWN_SERVERS}%s")).fill(&place(address))
}

/// Where a server listens, as templates and prefixes take it.
pub(crate) fn place(address: &Address) -> String {
    match address {
        Address::Socket(address) => address.to_string(),
        Address::Unix(path) => path.to_string(),
        other => other.to_string(),
    }
}

/// What the names of servers' listeners begin with where no bootstrap says otherwise.
#[cfg(feature = "ads")]
pub(crate) const OWN_SERVERS: &str = "server/";

/// The authority and the service of a target, decoded.
fn parts(target: &str) -> Result<(String, String), TargetError> {
    let rest = target.strip_prefix("xds:").ok_or(TargetError::Scheme)?;
    if rest.contains(['?', '#']) {
        return Err(TargetError::Query);
    }
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("", rest.strip_prefix('/').unwrap_or(rest)),
    };
    let authority = percent::decode(authority).ok_or(TargetError::Escape)?;
    let service = percent::decode(path).ok_or(TargetError::Escape)?;
    if service.is_empty() {
        return Err(TargetError::Empty);
    }
    Ok((authority, service))
}

impl Bootstrap {
    /// The Listener that `target` asks for: `xds:///service`, `xds:service` or
    /// `xds://authority/service`.
    ///
    /// # Errors
    ///
    /// [`TargetError`] if the target is malformed or leads to an authority that is not in the
    /// bootstrap.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let bootstrap = mesh_xds::bootstrap::Bootstrap::from_json(
    ///     r#"{"xds_servers": [{"server_uri": "xds:443", "channel_creds": [{"type": "tls"}]}]}"#,
    /// )?;
    /// let target = bootstrap.listener_name("xds:///greeter")?;
    /// assert_eq!(target.resource.as_str(), "greeter");
    /// assert_eq!(target.data_plane_authority, "greeter");
    /// # Ok(())
    /// # }
    /// ```
    pub fn listener_name(&self, target: &str) -> Result<ListenerTarget, TargetError> {
        let (authority, service) = parts(target)?;
        let template = if authority.is_empty() {
            &self.client_listener
        } else {
            let known = self.authorities.get(&authority);
            &known.ok_or(TargetError::UnknownAuthority(authority))?.client_listener
        };
        Ok(ListenerTarget {
            resource: self.known(template.fill(&service)?)?,
            data_plane_authority: percent::encode_authority(&service),
        })
    }

    /// The Listener of a server on `address`, from `server_listener_resource_name_template`: `%s`
    /// is `0.0.0.0:8080`, `[::]:8080`, or the path of a Unix domain socket.
    ///
    /// # Errors
    ///
    /// [`TargetError::NoServerTemplate`], or the template leads to an authority that is not in the
    /// bootstrap.
    pub fn server_listener_name(&self, address: &Address) -> Result<ResourceName, TargetError> {
        let template = self.server_listener.as_ref().ok_or(TargetError::NoServerTemplate)?;
        self.known(template.fill(&place(address))?)
    }

    fn known(&self, name: ResourceName) -> Result<ResourceName, TargetError> {
        let authority = name.authority().unwrap_or_default().to_owned();
        if self.servers_of(&name).is_some() {
            Ok(name)
        } else {
            Err(TargetError::UnknownAuthority(authority))
        }
    }
}
