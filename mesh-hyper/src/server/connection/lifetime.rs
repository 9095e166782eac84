//! How long a connection goes on, and under which configuration.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::{Duration, Instant};

use mesh_core::snapshot::{Routing, ServerSnapshot};
use tokio::time::Sleep;

use super::standing::Standing;
use super::{Assigned, Shared};
use crate::runtime;
use crate::server::settings::Settings;
use crate::server::state::{Status, Watch};

/// How long a connection goes on, and under which configuration.
pub(super) struct Lifetime {
    status: Arc<Status>,
    watch: Watch,
    assigned: Assigned,
    standing: Standing,
    /// What its requests get once it would not be let in any more.
    barred: Option<Routing>,
    settings: Settings,
    is_draining: bool,
    /// When a drained connection is closed.
    end: Option<Instant>,
    /// When it is drained for its age.
    old: Option<Instant>,
    /// When it is looked at whether anything has been asked.
    idle: Option<Instant>,
    /// Requests at the last such look.
    seen: u64,
    alarm: Option<Pin<Box<Sleep>>>,
    is_registered: bool,
}

/// What a connection is to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    GoOn,
    /// Take nothing new; said once.
    Drain,
    /// Break off.
    Close,
}

impl Lifetime {
    pub(super) fn new(shared: &Shared, assigned: Assigned, standing: Standing) -> Self {
        let settings = shared.settings.under(&assigned.chain.connections);
        let mut lifetime = Self {
            status: shared.status.clone(),
            watch: shared.status.watch(),
            assigned,
            standing,
            barred: None,
            is_draining: false,
            end: None,
            old: settings.max_age.map(runtime::after),
            idle: settings.idle_timeout.map(runtime::after),
            settings,
            seen: 0,
            alarm: None,
            is_registered: false,
        };
        lifetime.arm();
        lifetime
    }

    /// How the server stands.
    pub(super) fn status(&self) -> &Arc<Status> {
        &self.status
    }

    /// The bounds of the connection.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What its requests are decided by.
    pub(super) fn routing(&self) -> &Routing {
        self.barred.as_ref().unwrap_or(&self.assigned.chain.routing)
    }

    /// Has a look at everything. The task is woken when there is something new.
    ///
    /// `requests` are those so far; `is_busy` says whether one is under way, and is asked rarely.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        requests: u64,
        is_busy: impl FnOnce() -> bool,
    ) -> Verdict {
        let mut verdict = Verdict::GoOn;
        if self.watch.poll(cx) && !self.stays() {
            verdict = self.drain();
        }
        let Some(alarm) = &mut self.alarm else { return verdict };
        if self.is_registered && !alarm.is_elapsed() {
            return verdict;
        }
        self.is_registered = true;
        if alarm.as_mut().poll(cx).is_pending() {
            return verdict;
        }
        if verdict != Verdict::GoOn {
            // The alarm has its turn next.
            cx.waker().wake_by_ref();
            return verdict;
        }
        let verdict = self.alarmed(requests, is_busy);
        self.arm();
        if let Some(alarm) = &mut self.alarm {
            self.is_registered = alarm.as_mut().poll(cx).is_pending();
            if !self.is_registered {
                cx.waker().wake_by_ref();
            }
        }
        verdict
    }

    /// Whether the connection may go on under the configuration as it is now.
    fn stays(&mut self) -> bool {
        let Some(now) = self.status.snapshot() else { return false };
        if !Arc::ptr_eq(&now, &self.assigned.snapshot) {
            let Assigned { snapshot, chain } = &self.assigned;
            match now.same_chain(snapshot, chain).cloned() {
                Some(chain) if self.barred.is_none() => {
                    self.assigned = Assigned { snapshot: now, chain };
                }
                Some(_) | None => {
                    self.pass(now);
                    return false;
                }
            }
        }
        !self.status.is_draining()
    }

    /// The listener was replaced, and the connection drains (gRFC A36). What is asked until its
    /// client knows is decided by the new one: nothing is let in by rules of before.
    fn pass(&mut self, now: Arc<ServerSnapshot>) {
        match self.standing.admitted(&now) {
            Ok(chain) => {
                self.assigned = Assigned { snapshot: now, chain };
                self.barred = None;
            }
            Err(why) => {
                tracing::debug!(remote = ?self.standing.peer.remote, %why, "connection drained");
                self.assigned.snapshot = now;
                self.barred = Some(Routing::Broken(why.into()));
            }
        }
    }

    fn drain(&mut self) -> Verdict {
        if std::mem::replace(&mut self.is_draining, true) {
            return Verdict::GoOn;
        }
        self.end = Some(runtime::after(self.settings.drain_grace));
        self.old = None;
        self.idle = None;
        self.arm();
        self.is_registered = false;
        Verdict::Drain
    }

    fn alarmed(&mut self, requests: u64, is_busy: impl FnOnce() -> bool) -> Verdict {
        let now = runtime::now();
        let is_past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_past(self.end) {
            return Verdict::Close;
        }
        if is_past(self.old) {
            return self.drain();
        }
        if is_past(self.idle) {
            if requests == self.seen && !is_busy() {
                return self.drain();
            }
            self.seen = requests;
            self.idle = self.settings.idle_timeout.map(runtime::after);
        }
        Verdict::GoOn
    }

    fn arm(&mut self) {
        let next = [self.end, self.old, self.idle].into_iter().flatten().min();
        self.alarm = next.map(|at| Box::pin(runtime::sleep_until(at + TICK)));
        self.is_registered = false;
    }
}

/// Alarms are never early.
const TICK: Duration = Duration::from_millis(1);
