//! What a process of the mesh tells of itself, a line each.

use std::sync::Arc;

use mesh_core::record::{Connection, Event, Recorder, Renewal};

/// Tells one thing. A line is written as a whole, whoever else writes.
pub(crate) fn tell(what: &str, more: &str) {
    // One line even where a reason has several.
    println!("{what} {}", more.replace('\n', " "));
}

/// Tells what happens to identities and connections.
pub(crate) fn recorder() -> Arc<dyn Recorder> {
    Arc::new(Tale)
}

struct Tale;

impl Recorder for Tale {
    #[expect(clippy::wildcard_enum_match_arm, reason = "of the rest nobody asks")]
    fn record(&self, event: &Event<'_>) {
        match event {
            Event::Refused { why, .. } => tell("refused", why),
            Event::Connection { change: Connection::Failed(why), .. } => tell("unopened", why),
            Event::Connection { change: Connection::Opened, .. } => tell("opened", ""),
            Event::Identity { change: Renewal::Renewed { .. }, .. } => tell("renewed", ""),
            Event::Identity { change: Renewal::Failed(why), .. } => tell("unrenewed", why),
            _ => {}
        }
    }
}
