//! The certificate providers of a mesh, where TLS is built.

#[cfg(feature = "tls")]
use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_core::record::Recorder;
use tokio::runtime::Handle;

#[cfg(feature = "ads")]
use crate::bootstrap::Bootstrap;
#[cfg(feature = "tls")]
use crate::bootstrap::CertificateProvider;
#[cfg(feature = "tls")]
use crate::identity::{FileWatcher, Identities, Watched};

/// The certificate providers of a mesh. Without TLS there are none, so that whatever refers to one
/// is refused.
#[derive(Clone)]
#[cfg_attr(
    not(any(feature = "ads", feature = "tls")),
    expect(dead_code, reason = "only certificate providers need them")
)]
pub(crate) struct Providers {
    #[cfg(feature = "tls")]
    pub(crate) identities: Arc<Identities>,
    pub(crate) handle: Handle,
    pub(crate) recorder: Option<Arc<dyn Recorder>>,
}

impl Providers {
    /// Starts those that `bootstrap` names. Those from code win.
    #[cfg(feature = "ads")]
    #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "there are none"))]
    pub(crate) fn adopt(&self, bootstrap: &Bootstrap) {
        #[cfg(feature = "tls")]
        self.start(&bootstrap.certificate_providers);
    }

    #[cfg(feature = "tls")]
    #[cfg_attr(not(feature = "ads"), expect(dead_code, reason = "nobody has a bootstrap"))]
    fn start(&self, all: &BTreeMap<String, CertificateProvider>) {
        let known = self.identities.names();
        for (name, provider) in
            all.iter().filter(|(name, _)| !known.contains(&name.as_str().into()))
        {
            let CertificateProvider::FileWatcher(files) = provider;
            let watched = Watched {
                name: name.as_str().into(),
                files: files.clone(),
                crypto: self.identities.crypto().clone(),
                recorder: self.recorder.clone(),
            };
            let source = FileWatcher::start(watched, &self.handle);
            self.identities.insert(name.as_str(), Arc::new(source));
        }
    }

    /// The names of all.
    #[cfg(feature = "ads")]
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        #[cfg(feature = "tls")]
        return self.identities.names();
        #[cfg(not(feature = "tls"))]
        return Vec::new();
    }
}
