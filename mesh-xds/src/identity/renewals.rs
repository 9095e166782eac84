//! What a source gives, and who hears that it has changed.

use std::sync::Arc;
use std::time::SystemTime;

use mesh_core::identity::{Feed, Material, Source};
use mesh_core::record::{Event, Recorder, Renewal};

use super::material;

/// The end of a [`Feed`] that a source writes to. Tells the log and the recorder what happens.
pub(super) struct Renewals {
    feed: Arc<Feed>,
    told: Told,
}

/// The log and the recorder, which hear of what happens to the certificates of one provider.
pub(crate) struct Told {
    name: Arc<str>,
    recorder: Option<Arc<dyn Recorder>>,
}

impl Renewals {
    /// Of the certificate provider called `name`.
    pub(super) fn new(
        name: Arc<str>,
        feed: Arc<Feed>,
        recorder: Option<Arc<dyn Recorder>>,
    ) -> Self {
        Self { feed, told: Told::new(name, recorder) }
    }

    /// Whether there is something that handshakes can use.
    pub(super) fn is_in_force(&self) -> bool {
        self.feed.current().is_ok()
    }

    /// Gives `material` from now on, unless it is what is in force already.
    pub(super) fn publish(&self, material: Material) {
        if self.feed.current().is_ok_and(|current| current.is_same(&material)) {
            return;
        }
        let expires = material::expires(&material);
        self.feed.publish(material);
        self.told.renewed(expires);
    }

    /// Nothing new could be had, because of `why`: what is in force stays.
    pub(super) fn fail(&self, why: &str) {
        if !self.is_in_force() {
            // There is nothing to fall back on: say what it takes.
            self.feed.withdraw(why);
        }
        self.told.failed(why);
    }

    /// There is no identity any more, because of `why`: no further handshake succeeds.
    #[cfg(feature = "ads")]
    pub(super) fn withdraw(&self, why: &str) {
        let was_in_force = self.is_in_force();
        self.feed.withdraw(why);
        match was_in_force {
            true => self.told.withdrawn(why),
            false => self.told.failed(why),
        }
    }
}

impl Told {
    /// Of the certificate provider called `name`.
    pub(crate) fn new(name: Arc<str>, recorder: Option<Arc<dyn Recorder>>) -> Self {
        Self { name, recorder }
    }

    /// There are new ones, of which the own one expires then.
    pub(crate) fn renewed(&self, expires: Option<SystemTime>) {
        tracing::info!(provider = &*self.name, "certificates renewed");
        self.tell(Renewal::Renewed { expires });
    }

    /// Nothing new could be had.
    pub(crate) fn failed(&self, why: &str) {
        tracing::warn!(provider = &*self.name, why, "certificates not renewed");
        self.tell(Renewal::Failed(why));
    }

    /// There are none any more.
    #[cfg(feature = "ads")]
    pub(crate) fn withdrawn(&self, why: &str) {
        tracing::warn!(provider = &*self.name, why, "certificates withdrawn");
        self.tell(Renewal::Withdrawn(why));
    }

    fn tell(&self, change: Renewal<'_>) {
        if let Some(recorder) = &self.recorder {
            recorder.record(&Event::Identity { provider: &self.name, change });
        }
    }
}
