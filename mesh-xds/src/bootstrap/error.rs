//! What can be wrong with a bootstrap.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::ServerUriError;

/// Why there is no bootstrap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// Neither of the two environment variables is set.
    #[error("neither GRPC_XDS_BOOTSTRAP nor GRPC_XDS_BOOTSTRAP_CONFIG is set")]
    NotSet,
    /// An environment variable is not UTF-8.
    #[error("environment variable {0} is not UTF-8")]
    NotUnicode(&'static str),
    /// The file cannot be read.
    #[error("cannot read bootstrap file {}: {kind}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong; `InvalidData` if it is not UTF-8.
        kind: ErrorKind,
    },
    /// The file is larger than a bootstrap can be.
    #[error("bootstrap file {} is larger than {limit} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// What is in a file or an environment variable is no bootstrap.
    #[error("{origin}: {problem}")]
    In {
        /// The file or the variable.
        origin: String,
        /// What is wrong with it.
        problem: Box<BootstrapError>,
    },
    /// The text is not JSON.
    #[error("bootstrap is not JSON: {message} at line {line} column {column}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 at the end of a line.
        column: usize,
        /// What the parser expected.
        message: String,
    },
    /// A field has a wrong value.
    #[error("{path}: {fault}")]
    Field {
        /// Where: `xds_servers[0].channel_creds`.
        path: String,
        /// What is wrong with it.
        fault: Fault,
    },
}

impl BootstrapError {
    /// The same, said of what stands in `origin`.
    pub(super) fn within(self, origin: impl Into<String>) -> Self {
        Self::In { origin: origin.into(), problem: Box::new(self) }
    }
}

impl From<serde_json::Error> for BootstrapError {
    fn from(error: serde_json::Error) -> Self {
        let position = format!(" at line {} column {}", error.line(), error.column());
        let text = error.to_string();
        Self::Syntax {
            line: error.line(),
            column: error.column(),
            message: text.strip_suffix(&position).unwrap_or(&text).to_owned(),
        }
    }
}

/// What is wrong with a field of the bootstrap.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The field is required.
    #[error("missing")]
    Missing,
    /// The field may not be empty.
    #[error("empty")]
    Empty,
    /// The value has another JSON type.
    #[error("expected {0}")]
    Expected(&'static str),
    /// The value is not a duration such as `600s` or `1.5s`, above zero.
    #[error("expected a duration above zero such as \"600s\"")]
    Duration,
    /// None of the listed credentials is one we know.
    #[error("none of the types is supported (insecure, tls, google_default)")]
    NoSupportedCredentials,
    /// The credentials contradict the scheme of the server's URI.
    #[error("contradicts the scheme of server_uri")]
    CredentialsAgainstScheme,
    /// A certificate without its key, or the other way round.
    #[error("certificate_file and private_key_file must both be set or both be absent")]
    HalfIdentity,
    /// Revocation lists for the authorities of the operating system.
    #[error("crl_file needs ca_certificate_file or spiffe_trust_bundle_map_file")]
    CrlWithoutAuthorities,
    /// A certificate provider that provides nothing.
    #[error("names neither a certificate nor certificate authorities")]
    NothingToProvide,
    /// A socket that is not in the file system of this machine.
    #[error("expected the path of a socket, or a URI such as \"unix:///run/agent.sock\"")]
    Socket,
    /// The server's URI cannot be used.
    #[error(transparent)]
    ServerUri(#[from] ServerUriError),
    /// The listener template of an authority leads out of it.
    #[error("must start with \"{prefix}\"")]
    TemplatePrefix {
        /// What it must start with.
        prefix: String,
    },
}
