//! Resolves the names of `STRICT_DNS` and `LOGICAL_DNS` clusters, again and again.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::edges::Network;
use crate::graph::Resolve;
use crate::name::ResourceName;

/// The shortest time between two resolutions of a name that fails.
const MIN_RETRY: Duration = Duration::from_secs(1);

/// Bound on one resolution.
const TIMEOUT: Duration = Duration::from_secs(20);

/// An answer for one of a cluster's names.
pub(super) struct Resolved {
    pub(super) cluster: ResourceName,
    /// The number of the resolution. What one that was replaced still has to say is of other names.
    pub(super) number: u64,
    pub(super) host: usize,
    pub(super) result: Result<Vec<IpAddr>, Arc<str>>,
}

/// Stops the resolution when it is dropped.
pub(super) struct Resolution {
    pub(super) number: u64,
    task: AbortHandle,
}

impl Drop for Resolution {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Resolves until the [`Resolution`] is dropped.
pub(super) fn start(
    resolve: Resolve,
    number: u64,
    network: Arc<dyn Network>,
    answers: mpsc::Sender<Resolved>,
) -> Resolution {
    let task = tokio::spawn(run(resolve, number, network, answers)).abort_handle();
    Resolution { number, task }
}

async fn run(
    resolve: Resolve,
    number: u64,
    network: Arc<dyn Network>,
    answers: mpsc::Sender<Resolved>,
) {
    let mut names = JoinSet::new();
    for (host, name) in resolve.hosts.iter().enumerate() {
        let (cluster, network) = (resolve.cluster.clone(), network.clone());
        let answers = answers.clone();
        let (name, refresh) = (name.host.clone(), resolve.refresh);
        names.spawn(async move {
            loop {
                let result = look_up(&name, &*network).await;
                let pause = if result.is_ok() { refresh } else { refresh.max(MIN_RETRY) };
                let resolved = Resolved { cluster: cluster.clone(), number, host, result };
                if answers.send(resolved).await.is_err() {
                    return;
                }
                tokio::time::sleep(pause).await;
            }
        });
    }
    while names.join_next().await.is_some() {}
}

async fn look_up(name: &str, network: &dyn Network) -> Result<Vec<IpAddr>, Arc<str>> {
    let failed = |why: String| Arc::from(format!("cannot resolve {name}: {why}"));
    match tokio::time::timeout(TIMEOUT, network.look_up(name)).await {
        Ok(Ok(mut addresses)) => {
            // The resolver rotates its answers; endpoints keep their order.
            addresses.sort_unstable();
            addresses.dedup();
            match addresses.is_empty() {
                true => Err(failed("it has no addresses".into())),
                false => Ok(addresses),
            }
        }
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no answer within {TIMEOUT:?}"))),
    }
}
