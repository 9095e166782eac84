//! Whom a server has refused.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_core::record::{Event, Recorder};

/// Says on stderr why connections were refused, and counts them.
#[derive(Debug, Default)]
pub(crate) struct Refusals(AtomicU64);

impl Recorder for Refusals {
    fn record(&self, event: &Event<'_>) {
        if let Event::Refused { remote, why } = event {
            self.0.fetch_add(1, Ordering::Relaxed);
            let remote = remote.map_or_else(|| "-".to_owned(), |remote| remote.to_string());
            eprintln!("refused {remote}: {why}");
        }
    }
}

/// As Prometheus reads it.
impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = "mesh_echo_refused_connections_total";
        writeln!(f, "# TYPE {name} counter")?;
        writeln!(f, "{name} {}", self.0.load(Ordering::Relaxed))
    }
}
