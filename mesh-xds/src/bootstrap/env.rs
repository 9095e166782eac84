//! The environment, read here and nowhere else.

use std::ffi::OsString;

use super::{Bootstrap, BootstrapError};

const FILE: &str = "GRPC_XDS_BOOTSTRAP";
#[cfg(feature = "ads")]
const SPIFFE: &str = "SPIFFE_ENDPOINT_SOCKET";
const CONTENT: &str = "GRPC_XDS_BOOTSTRAP_CONFIG";

impl Bootstrap {
    /// Reads the bootstrap that the environment names: the file of `GRPC_XDS_BOOTSTRAP` if it is
    /// set, else the JSON in `GRPC_XDS_BOOTSTRAP_CONFIG`. An empty variable counts as not set.
    ///
    /// # Errors
    ///
    /// [`BootstrapError::NotSet`] if neither is set, and those of [`Bootstrap::from_file`].
    pub fn from_env() -> Result<Self, BootstrapError> {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        Self::from_variables(std::env::var_os)
    }

    fn from_variables(
        variable: impl Fn(&'static str) -> Option<OsString>,
    ) -> Result<Self, BootstrapError> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        if let Some(path) = set(FILE) {
            return Self::from_file(path);
        }
        let json = set(CONTENT).ok_or(BootstrapError::NotSet)?;
        let json = json.to_str().ok_or(BootstrapError::NotUnicode(CONTENT))?;
        Self::from_json(json).map_err(|error| error.within(CONTENT))
    }
}

/// The socket of the SPIFFE Workload API, as `SPIFFE_ENDPOINT_SOCKET` says.
#[cfg(feature = "ads")]
pub(crate) fn workload_api_socket() -> Result<super::ServerUri, String> {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    let text = std::env::var(SPIFFE).unwrap_or_default();
    if text.is_empty() {
        return Err(format!("neither socket_path nor {SPIFFE} is set"));
    }
    super::agent::socket(&text).ok_or_else(|| format!("{SPIFFE}: {}", super::Fault::Socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str =
        r#"{"xds_servers": [{"server_uri": "xds:1", "channel_creds": [{"type": "insecure"}]}]}"#;

    fn from(file: Option<&str>, content: Option<&str>) -> Result<Bootstrap, BootstrapError> {
        Bootstrap::from_variables(|name| match name {
            FILE => file.map(OsString::from),
            CONTENT => content.map(OsString::from),
            _ => None,
        })
    }

    #[test]
    fn content_is_used_without_a_file() {
        assert_eq!(from(None, Some(JSON)).unwrap().servers[0].uri.as_str(), "xds:1");
        assert_eq!(from(Some(""), Some(JSON)).unwrap().servers[0].uri.as_str(), "xds:1");
    }

    #[test]
    fn file_wins_over_content() {
        let path = std::path::PathBuf::from("/nonexistent/bootstrap.json");
        assert_eq!(
            from(path.to_str(), Some(JSON)),
            Err(BootstrapError::Read { path, kind: std::io::ErrorKind::NotFound })
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_where_it_stands() {
        let error = from(None, Some(r#"{"xds_servers": []}"#)).unwrap_err();
        assert_eq!(error.to_string(), "GRPC_XDS_BOOTSTRAP_CONFIG: xds_servers: empty");
    }

    #[test]
    fn nothing_set_is_an_error() {
        assert_eq!(from(None, None), Err(BootstrapError::NotSet));
        assert_eq!(from(Some(""), Some("")), Err(BootstrapError::NotSet));
    }
}
