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
    phase: Phase,
    /// Until when it is new.
    young: Instant,
    /// When a connection whose client is asked to go is drained.
    patience: Option<Instant>,
    /// When it is closed.
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
    /// Ask the client to go, and take what it still asks; said once.
    Leave,
    /// Take nothing new; said once.
    Drain,
    /// Break off.
    Close,
}

/// How far a connection is on its way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    Leaving,
    Draining,
}

/// How a connection stands to what has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Stays,
    /// Its listener was replaced by one that would let it in, too.
    Passes,
    /// The server stops.
    Stops,
    /// Nothing is served, or it would not be let in any more.
    Ends,
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
            phase: Phase::Open,
            young: runtime::after(settings.drain_delay),
            patience: None,
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

    /// Why it would not be let in any more, if so.
    pub(super) fn barred(&self) -> Option<&Arc<str>> {
        match &self.barred {
            Some(Routing::Broken(why)) => Some(why),
            Some(Routing::Ready(_)) | None => None,
        }
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
        if self.watch.poll(cx) {
            verdict = match self.stand() {
                Stand::Stays => Verdict::GoOn,
                Stand::Passes => self.leave(runtime::after(self.settings.drain_delay)),
                // Its first request is on its way most likely: it has come while there was time.
                Stand::Stops if requests == 0 && runtime::now() < self.young => {
                    self.leave(self.young)
                }
                Stand::Stops | Stand::Ends => self.drain(),
            };
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

    /// How the connection stands to the configuration as it is now.
    fn stand(&mut self) -> Stand {
        let Some(now) = self.status.snapshot() else { return Stand::Ends };
        let mut stand = Stand::Stays;
        if !Arc::ptr_eq(&now, &self.assigned.snapshot) {
            let Assigned { snapshot, chain } = &self.assigned;
            match now.same_chain(snapshot, chain).cloned() {
                Some(chain) if self.barred.is_none() => {
                    self.assigned = Assigned { snapshot: now, chain };
                }
                Some(_) | None => stand = self.pass(now),
            }
        }
        let is_over = stand == Stand::Ends;
        if !is_over && self.status.is_draining() { Stand::Stops } else { stand }
    }

    /// The listener was replaced, and the connection drains (gRFC A36). What is asked until its
    /// client knows is decided by the new one: nothing is let in by rules of before.
    fn pass(&mut self, now: Arc<ServerSnapshot>) -> Stand {
        match self.standing.admitted(&now) {
            Ok(chain) => {
                self.assigned = Assigned { snapshot: now, chain };
                self.barred = None;
                Stand::Passes
            }
            Err(why) => {
                tracing::debug!(remote = ?self.standing.peer.remote, %why, "connection drained");
                self.assigned.snapshot = now;
                self.barred = Some(Routing::Broken(why.into()));
                Stand::Ends
            }
        }
    }

    /// HTTP/1.1 cannot say that it goes before a response, and what is under way when an idle
    /// connection is closed is lost. So it has for it the time that a server has that stops.
    fn leave(&mut self, patience: Instant) -> Verdict {
        if self.phase >= Phase::Leaving {
            return Verdict::GoOn;
        }
        self.phase = Phase::Leaving;
        self.patience = Some(patience);
        self.go();
        Verdict::Leave
    }

    fn drain(&mut self) -> Verdict {
        if self.phase >= Phase::Draining {
            return Verdict::GoOn;
        }
        self.phase = Phase::Draining;
        self.patience = None;
        self.go();
        Verdict::Drain
    }

    /// The end is near, whatever was to be looked at otherwise.
    fn go(&mut self) {
        let grace = self.settings.drain_grace;
        self.end.get_or_insert_with(|| runtime::after(grace));
        self.old = None;
        self.idle = None;
        self.arm();
    }

    fn alarmed(&mut self, requests: u64, is_busy: impl FnOnce() -> bool) -> Verdict {
        let now = runtime::now();
        let is_past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_past(self.end) {
            return Verdict::Close;
        }
        if is_past(self.patience) {
            return self.drain();
        }
        if is_past(self.old) {
            return self.leave(runtime::after(self.settings.drain_delay));
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
        let next = [self.end, self.patience, self.old, self.idle].into_iter().flatten().min();
        self.alarm = next.map(|at| Box::pin(runtime::sleep_until(at + TICK)));
        self.is_registered = false;
    }
}

/// Alarms are never early.
const TICK: Duration = Duration::from_millis(1);
