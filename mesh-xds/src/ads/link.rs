//! Whether there is a stream, and when to open the next one.

use std::sync::Arc;
use std::time::Instant;

use mesh_core::rng::Rng;

use super::backoff::Backoff;
use super::{Event, StreamStatus, Timeouts};

/// The stream of a session, through all its lives.
#[derive(Debug)]
pub(super) struct Link {
    state: State,
    backoff: Backoff,
    /// How many streams there were, which also names the present one.
    streams: u64,
    reach: Reach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Down { retry_at: Option<Instant> },
    Connecting,
    Up { answered: bool },
}

/// What the user was told last.
#[derive(Debug)]
enum Reach {
    Nothing,
    Reachable,
    Unreachable(Arc<str>),
}

impl Link {
    pub(super) fn new(timeouts: &Timeouts) -> Self {
        Self {
            state: State::Down { retry_at: None },
            backoff: Backoff::new(timeouts),
            streams: 0,
            reach: Reach::Nothing,
        }
    }

    /// Whether to open a stream now. True once per attempt.
    pub(super) fn poll_connect(&mut self, now: Instant) -> bool {
        let due = match self.state {
            State::Down { retry_at } => retry_at.is_none_or(|at| at <= now),
            State::Connecting | State::Up { .. } => false,
        };
        if due {
            self.state = State::Connecting;
        }
        due
    }

    /// The stream is up. False if it already was.
    pub(super) fn handle_connected(&mut self) -> bool {
        if self.is_up() {
            return false;
        }
        self.state = State::Up { answered: false };
        self.streams += 1;
        true
    }

    /// A response came.
    pub(super) fn handle_response(&mut self) -> Option<Event> {
        self.state = State::Up { answered: true };
        self.backoff.reset();
        match self.reach {
            Reach::Reachable => None,
            Reach::Nothing | Reach::Unreachable(_) => {
                self.reach = Reach::Reachable;
                Some(Event::Reachable)
            }
        }
    }

    /// The stream or the attempt to open it ended.
    ///
    /// A stream that ends after a response is no error and is opened again at once; the backoff is
    /// for those that end before (A57).
    pub(super) fn handle_disconnected(
        &mut self,
        why: &Arc<str>,
        now: Instant,
        rng: &mut dyn Rng,
    ) -> Option<Event> {
        match self.state {
            State::Down { .. } => None,
            State::Up { answered: true } => {
                self.state = State::Down { retry_at: None };
                None
            }
            State::Up { answered: false } | State::Connecting => {
                // A wait that no clock can express is as good as none at all.
                let retry_at = now.checked_add(self.backoff.delay(rng));
                self.state = State::Down { retry_at };
                self.reach = Reach::Unreachable(Arc::clone(why));
                Some(Event::Unreachable { why: Arc::clone(why) })
            }
        }
    }

    /// When to ask `poll_connect` again, if there is a wait.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Down { retry_at } => retry_at,
            State::Connecting | State::Up { .. } => None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// The number of the present or last stream, counted from 1.
    pub(super) fn stream(&self) -> u64 {
        self.streams
    }

    pub(super) fn status(&self) -> StreamStatus {
        match self.state {
            State::Down { retry_at: None } => StreamStatus::Idle,
            State::Down { retry_at: Some(retry_at) } => StreamStatus::Waiting { retry_at },
            State::Connecting => StreamStatus::Connecting,
            State::Up { answered } => StreamStatus::Up { answered },
        }
    }

    pub(super) fn failure(&self) -> Option<Arc<str>> {
        match &self.reach {
            Reach::Unreachable(why) => Some(Arc::clone(why)),
            Reach::Nothing | Reach::Reachable => None,
        }
    }
}
