//! Agents of this machine that certificate providers ask: the SPIFFE Workload API, and SDS.

use super::json::Field;
use super::{BootstrapError, Fault, ServerUri};

/// Where Istio's agent serves secrets, from the working directory.
const ISTIO_SOCKET: &str = "unix:./var/run/secrets/workload-spiffe-uds/socket";

/// What Istio's agent calls the identity of the workload, and its authorities.
const ISTIO_CERTIFICATE: &str = "default";
const ISTIO_AUTHORITIES: &str = "ROOTCA";

/// The identity and the trust bundles that a SPIFFE agent has for this program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct WorkloadApi {
    /// `socket_path`: the agent's socket. Default: what `SPIFFE_ENDPOINT_SOCKET` says.
    pub socket: Option<ServerUri>,
    /// `hint`: which of several identities to take. Default: the first.
    pub hint: Option<String>,
}

/// Secrets that an agent serves by SDS (Envoy's `SecretDiscoveryService`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Sds {
    /// `socket_path`: the agent's socket. Default: that of Istio's agent,
    /// `./var/run/secrets/workload-spiffe-uds/socket`.
    pub socket: ServerUri,
    /// `certificate`: the secret with the identity; `None`, written as an empty name, for no
    /// identity. Default: `default`.
    pub certificate: Option<String>,
    /// `validation_context`: the secret with the authorities; `None`, written as an empty name, for
    /// none. Default: `ROOTCA`.
    pub validation_context: Option<String>,
}

impl WorkloadApi {
    pub(super) fn parse(config: Option<&Field<'_>>) -> Result<Self, BootstrapError> {
        let Some(config) = config else { return Ok(Self::default()) };
        config.object()?;
        Ok(Self {
            socket: socket_path(config)?,
            hint: Some(config.text("hint")?).filter(|hint| !hint.is_empty()),
        })
    }
}

impl Sds {
    pub(super) fn parse(config: Option<&Field<'_>>) -> Result<Self, BootstrapError> {
        let mut sds = Self::default();
        let Some(config) = config else { return Ok(sds) };
        config.object()?;
        if let Some(socket) = socket_path(config)? {
            sds.socket = socket;
        }
        for (key, name) in [
            ("certificate", &mut sds.certificate),
            ("validation_context", &mut sds.validation_context),
        ] {
            if let Some(field) = config.optional(key) {
                *name = Some(field.string()?.to_owned()).filter(|name| !name.is_empty());
            }
        }
        if sds.certificate.is_none() && sds.validation_context.is_none() {
            return Err(config.error(Fault::NothingToProvide));
        }
        Ok(sds)
    }
}

impl Default for Sds {
    /// As Istio's agent has it.
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant")]
        let socket = ServerUri::parse(ISTIO_SOCKET).expect("it is a path");
        Self {
            socket,
            certificate: Some(ISTIO_CERTIFICATE.to_owned()),
            validation_context: Some(ISTIO_AUTHORITIES.to_owned()),
        }
    }
}

fn socket_path(config: &Field<'_>) -> Result<Option<ServerUri>, BootstrapError> {
    let Some(field) = config.optional("socket_path") else { return Ok(None) };
    socket(field.string()?).ok_or_else(|| field.error(Fault::Socket)).map(Some)
}

/// The socket at a path, or of a `unix:` URI. Others are not taken: a private key comes from there.
pub(super) fn socket(text: &str) -> Option<ServerUri> {
    let text = match text.starts_with("unix:") || text.is_empty() {
        true => text.to_owned(),
        false if text.contains("://") || text.starts_with("tcp:") => return None,
        false => format!("unix:{text}"),
    };
    ServerUri::parse(&text).ok().filter(|uri| uri.unix_path().is_some())
}
