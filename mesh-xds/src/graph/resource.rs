//! What is known of one resource.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use mesh_core::snapshot::Presence;

use super::Event;
use crate::parse::Reject;

/// A resource's state in the words of CSDS (gRFC A40, A88).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Asked for, without an answer yet.
    Requested,
    /// The last answer is in use.
    Acked,
    /// The last answer was refused. An earlier one may be in use.
    Nacked,
    /// The server says that there is none. An earlier one may be in use.
    DoesNotExist,
    /// The server did not answer in time.
    Timeout,
    /// The server reported an error, or cannot be reached. An earlier answer may be in use.
    ReceivedError,
}

/// The last thing that went wrong with a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The version that was refused, if it was one.
    pub version: Option<Arc<str>>,
    /// When.
    pub time: SystemTime,
    /// What went wrong.
    pub message: Arc<str>,
}

/// A resource: the last good value and the last error.
#[derive(Debug)]
pub(super) struct Resource<T> {
    /// The bytes of `good`.
    pub(super) raw: Bytes,
    /// The version of `good`.
    pub(super) version: Arc<str>,
    pub(super) good: Option<T>,
    pub(super) error: Option<Box<Failure>>,
    pub(super) state: State,
    /// Since when it is in that state.
    pub(super) since: SystemTime,
    /// Whether there is one, usable or not.
    pub(super) presence: Presence,
    /// Whether the world outside knows that it is wanted.
    pub(super) is_announced: bool,
}

/// What an event means to those who use the resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Nothing,
    /// The value is the same; what is said about it is not.
    Note,
    /// There is another value, or none any more.
    Value,
}

/// What `event` says of there being a resource of which `before` was said.
fn presence(event: &Event, before: Presence) -> Presence {
    match event {
        Event::Value { .. } | Event::Refused(_) => Presence::Present,
        Event::DoesNotExist(_) | Event::Timeout(_) => Presence::Absent,
        // What was there stays there, however bad it was.
        Event::LeftOut if before != Presence::Present => Presence::Absent,
        Event::Unreachable(_) if before != Presence::Present => Presence::Unreachable,
        Event::LeftOut | Event::Unreachable(_) => before,
    }
}

impl<T> Resource<T> {
    pub(super) fn new(now: SystemTime) -> Self {
        Self {
            raw: Bytes::new(),
            version: Arc::default(),
            good: None,
            error: None,
            state: State::Requested,
            since: now,
            presence: Presence::Unknown,
            is_announced: false,
        }
    }

    /// Takes `event` in. Bytes that are in use already are not parsed again.
    pub(super) fn handle(
        &mut self,
        event: Event,
        fail_on_data_errors: bool,
        now: SystemTime,
        parse: impl FnOnce(&Bytes) -> Result<T, Reject>,
    ) -> (Change, Option<Reject>) {
        let before = self.presence;
        self.presence = presence(&event, before);
        let (raw, version) = match event {
            Event::Value { raw, version } => (raw, version),
            Event::DoesNotExist(why) => {
                return (self.fail(State::DoesNotExist, why, fail_on_data_errors, now), None);
            }
            Event::Refused(why) => {
                return (self.fail(State::ReceivedError, why, fail_on_data_errors, now), None);
            }
            Event::LeftOut => {
                let is_news = self.good.is_none() && self.presence != before;
                return (if is_news { Change::Note } else { Change::Nothing }, None);
            }
            Event::Timeout(why) => return (self.fail(State::Timeout, why, false, now), None),
            Event::Unreachable(why) => {
                return (self.fail(State::ReceivedError, why, false, now), None);
            }
        };
        // Of secrets no bytes are kept, and no bytes at all are never good.
        if self.good.is_some() && !raw.is_empty() && self.raw == raw {
            let had_error = self.error.is_some();
            self.accept(version, now);
            return (if had_error { Change::Note } else { Change::Nothing }, None);
        }
        match parse(&raw) {
            Ok(good) => {
                self.good = Some(good);
                self.raw = raw;
                self.accept(version, now);
                (Change::Value, None)
            }
            Err(reject) => {
                let change = self.fail(
                    State::Nacked,
                    format!("refused: {reject}").into(),
                    fail_on_data_errors,
                    now,
                );
                if let Some(error) = &mut self.error {
                    error.version = Some(version);
                }
                (change, Some(reject))
            }
        }
    }

    fn accept(&mut self, version: Arc<str>, now: SystemTime) {
        self.version = version;
        self.error = None;
        self.state = State::Acked;
        self.since = now;
    }

    fn fail(&mut self, state: State, message: Arc<str>, is_fatal: bool, now: SystemTime) -> Change {
        let is_news = self.error.as_ref().is_none_or(|e| e.message != message);
        let is_dropped = is_fatal && self.good.is_some();
        self.state = state;
        self.since = now;
        self.error = Some(Box::new(Failure { version: None, time: now, message }));
        if is_dropped {
            self.good = None;
            self.raw = Bytes::new();
        }
        match (is_dropped, is_news) {
            (true, _) => Change::Value,
            (false, true) => Change::Note,
            (false, false) => Change::Nothing,
        }
    }

    /// What to say of calls that use it although it is not the newest.
    pub(super) fn note(&self) -> Option<Arc<str>> {
        self.error.as_ref().map(|e| e.message.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_there_until_the_server_says_otherwise() {
        let mut resource = Resource::<()>::new(SystemTime::UNIX_EPOCH);
        let why = || Arc::<str>::from("why");
        let value = || Event::Value { raw: Bytes::new(), version: why() };
        for (event, presence, change) in [
            (Event::Unreachable(why()), Presence::Unreachable, Change::Note),
            (Event::LeftOut, Presence::Absent, Change::Note),
            (Event::LeftOut, Presence::Absent, Change::Nothing),
            (value(), Presence::Present, Change::Note),
            (Event::LeftOut, Presence::Present, Change::Nothing),
            (Event::Unreachable(why()), Presence::Present, Change::Note),
            (Event::DoesNotExist("none".into()), Presence::Absent, Change::Note),
            (Event::Refused(why()), Presence::Present, Change::Note),
            (Event::Timeout("late".into()), Presence::Absent, Change::Note),
        ] {
            let case = format!("{event:?}");
            let reject = |_: &Bytes| Err(crate::parse::Path::root().reject("no"));
            let (changed, _) = resource.handle(event, false, SystemTime::UNIX_EPOCH, reject);
            assert_eq!((resource.presence, changed), (presence, change), "{case}");
        }
    }
}
