//! Bounds on a call besides its deadline: on one attempt, and on silence.

use std::task::Context;
use std::time::{Duration, Instant};

use crate::transport::pump::Pumping;
use crate::transport::timer::{Timer, Timers};

/// What of a call was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    /// The whole call.
    Deadline,
    /// The time without a byte in either direction.
    Idle,
    /// The time for the attempt, or its time without a byte.
    Attempt,
    /// The time until another attempt starts beside this one.
    Alone,
}

/// Bounds on a call besides its deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long the call may go on without a byte.
    idle: Option<Duration>,
    /// The same of one attempt.
    attempt_idle: Option<Duration>,
    /// When the attempt must have been answered.
    attempt: Option<Instant>,
    /// It has used up its time, and goes on without a bound of its own until it is answered.
    is_let_go: bool,
    /// When another one starts beside it.
    beside: Option<Instant>,
    /// When there was last something to see of the call.
    active: Instant,
    /// The same of the attempt.
    attempt_active: Instant,
    /// When the timer goes off that is set.
    armed: Option<Instant>,
}

impl Pace {
    pub(crate) fn new(
        idle: Option<Duration>,
        attempt_idle: Option<Duration>,
        now: Instant,
    ) -> Self {
        let (active, attempt_active) = (now, now);
        let (attempt, is_let_go, beside, armed) = (None, false, None, None);
        Self { idle, attempt_idle, attempt, is_let_go, beside, active, attempt_active, armed }
    }

    /// An attempt starts that must have been answered `until`.
    pub(crate) fn start(&mut self, until: Option<Instant>, now: Instant) {
        (self.attempt, self.is_let_go) = (until, false);
        self.attempt_active = now;
        self.armed = None;
    }

    /// The time for the attempt is no matter any more, but how long it may be silent.
    pub(crate) fn answered(&mut self) {
        (self.attempt, self.is_let_go) = (None, false);
        (self.beside, self.armed) = (None, None);
    }

    /// The attempt has used up its time, and goes on.
    pub(crate) fn let_go(&mut self) {
        (self.attempt, self.is_let_go, self.armed) = (None, true, None);
    }

    /// When the attempt is over if nothing comes; `None` is with the call.
    pub(crate) fn attempt_end(&self) -> Option<Instant> {
        [self.attempt, self.attempt_silent_at()].into_iter().flatten().min()
    }

    /// The same of an attempt beside others, which starts at `now` and must have been answered
    /// `until`.
    pub(crate) fn end_of(&self, until: Option<Instant>, now: Instant) -> Option<Instant> {
        let silent_at = self.attempt_idle.and_then(|limit| now.checked_add(limit));
        [until, silent_at].into_iter().flatten().min()
    }

    /// Another attempt starts `at` this time beside the one under way.
    pub(crate) fn set_beside(&mut self, at: Option<Instant>) {
        self.beside = at;
    }

    /// Whether there is a bound on silence.
    pub(crate) fn is_timed(&self) -> bool {
        self.idle.is_some() || self.attempt_idle.is_some()
    }

    /// There was a byte at `now`.
    pub(crate) fn saw(&mut self, now: Instant) {
        self.active = now;
        self.attempt_active = now;
    }

    /// When the call has been silent for too long, if nothing comes.
    pub(crate) fn silent_at(&self) -> Option<Instant> {
        self.active.checked_add(self.idle?)
    }

    fn attempt_silent_at(&self) -> Option<Instant> {
        let limit = self.attempt_idle.filter(|_| !self.is_let_go)?;
        self.attempt_active.checked_add(limit)
    }

    /// What is over; otherwise the task of `cx` is woken when something is.
    pub(crate) fn poll(
        &mut self,
        timer: &mut Timer,
        timers: &Timers,
        pump: Option<&Pumping>,
        cx: &mut Context<'_>,
    ) -> Option<Late> {
        let is_bound = self.is_timed() || self.attempt.is_some() || self.beside.is_some();
        if !is_bound && self.armed.is_none() {
            return timer.poll(timers, cx).then_some(Late::Deadline);
        }
        loop {
            let (due, late) = self.next(timer.deadline(), pump)?;
            // A timer that goes off too early is set anew then, not for each byte.
            let at = match self.armed {
                Some(at) if at <= due => at,
                _ => {
                    timer.cancel(timers);
                    self.armed = Some(due);
                    due
                }
            };
            if !timer.poll_at(at, timers, cx) {
                return None;
            }
            timer.cancel(timers);
            self.armed = None;
            if at == due {
                return Some(late);
            }
        }
    }

    /// What is over next, and when.
    fn next(
        &mut self,
        deadline: Option<Instant>,
        pump: Option<&Pumping>,
    ) -> Option<(Instant, Late)> {
        if let Some(sent) = pump.and_then(Pumping::last_sent) {
            self.active = self.active.max(sent);
            self.attempt_active = self.attempt_active.max(sent);
        }
        let all = [
            (deadline, Late::Deadline),
            (self.silent_at(), Late::Idle),
            (self.attempt, Late::Attempt),
            (self.attempt_silent_at(), Late::Attempt),
            (self.beside, Late::Alone),
        ];
        // The first of those that are due at once.
        all.into_iter().filter_map(|(at, late)| Some((at?, late))).min_by_key(|(at, _)| *at)
    }
}
