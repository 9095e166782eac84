//! When to stop.

/// Resolves when the process is asked to end: by SIGTERM or SIGINT (Ctrl-C).
///
/// Where no handler can be installed it never resolves, and the operating system's default ends the
/// process.
///
/// # Cancel safety
/// Dropping the future loses nothing. A signal that came once the first call was polled no longer
/// ends the process by itself.
pub async fn terminate() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let term = signal(SignalKind::terminate());
        let interrupt = signal(SignalKind::interrupt());
        match (term, interrupt) {
            (Ok(mut term), Ok(mut interrupt)) => {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            (term, interrupt) => {
                let error = term.err().or(interrupt.err());
                tracing::error!(?error, "signals cannot be waited for");
                std::future::pending().await
            }
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
