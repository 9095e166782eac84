//! How to prove who is who towards a management server.

use std::path::PathBuf;

use super::json::Field;
use super::uri::Security;
use super::{BootstrapError, Fault, Files, ServerUri};

/// How the connection to a server is secured: the first supported entry of `channel_creds`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelCredentials {
    /// `insecure`: no TLS.
    Insecure,
    /// `tls` (A65): TLS, with the system's roots unless the files name others.
    ///
    /// `google_default` is read as `tls` without files. The Google access token that gRPC would add
    /// is not: a server that insists on it refuses the stream.
    Tls(Files),
}

impl ChannelCredentials {
    /// The first supported of `list`, which must not contradict the scheme of `uri`.
    pub(super) fn parse(list: &Field<'_>, uri: Option<&ServerUri>) -> Result<Self, BootstrapError> {
        let elements = list.elements()?;
        if elements.is_empty() {
            return Err(list.error(Fault::Empty));
        }
        for element in elements {
            let kind = element.required("type")?;
            let credentials = match kind.string()? {
                "insecure" => Self::Insecure,
                "google_default" => Self::Tls(Files::default()),
                "tls" => {
                    let config = element.optional("config");
                    Self::Tls(config.map_or(Ok(Files::default()), |config| files(&config))?)
                }
                _ => continue,
            };
            return match (&credentials, uri.map(ServerUri::security)) {
                (Self::Insecure, Some(Security::Tls))
                | (Self::Tls(_), Some(Security::Plaintext)) => {
                    Err(kind.error(Fault::CredentialsAgainstScheme))
                }
                _ => Ok(credentials),
            };
        }
        Err(list.error(Fault::NoSupportedCredentials))
    }
}

fn files(config: &Field<'_>) -> Result<Files, BootstrapError> {
    let files = Files::parse(config)?;
    let has_authorities = files.ca_certificate.is_some() || files.spiffe_trust_bundle_map.is_some();
    match files.crl.is_some() && !has_authorities {
        // Of the system's authorities it would go unheeded.
        true => Err(config.error(Fault::CrlWithoutAuthorities)),
        false => Ok(files),
    }
}

/// What is sent with each stream besides: every supported entry of `call_creds` (A97).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CallCredentials {
    /// `jwt_token_file`: the token in the file, sent as a bearer token, and only over TLS.
    JwtTokenFile(PathBuf),
}

impl CallCredentials {
    /// Every supported entry of the member `call_creds` of `server`.
    pub(super) fn parse_all(server: &Field<'_>) -> Result<Vec<Self>, BootstrapError> {
        let Some(list) = server.optional("call_creds") else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for element in list.elements()? {
            if element.required("type")?.string()? == "jwt_token_file" {
                let file = element.required("config")?.required("jwt_token_file")?;
                if file.string()?.is_empty() {
                    return Err(file.error(Fault::Empty));
                }
                all.push(Self::JwtTokenFile(file.string()?.into()));
            }
        }
        Ok(all)
    }
}
