//! The targets of a client by their authorities.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mesh_core::snapshot::Presence;

use crate::client::{Options, OutboundPolicy, Target};
use crate::error::{Error, Kind};
use crate::runtime;

/// How long an authority may be without configuration, from its first use.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// How long what may be in the mesh is waited for without a deadline. Longer than its listener may
/// stay out (15 s, gRFC A57), so that its absence is known.
const MAX_PATIENCE: Duration = Duration::from_secs(30);

/// How many authorities are kept at the most.
pub(super) const MAX: usize = 1024;

/// Makes the target of an authority.
pub(crate) type Open = Box<dyn Fn(&str) -> Result<Target, Error> + Send + Sync>;

type Map = HashMap<Arc<str>, Arc<Entry>>;

/// The targets of a client by their authorities, which are found without a lock.
pub(super) struct Targets {
    map: ArcSwap<Map>,
    /// Held while a map with one more authority takes the place of the one before.
    change: Mutex<()>,
    open: Open,
}

/// An authority that some request has named.
pub(super) struct Entry {
    pub(super) target: Target,
    first_used: Instant,
    /// Whether it was used again since room was last made.
    used: AtomicBool,
}

impl Targets {
    pub(super) fn new(open: Open) -> Self {
        Self { map: ArcSwap::default(), change: Mutex::new(()), open }
    }

    /// Does `then` with the target of `authority`.
    ///
    /// # Errors
    /// When there can be none of this name.
    pub(super) fn with<R>(
        &self,
        authority: &str,
        then: impl FnOnce(&Arc<Entry>) -> R,
    ) -> Result<R, Error> {
        if let Some(entry) = self.map.load().get(authority) {
            // Not stored each time: readers on several cores would take the line from each other.
            if !entry.used.load(Ordering::Relaxed) {
                entry.used.store(true, Ordering::Relaxed);
            }
            return Ok(then(entry));
        }
        self.add(authority).map(|entry| then(&entry))
    }

    #[cold]
    fn add(&self, authority: &str) -> Result<Arc<Entry>, Error> {
        // Outside of the lock. If somebody else is faster, this target is dropped again.
        let entry = Arc::new(Entry {
            target: (self.open)(authority)?,
            first_used: runtime::now(),
            used: AtomicBool::new(false),
        });
        let _change = self.change.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.map.load_full();
        if let Some(known) = old.get(authority) {
            return Ok(known.clone());
        }
        let mut map = Map::clone(&old);
        if map.len() >= MAX {
            make_room(&mut map);
        }
        map.insert(authority.into(), entry.clone());
        self.map.store(Arc::new(map));
        Ok(entry)
    }
}

/// Forgets what was not used since the last time, or else what came first.
fn make_room(map: &mut Map) {
    map.retain(|_, entry| entry.used.swap(false, Ordering::Relaxed));
    if map.len() >= MAX {
        let oldest = map.iter().min_by_key(|(_, entry)| entry.first_used);
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            map.remove(&name);
        }
    }
}

impl Entry {
    /// Waits for configuration, as long as the authority and `options` allow.
    ///
    /// What is known to be in the mesh is waited for as any target is; with a `policy` that lets
    /// others out, also that of which nothing is known.
    pub(super) async fn configured(
        &self,
        options: Options,
        policy: OutboundPolicy,
    ) -> Result<(), Error> {
        let now = runtime::now();
        let last = options.deadline.unwrap_or(now + MAX_PATIENCE);
        // Once more after each while: somebody may have said by then that there is none.
        let mut until = self.first_used.max(now.checked_sub(PATIENCE).unwrap_or(now)) + PATIENCE;
        let error = loop {
            let deadline = Some(last.min(until));
            let error = match self.target.ready(Options { deadline, ..options }).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if error.is_deadline() && last < until {
                return Err(error);
            }
            let in_mesh = match self.target.presence() {
                Presence::Present => true,
                Presence::Unknown => policy != OutboundPolicy::RegistryOnly,
                Presence::Absent | Presence::Unreachable => false,
            };
            match (in_mesh, error.is_deadline() && until < last) {
                (false, _) => break error,
                (true, true) => until += PATIENCE,
                (true, false) if error.is_deadline() && options.deadline.is_none() => {
                    return Err(Error::new(Kind::NoConfig, error.to_string()));
                }
                (true, false) => return Err(error),
            }
        };
        let why = format!("{} has no configuration in the mesh: {error}", self.target.authority());
        Err(Error::with(Kind::Outside, why, error))
    }
}
