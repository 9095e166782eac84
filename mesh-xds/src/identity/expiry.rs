//! Certificates that nobody replaces in time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::cell::Listen;
use mesh_core::identity::{Lifetime, Material, Source, Urgency};
use mesh_core::record::{Event, Recorder, Renewal};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::clock::Clock;
use crate::tls::leaf;

/// The longest sleep: the time of day may be set.
const MAX_SLEEP: Duration = Duration::from_secs(60);

/// When what `material` presents can be used: as long as each certificate of its chain.
pub(super) fn lifetime(material: &Material) -> Option<Lifetime> {
    let identity = material.identity.as_ref()?;
    let mut chain = identity.chain.iter().filter_map(|der| leaf(der).ok());
    let own = chain.next()?;
    let until = chain.map(|above| above.not_after).fold(own.not_after, Ord::min);
    Some(Lifetime { from: own.not_before, until })
}

/// Watches over the certificates of one provider until it is dropped: tells the log and the recorder
/// when one should have been replaced, and when it has expired.
pub(crate) struct Watch(AbortHandle);

impl Watch {
    pub(super) fn start(
        name: Arc<str>,
        source: Arc<dyn Source>,
        recorder: Option<Arc<dyn Recorder>>,
        (clock, handle): (Clock, &Handle),
    ) -> Self {
        let watch = run(name, source, recorder, clock);
        Self(handle.spawn(watch).abort_handle())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

async fn run(
    name: Arc<str>,
    source: Arc<dyn Source>,
    recorder: Option<Arc<dyn Recorder>>,
    clock: Clock,
) {
    let wake = Arc::new(Wake(Notify::new()));
    let listener: Arc<dyn Listen> = wake.clone();
    source.listen(&listener);
    let mut told: Option<(Lifetime, Urgency)> = None;
    loop {
        let found = source.current().ok().and_then(|material| lifetime(&material));
        let now = clock.now();
        let pause = match found {
            Some(lifetime) => {
                let urgency = lifetime.urgency(now);
                let known = told.filter(|(of, _)| *of == lifetime);
                if let Some(change) = news(known.map(|(_, known)| known), urgency, &lifetime) {
                    tracing::warn!(provider = &*name, ?change, "certificates not renewed in time");
                    if let Some(recorder) = &recorder {
                        recorder.record(&Event::Identity { provider: &name, change });
                    }
                }
                told = Some((lifetime, urgency));
                let next = lifetime.next_change(now);
                next.and_then(|next| next.duration_since(now).ok()).unwrap_or(MAX_SLEEP)
            }
            None => MAX_SLEEP,
        };
        // Whichever comes first leads to another look.
        drop(tokio::time::timeout(pause.min(MAX_SLEEP), wake.0.notified()).await);
    }
}

/// What is to be told of a certificate of which `known` has been told.
fn news(known: Option<Urgency>, urgency: Urgency, of: &Lifetime) -> Option<Renewal<'static>> {
    let known = known.unwrap_or(Urgency::None);
    let at = of.until;
    if urgency >= Urgency::Over {
        return (known < Urgency::Over).then_some(Renewal::Expired { at });
    }
    (urgency >= Urgency::Late && known < Urgency::Late).then_some(Renewal::Expiring { at })
}

struct Wake(Notify);

impl Listen for Wake {
    fn published(&self) {
        self.0.notify_one();
    }
}
