//! Where certificates come from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::json::Field;
use super::{BootstrapError, Fault, Sds, WorkloadApi};

/// A65 and the file watcher of A29.
const DEFAULT_REFRESH: Duration = Duration::from_secs(600);

/// PEM files with an identity, with authorities, or with both, that are read again now and then.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Files {
    /// What to present to the peer; `None` to present nothing.
    pub identity: Option<Identity>,
    /// The authorities that may vouch for the peer.
    pub ca_certificate: Option<PathBuf>,
    /// The authorities by SPIFFE trust domain (A87). Wins over `ca_certificate`.
    pub spiffe_trust_bundle_map: Option<PathBuf>,
    /// Revocation lists (A69). Ours: `crl_file`.
    pub crl: Option<PathBuf>,
    /// How often the files are read again. 600 s unless given.
    pub refresh_interval: Duration,
}

/// A certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The key of the leaf.
    pub private_key: PathBuf,
}

/// One instance of `certificate_providers`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateProvider {
    /// The plugin `file_watcher`.
    FileWatcher(Files),
    /// The plugin `spiffe_workload_api`, ours.
    WorkloadApi(WorkloadApi),
    /// The plugin `sds`, ours.
    Sds(Sds),
}

impl Default for Files {
    /// No identity, the system's authorities.
    fn default() -> Self {
        Self {
            identity: None,
            ca_certificate: None,
            spiffe_trust_bundle_map: None,
            crl: None,
            refresh_interval: DEFAULT_REFRESH,
        }
    }
}

impl Files {
    pub(super) fn parse(config: &Field<'_>) -> Result<Self, BootstrapError> {
        config.object()?;
        let identity = match (config.file("certificate_file")?, config.file("private_key_file")?) {
            (None, None) => None,
            (Some(certificate), Some(private_key)) => Some(Identity { certificate, private_key }),
            (Some(_), None) | (None, Some(_)) => return Err(config.error(Fault::HalfIdentity)),
        };
        let refresh = config.optional("refresh_interval").map(|field| field.duration());
        Ok(Self {
            identity,
            ca_certificate: config.file("ca_certificate_file")?,
            spiffe_trust_bundle_map: config.file("spiffe_trust_bundle_map_file")?,
            crl: config.file("crl_file")?,
            refresh_interval: refresh.transpose()?.unwrap_or(DEFAULT_REFRESH),
        })
    }
}

/// The supported instances in the member `certificate_providers` of `root`.
pub(super) fn providers(
    root: &Field<'_>,
) -> Result<BTreeMap<String, CertificateProvider>, BootstrapError> {
    let mut providers = BTreeMap::new();
    for (name, instance) in root.entries("certificate_providers")? {
        let config = instance.optional("config");
        let provider = match instance.required("plugin_name")?.string()? {
            "file_watcher" => file_watcher(&instance.required("config")?)?,
            "spiffe_workload_api" => {
                CertificateProvider::WorkloadApi(WorkloadApi::parse(config.as_ref())?)
            }
            "sds" => CertificateProvider::Sds(Sds::parse(config.as_ref())?),
            _ => continue,
        };
        providers.insert(name.to_owned(), provider);
    }
    Ok(providers)
}

fn file_watcher(config: &Field<'_>) -> Result<CertificateProvider, BootstrapError> {
    let files = Files::parse(config)?;
    if files.identity.is_none()
        && files.ca_certificate.is_none()
        && files.spiffe_trust_bundle_map.is_none()
    {
        return Err(config.error(Fault::NothingToProvide));
    }
    Ok(CertificateProvider::FileWatcher(files))
}
