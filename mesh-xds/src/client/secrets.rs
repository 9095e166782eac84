//! Secrets that resources name, as handshakes find them.

use std::sync::Arc;

use mesh_core::identity::Provider;
use mesh_core::record::Recorder;

use crate::graph::SecretNews;
use crate::identity::{Identities, Told};
use crate::name::ResourceName;
use crate::providers::Providers;

/// Hands secrets over, and tells the log and the recorder what happens to them.
pub(super) struct Secrets {
    identities: Arc<Identities>,
    recorder: Option<Arc<dyn Recorder>>,
}

impl Secrets {
    pub(super) fn new(providers: &Providers) -> Self {
        Self { identities: providers.identities.clone(), recorder: providers.recorder.clone() }
    }

    pub(super) fn handle(&self, name: &ResourceName, news: SecretNews) {
        let told = || {
            let provider = Provider::Secret(name.as_str().into());
            Told::new(provider.to_string().into(), self.recorder.clone())
        };
        match news {
            SecretNews::Wanted(feed) => self.identities.insert_secret(name.as_str(), feed),
            SecretNews::Renewed { expires } => told().renewed(expires),
            SecretNews::Failed(why) => told().failed(&why),
            SecretNews::Withdrawn(why) => told().withdrawn(&why),
        }
    }

    /// No handshake needs it any more.
    pub(super) fn forget(&self, name: &ResourceName) {
        self.identities.remove_secret(name.as_str());
    }
}
