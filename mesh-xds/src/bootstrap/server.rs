//! The management servers, and the services that side calls may go to.

use super::json::Field;
use super::target::Template;
use super::{BootstrapError, CallCredentials, ChannelCredentials, Fault, ServerUri, percent};

/// One management server. Equal servers share one stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Server {
    /// Where it is.
    pub uri: ServerUri,
    /// How the connection is secured.
    pub channel_credentials: ChannelCredentials,
    /// What is sent with each stream besides.
    pub call_credentials: Vec<CallCredentials>,
    /// How it is to be treated.
    pub features: ServerFeatures,
}

/// What `server_features` lists. Unknown features are ignored, and so is `xds_v3`: there is nothing
/// else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ServerFeatures {
    /// A53: deleted resources are kept and their deletion is not an error.
    pub ignore_resource_deletion: bool,
    /// A81: resources of this server may rewrite the authority of requests.
    pub trusted_xds_server: bool,
    /// A88: a data error takes the cached resource away.
    pub fail_on_data_errors: bool,
    /// A88: a resource that is never sent counts as late, not as absent.
    pub resource_timer_is_transient_error: bool,
    /// Ours: use incremental ADS.
    pub delta: bool,
}

/// Who answers for the `xdstp` names of one authority (A47).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authority {
    /// Its servers by falling priority; the top-level ones if it names none. Not empty.
    pub servers: Vec<Server>,
    /// A95: a lower server is used only while a higher one cannot be reached.
    pub fallback_on_reachability_only: bool,
    pub(super) client_listener: Template,
}

/// A service that resources may name for side calls (A102).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrpcService {
    /// How connections are secured.
    pub channel_credentials: ChannelCredentials,
    /// What is sent with each call besides.
    pub call_credentials: Vec<CallCredentials>,
}

impl Server {
    fn parse(field: &Field<'_>) -> Result<Self, BootstrapError> {
        let text = field.required("server_uri")?;
        if text.string()?.is_empty() {
            return Err(text.error(Fault::Empty));
        }
        let uri = ServerUri::parse(text.string()?).map_err(|error| text.error(error))?;
        let credentials = field.required("channel_creds")?;
        Ok(Self {
            channel_credentials: ChannelCredentials::parse(&credentials, Some(&uri))?,
            call_credentials: CallCredentials::parse_all(field)?,
            features: ServerFeatures::parse(field)?,
            uri,
        })
    }
}

impl ServerFeatures {
    fn parse(server: &Field<'_>) -> Result<Self, BootstrapError> {
        let mut features = Self::default();
        let Some(list) = server.optional("server_features") else { return Ok(features) };
        for feature in list.elements()? {
            match feature.string()? {
                "ignore_resource_deletion" => features.ignore_resource_deletion = true,
                "trusted_xds_server" => features.trusted_xds_server = true,
                "fail_on_data_errors" => features.fail_on_data_errors = true,
                "resource_timer_is_transient_error" => {
                    features.resource_timer_is_transient_error = true;
                }
                "delta" => features.delta = true,
                _ => {}
            }
        }
        Ok(features)
    }
}

impl Authority {
    pub(super) fn parse(
        name: &str,
        field: &Field<'_>,
        default: &[Server],
    ) -> Result<Self, BootstrapError> {
        field.object()?;
        let prefix = format!("xdstp://{}/", percent::encode_authority(name));
        let client_listener = match field.optional("client_listener_resource_name_template") {
            Some(template) if !template.string()?.is_empty() => {
                if !template.string()?.starts_with(&prefix) {
                    return Err(template.error(Fault::TemplatePrefix { prefix }));
                }
                Template::new(template.string()?)
            }
            _ => Template::new(&format!("{prefix}envoy.config.listener.v3.Listener/%s")),
        };
        let own = match field.optional("xds_servers") {
            Some(list) if !list.elements()?.is_empty() => servers(&list)?,
            _ => default.to_vec(),
        };
        let only = field.optional("fallback_on_reachability_only").map(|only| only.bool());
        Ok(Self {
            servers: own,
            fallback_on_reachability_only: only.transpose()?.unwrap_or(false),
            client_listener,
        })
    }
}

impl GrpcService {
    pub(super) fn parse(field: &Field<'_>) -> Result<Self, BootstrapError> {
        let credentials = field.required("channel_creds")?;
        Ok(Self {
            channel_credentials: ChannelCredentials::parse(&credentials, None)?,
            call_credentials: CallCredentials::parse_all(field)?,
        })
    }
}

/// A list of servers, which may not be empty.
pub(super) fn servers(list: &Field<'_>) -> Result<Vec<Server>, BootstrapError> {
    let elements = list.elements()?;
    if elements.is_empty() {
        return Err(list.error(Fault::Empty));
    }
    elements.iter().map(Server::parse).collect()
}
