//! What has reached the handlers.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

/// Calls by case.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<HashMap<String, Case>>);

#[derive(Debug, Default)]
struct Case {
    calls: u64,
    ids: HashMap<String, u64>,
    /// Calls whose stream ended before their answer did.
    cancelled: u64,
    connections: HashSet<String>,
    release: Arc<Notify>,
}

impl Ledger {
    /// Counts a call, which came by `connection`.
    pub(super) fn enter(self: &Arc<Self>, case: &str, id: &str, connection: &str) -> Entry {
        let mut cases = self.0.lock().unwrap();
        let counts = cases.entry(case.into()).or_default();
        counts.calls += 1;
        *counts.ids.entry(id.into()).or_default() += 1;
        counts.connections.insert(connection.into());
        Entry { ledger: self.clone(), case: case.into(), is_answered: false }
    }

    /// What a handler of the case waits for that reads only when it is told to.
    pub(super) fn release(&self, case: &str) -> Arc<Notify> {
        self.0.lock().unwrap().entry(case.into()).or_default().release.clone()
    }

    /// Everything about a case in words and numbers.
    pub(super) fn report(&self, case: &str) -> String {
        let mut cases = self.0.lock().unwrap();
        let case = cases.entry(case.into()).or_default();
        let mut text = format!("calls {} cancelled {}", case.calls, case.cancelled);
        let twice = case.calls - case.ids.len() as u64;
        write!(text, " twice {twice} connections {}", case.connections.len()).unwrap();
        text
    }
}

/// A call under way.
#[derive(Debug)]
pub(super) struct Entry {
    ledger: Arc<Ledger>,
    case: String,
    is_answered: bool,
}

impl Entry {
    /// The answer has come to its end.
    pub(super) fn end(&mut self) {
        self.is_answered = true;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.is_answered {
            let mut cases = self.ledger.0.lock().unwrap();
            cases.entry(std::mem::take(&mut self.case)).or_default().cancelled += 1;
        }
    }
}
