//! What a source gives, and who hears that it has changed.

use std::sync::Arc;

use mesh_core::identity::{Feed, Material, Source};
use mesh_core::record::{Event, Recorder, Renewal};

use super::material;

/// The end of a [`Feed`] that a source writes to. Tells the log and the recorder what happens.
pub(super) struct Renewals {
    name: Arc<str>,
    feed: Arc<Feed>,
    recorder: Option<Arc<dyn Recorder>>,
}

impl Renewals {
    /// Of the certificate provider called `name`.
    pub(super) fn new(
        name: Arc<str>,
        feed: Arc<Feed>,
        recorder: Option<Arc<dyn Recorder>>,
    ) -> Self {
        Self { name, feed, recorder }
    }

    /// Whether there is something that handshakes can use.
    pub(super) fn is_in_force(&self) -> bool {
        self.feed.current().is_ok()
    }

    /// Gives `material` from now on, unless it is what is in force already.
    pub(super) fn publish(&self, material: Material) {
        if self.feed.current().is_ok_and(|current| is_same(&current, &material)) {
            return;
        }
        let expires = material::expires(&material);
        self.feed.publish(material);
        tracing::info!(provider = &*self.name, "certificates renewed");
        self.tell(Renewal::Renewed { expires });
    }

    /// Nothing new could be had, because of `why`: what is in force stays.
    pub(super) fn fail(&self, why: &str) {
        if !self.is_in_force() {
            // There is nothing to fall back on: say what it takes.
            self.feed.withdraw(why);
        }
        tracing::warn!(provider = &*self.name, why, "certificates not renewed");
        self.tell(Renewal::Failed(why));
    }

    /// There is no identity any more, because of `why`: no further handshake succeeds.
    #[cfg(feature = "ads")]
    pub(super) fn withdraw(&self, why: &str) {
        let was_in_force = self.is_in_force();
        self.feed.withdraw(why);
        tracing::warn!(provider = &*self.name, why, "certificates withdrawn");
        self.tell(match was_in_force {
            true => Renewal::Withdrawn(why),
            false => Renewal::Failed(why),
        });
    }

    fn tell(&self, change: Renewal<'_>) {
        if let Some(recorder) = &self.recorder {
            recorder.record(&Event::Identity { provider: &self.name, change });
        }
    }
}

fn is_same(one: &Material, other: &Material) -> bool {
    let identities_are = match (&one.identity, &other.identity) {
        (Some(one), Some(other)) => {
            one.chain == other.chain && one.key.secret_der() == other.key.secret_der()
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    identities_are && one.trust == other.trust && one.crls == other.crls
}
