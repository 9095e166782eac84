//! Policies in files, for servers whose listeners come from elsewhere.

use std::path::Path;
use std::time::{Instant, SystemTime};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use crate::file::{Enforcer, FileError, FileResource, WatchOptions, Watcher, Why};
use crate::parse::Registry;

/// Policies in files that a guard enforces, for as long as this lives.
pub(super) struct Policies(AbortHandle);

impl Policies {
    /// Reads the policies at `path`, and again on `handle` whenever they change.
    pub(super) fn start(
        path: &Path,
        registry: &Registry,
        enforcer: Enforcer,
        handle: &Handle,
    ) -> Result<Self, FileError> {
        let options = WatchOptions::default();
        let (first, mut watcher) = Watcher::open(path, options, registry.clone(), handle)?;
        enforcer.enforce(only_policies(&first)?, now());
        let follow = async move {
            while let Some(update) = watcher.next().await {
                match update.and_then(|all| only_policies(&all).map(<[_]>::to_vec)) {
                    Ok(policies) => {
                        enforcer.enforce(&policies, now());
                        tracing::info!("policies read again");
                    }
                    Err(error) => {
                        tracing::warn!(%error, "policies refused, those before them stay");
                    }
                }
            }
        };
        Ok(Self(handle.spawn(follow).abort_handle()))
    }
}

impl Drop for Policies {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn now() -> (SystemTime, Instant) {
    (SystemTime::now(), tokio::time::Instant::now().into_std())
}

/// Refuses what would have no effect.
fn only_policies(resources: &[FileResource]) -> Result<&[FileResource], FileError> {
    let is_policy =
        |it: &FileResource| it.is_authorization() || it.is_break_glass() || it.is_tenancy();
    match resources.iter().find(|it| !is_policy(it)) {
        Some(other) => {
            let why = Why::NotAResource("only policies may be here".to_owned());
            let line = Some(other.origin.line);
            Err(FileError::new(other.origin.file.clone(), line, why))
        }
        None => Ok(resources),
    }
}
