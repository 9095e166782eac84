//! The certificate providers of a mesh, where TLS is built.

use std::sync::Arc;

#[cfg(feature = "ads")]
use mesh_core::identity::Source;
use mesh_core::record::Recorder;
use tokio::runtime::Handle;

#[cfg(feature = "ads")]
use crate::bootstrap::{Bootstrap, CertificateProvider, Node};
#[cfg(feature = "ads")]
use crate::edges::Edges;
#[cfg(feature = "tls")]
use crate::identity::Identities;
#[cfg(feature = "ads")]
use crate::identity::{AgentSettings, Watched};

/// The certificate providers of a mesh. Without TLS there are none, so that whatever refers to one
/// is refused.
#[derive(Clone)]
#[cfg_attr(
    not(feature = "ads"),
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
    pub(crate) fn adopt(&self, bootstrap: &Bootstrap, edges: &Edges) {
        let known = self.identities.names();
        let all = bootstrap.certificate_providers.iter();
        for (name, provider) in all.filter(|(name, _)| !known.contains(&name.as_str().into())) {
            let source = self.start(name, provider, (&bootstrap.node, edges));
            self.identities.insert(name.as_str(), source);
        }
    }

    #[cfg(feature = "ads")]
    fn start(
        &self,
        name: &str,
        provider: &CertificateProvider,
        (node, edges): (&Node, &Edges),
    ) -> Arc<dyn Source> {
        let (name, handle) = (Arc::from(name), &self.handle);
        let (crypto, recorder) = (self.identities.crypto().clone(), self.recorder.clone());
        match provider {
            CertificateProvider::FileWatcher(files) => {
                let watched = Watched { name, files: files.clone(), crypto, recorder };
                Arc::new(watched.start(handle))
            }
            CertificateProvider::WorkloadApi(agent) => {
                let settings = AgentSettings { name, agent: agent.clone(), crypto, recorder };
                Arc::new(settings.reached_by(edges.clone(), handle))
            }
            CertificateProvider::Sds(agent) => {
                let settings = AgentSettings { name, agent: agent.clone(), crypto, recorder };
                Arc::new(settings.reached_by(edges.clone(), node, handle))
            }
        }
    }

    /// The names of all.
    #[cfg(feature = "ads")]
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        self.identities.names()
    }
}
