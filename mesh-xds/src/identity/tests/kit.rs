//! Waiting for a source, and remembering what was told.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_core::cell::Listen;
use mesh_core::identity::{Material, Source, Unavailable};
use mesh_core::record::{Event, Recorder, Renewal};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::bootstrap::{Files, Identity};
use crate::identity::{Fed, Issued, Watched};

/// Writes down what happens to identities, without times.
#[derive(Default)]
pub(super) struct Notes {
    lines: Mutex<Vec<String>>,
    more: Notify,
}

impl Notes {
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until `count` things were told.
    pub(super) async fn until(&self, count: usize) -> Vec<String> {
        within(async {
            loop {
                let more = self.more.notified();
                if self.lines().len() >= count {
                    return self.lines();
                }
                more.await;
            }
        })
        .await
    }
}

impl Recorder for Notes {
    fn record(&self, event: &Event<'_>) {
        let Event::Identity { provider, change } = event else { return };
        let text = match change {
            Renewal::Renewed { expires: Some(_) } => "renewed".to_owned(),
            Renewal::Renewed { expires: None } => "renewed, without a certificate".to_owned(),
            Renewal::Failed(why) => format!("failed: {why}"),
            Renewal::Withdrawn(why) => format!("withdrawn: {why}"),
            Renewal::Expiring { .. } => "expiring".to_owned(),
            Renewal::Expired { .. } | _ => "expired".to_owned(),
        };
        self.lines.lock().unwrap().push(format!("{provider}: {text}"));
        self.more.notify_one();
    }
}

pub(super) struct Wake(Notify);

impl Listen for Wake {
    fn published(&self) {
        self.0.notify_one();
    }
}

/// Waits until `is_so` holds of what `source` gives.
pub(super) async fn until(
    source: &dyn Source,
    is_so: impl Fn(&Result<Arc<Material>, Unavailable>) -> bool,
) {
    let wake = Arc::new(Wake(Notify::new()));
    let listener: Arc<dyn Listen> = wake.clone();
    source.listen(&listener);
    within(async {
        while !is_so(&source.current()) {
            wake.0.notified().await;
        }
    })
    .await;
}

pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}

/// A directory with `cert.pem`, `key.pem` and `ca.pem`, and names for more.
pub(super) struct Directory(pub(super) tempfile::TempDir);

impl Directory {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(super) fn write_pair(&self, issued: &Issued) {
        write_pair(self.0.path(), issued);
    }

    pub(super) fn files(&self) -> Files {
        let (certificate, private_key) = (self.path("cert.pem"), self.path("key.pem"));
        Files {
            identity: Some(Identity { certificate, private_key }),
            ca_certificate: Some(self.path("ca.pem")),
            ..Files::default()
        }
    }
}

pub(super) fn write_pair(directory: &Path, issued: &Issued) {
    std::fs::write(directory.join("cert.pem"), issued.chain_pem()).unwrap();
    std::fs::write(directory.join("key.pem"), issued.key_pem()).unwrap();
}

pub(super) fn watch(files: Files) -> (Fed, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let recorder = Some(notes.clone() as Arc<dyn Recorder>);
    let watched = Watched { name: "default".into(), files, crypto, recorder };
    (watched.start(&Handle::current()), notes)
}

/// Whether `current` presents `issued`.
pub(super) fn presents(current: &Result<Arc<Material>, Unavailable>, issued: &Issued) -> bool {
    let material = current.as_ref().ok();
    let identity = material.and_then(|material| material.identity.as_ref());
    identity.is_some_and(|identity| identity.chain.first() == Some(issued.der()))
}
