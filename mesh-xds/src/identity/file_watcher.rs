//! The certificate provider `file_watcher` (gRFC A29, A65, A87).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesh_core::identity::{Feed, Material, Trust};
use mesh_core::record::Recorder;
use rustls::crypto::CryptoProvider;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::fed::Fed;
use super::renewals::Renewals;
use super::{bundle_map, material};
use crate::bootstrap::Files;
use crate::watch::Watches;

/// Until files that do not go together are read again: another one may just be being written.
const RETRY: Duration = Duration::from_millis(200);

/// The same while that does not help.
const RETRY_LATER: Duration = Duration::from_secs(5);

/// A file larger than this is none of ours.
const MAX_FILE: u64 = 1 << 20;

/// Reads an identity and authorities from files, and again when they change.
///
/// Files are read when the operating system says that they have changed (written in place, renamed
/// over, or behind a symbolic link that is swapped, as Kubernetes does), and every
/// `refresh_interval`, which is all there is where the operating system watches no more files. They
/// are taken as a whole: with a key that is not that of the certificate, or anything that cannot be
/// read, what was there before stays in force.
pub struct Watched {
    /// The name of the certificate provider.
    pub name: Arc<str>,
    /// Its files.
    pub files: Files,
    /// What loads the keys.
    pub crypto: Arc<CryptoProvider>,
    /// Is told of renewals.
    pub recorder: Option<Arc<dyn Recorder>>,
}

impl Watched {
    /// Reads the files, which need not be there yet, and watches them on `handle` until the source
    /// is dropped.
    #[must_use]
    pub fn start(self, handle: &Handle) -> Fed {
        let feed = Arc::new(Feed::empty("its files have not been read yet"));
        let changed = Arc::new(Notify::new());
        // First the watches: what happens after them is seen, what happened before is read.
        let mut watches = Watches::new(paths(&self.files), changed.clone());
        if let Err(error) = watches.renew() {
            let provider = &*self.name;
            tracing::warn!(provider, %error, "certificate files are only read at intervals");
        }
        let (name, recorder) = (self.name.clone(), self.recorder.clone());
        let renewals = Renewals::new(name, feed.clone(), recorder);
        let mut follower = Follower { watched: self, renewals, last: None, is_failing: false };
        let pause = follower.turn(read(&follower.watched.files));
        let task = handle.spawn(follower.run(watches, changed, pause)).abort_handle();
        Fed::new(feed, task)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The task that reads again.
struct Follower {
    watched: Watched,
    renewals: Renewals,
    last: Option<Contents>,
    /// The last two attempts or more failed, and that has been told.
    is_failing: bool,
}

impl Follower {
    async fn run(mut self, mut watches: Watches, changed: Arc<Notify>, first: Duration) {
        let mut pause = first;
        loop {
            // Whichever comes first leads to reading, so it does not matter which it was.
            drop(timeout_at(Instant::now() + pause, changed.notified()).await);
            let files = self.watched.files.clone();
            let reading = tokio::task::spawn_blocking(move || {
                // A directory that was replaced has kept its name but not its watch.
                if let Err(error) = watches.renew() {
                    tracing::debug!(%error, "certificate files are not watched");
                }
                (watches, read(&files))
            });
            let Ok((same, contents)) = reading.await else { return };
            watches = same;
            pause = self.turn(contents);
        }
    }

    /// Takes what was read, and says when to read again at the latest.
    fn turn(&mut self, contents: Result<Contents, String>) -> Duration {
        let taken = match contents {
            Ok(contents) if self.last.as_ref() == Some(&contents) => Ok(()),
            Ok(contents) => contents.material(&self.watched).map(|material| {
                self.last = Some(contents);
                self.renewals.publish(material);
            }),
            Err(why) => Err(why),
        };
        match taken {
            Ok(()) => {
                self.is_failing = false;
                self.watched.files.refresh_interval
            }
            Err(why) => self.failed(&why).min(self.watched.files.refresh_interval),
        }
    }

    fn failed(&mut self, why: &str) -> Duration {
        if self.renewals.is_in_force() && !std::mem::replace(&mut self.is_failing, true) {
            return RETRY;
        }
        self.renewals.fail(why);
        RETRY_LATER
    }
}

/// The bytes of all files.
#[derive(PartialEq, Eq)]
struct Contents {
    chain: Option<Vec<u8>>,
    key: Option<Zeroizing<Vec<u8>>>,
    authorities: Option<Vec<u8>>,
    bundle_map: Option<Vec<u8>>,
    crl: Option<Vec<u8>>,
}

impl Contents {
    /// What they say.
    fn material(&self, watched: &Watched) -> Result<Material, String> {
        let identity = match (&self.chain, &self.key) {
            (Some(chain), Some(key)) => Some(
                material::identity(chain, key, &watched.crypto)
                    .map_err(|why| format!("certificate_file, private_key_file: {why}"))?,
            ),
            _ => None,
        };
        // The bundle map wins (gRFC A87).
        let trust = match (&self.bundle_map, &self.authorities) {
            (Some(json), _) => {
                let (domains, faults) = bundle_map::parse(json)
                    .map_err(|why| format!("spiffe_trust_bundle_map_file: {why}"))?;
                for fault in faults {
                    tracing::warn!(provider = &*watched.name, fault, "trust bundle left out");
                }
                Trust::Domains(domains)
            }
            (None, Some(pem)) => {
                material::authorities(pem).map_err(|why| format!("ca_certificate_file: {why}"))?
            }
            (None, None) => Trust::Unknown,
        };
        let crls = self.crl.as_deref().map(material::revocation_lists).transpose();
        let crls = crls.map_err(|why| format!("crl_file: {why}"))?.unwrap_or_default();
        Ok(Material { identity, trust, crls })
    }
}

/// Reads all files, until two readings in a row are alike: between the two halves of one reading
/// a link may have been swapped.
fn read(files: &Files) -> Result<Contents, String> {
    const ATTEMPTS: usize = 5;
    let mut last = read_once(files)?;
    for _ in 0..ATTEMPTS {
        let again = read_once(files)?;
        if again == last {
            return Ok(last);
        }
        last = again;
    }
    Err("the files change while they are read".to_owned())
}

fn read_once(files: &Files) -> Result<Contents, String> {
    let (chain, key) = match &files.identity {
        Some(identity) => {
            (Some(file(&identity.certificate)?), Some(Zeroizing::new(file(&identity.private_key)?)))
        }
        None => (None, None),
    };
    let optional = |path: &Option<PathBuf>| path.as_deref().map(file).transpose();
    Ok(Contents {
        chain,
        key,
        authorities: optional(&files.ca_certificate)?,
        bundle_map: optional(&files.spiffe_trust_bundle_map)?,
        crl: optional(&files.crl)?,
    })
}

fn file(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    match u64::try_from(read) {
        Ok(read) if read <= MAX_FILE => Ok(bytes),
        _ => Err(format!("{}: larger than {MAX_FILE} bytes", path.display())),
    }
}

/// All files that there are to be.
fn paths(files: &Files) -> Vec<PathBuf> {
    let identity = files.identity.iter().flat_map(|i| [&i.certificate, &i.private_key]);
    let others = [&files.ca_certificate, &files.spiffe_trust_bundle_map, &files.crl];
    identity.chain(others.into_iter().flatten()).cloned().collect()
}
