//! The end of a server: not ready, then draining, then gone.

use std::time::Duration;

use tokio::task::JoinSet;

/// Waits for `connections` to end, and ends those that are left after `timeout`.
pub(super) async fn finish(mut connections: JoinSet<()>, timeout: Duration) {
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(timeout, all).await.is_err() {
        tracing::warn!(left = connections.len(), "connections broken off: draining took too long");
        connections.shutdown().await;
    }
}
