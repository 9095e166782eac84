//! One resource type: what is wanted of it, what came, and what was said to that.

use std::time::Instant;

use envoy_types::pb::envoy::service::discovery::v3::ResourceError;
use rustc_hash::FxHashSet;

use super::event::shortened;
use super::interest::Interests;
use super::resource::Entry;
use super::response::Contents;
use super::stream::{Stream, Turn};
use super::timers::Timers;
use super::{
    EntryError, Malformed, Raw, Refusal, Rejection, Request, Ticket, TypeStatus, Update, Verdict,
};
use crate::name::{ResourceName, ResourceType};

/// The longest text about a rejection or from a refusal, in bytes.
const MAX_MESSAGE: usize = 4096;

/// The state of one resource type in a session.
#[derive(Debug)]
pub(super) struct Subscription {
    kind: ResourceType,
    interests: Interests,
    /// The version of the last accepted response. It outlives streams.
    version: String,
    accepts: u64,
    rejects: u64,
    last_rejection: Option<Rejection>,
    tickets: u64,
    /// Responses without a verdict.
    open: Vec<Open>,
    stream: Stream,
}

/// A response without a verdict.
#[derive(Debug)]
struct Open {
    number: u64,
    stream: u64,
    nonce: String,
    version: String,
    /// What is wrong with it already.
    problems: String,
    versions: Vec<(ResourceName, String)>,
}

impl Subscription {
    pub(super) fn new(kind: ResourceType) -> Self {
        Self {
            kind,
            interests: Interests::new(kind),
            version: String::new(),
            accepts: 0,
            rejects: 0,
            last_rejection: None,
            tickets: 0,
            open: Vec::new(),
            stream: Stream::new(kind, 0, &Interests::new(kind)),
        }
    }

    pub(super) fn subscribe(&mut self, name: ResourceName) {
        if self.interests.want(name.clone()) {
            self.stream.add(name);
        }
    }

    pub(super) fn unsubscribe(&mut self, name: &ResourceName, timers: &mut Timers) {
        if self.interests.give_up(name, timers) {
            self.stream.drop(name);
        }
    }

    /// Nothing has been said on stream `number`; 0 stands for there being none.
    pub(super) fn start_stream(&mut self, number: u64) {
        self.stream = Stream::new(self.kind, number, &self.interests);
    }

    /// The stream is gone.
    pub(super) fn end_stream(&mut self, timers: &mut Timers) {
        self.interests.expect_nothing(timers);
        // A verdict on a response of this stream still counts; those on older ones are not coming.
        let ended = self.stream.number();
        self.open.retain(|open| open.stream == ended);
        self.start_stream(0);
    }

    /// What to say next. A subscription waits for the verdict on the last response, so that it goes
    /// out together with the answer: a request with an older nonce would be ignored as stale, and
    /// one with this nonce would be an answer.
    pub(super) fn poll_request(&mut self, turn: &Turn<'_>, timers: &mut Timers) -> Option<Request> {
        if self.has_open_response() {
            return None;
        }
        let (request, told) = self.stream.poll_request(turn, &self.version, &self.interests)?;
        for name in &told {
            self.interests.expect(name, turn.deadline, timers);
        }
        Some(request)
    }

    /// Takes note of a response. `None` if there was no request for this type on this stream.
    pub(super) fn handle_response(
        &mut self,
        contents: Contents,
        now: Instant,
        timers: &mut Timers,
    ) -> Option<Update> {
        if !self.stream.is_started() {
            return None;
        }
        self.tickets += 1;
        let mut update = Update {
            ticket: Ticket { kind: self.kind, number: self.tickets },
            kind: self.kind,
            version: contents.version,
            resources: Vec::new(),
            malformed: Vec::new(),
            removed: Vec::new(),
            left_out: Vec::new(),
            refused: Vec::new(),
        };
        let mut seen = FxHashSet::default();
        for (index, entry) in contents.entries.into_iter().enumerate() {
            let entry = self.handle_entry(entry, &mut seen, now, timers);
            match entry {
                Some(Ok(raw)) => update.resources.push(raw),
                Some(Err((name, error))) => {
                    update.malformed.push(Malformed { index, name, error });
                }
                None => {}
            }
        }
        for refusal in contents.refused {
            update.refused.extend(self.handle_refusal(refusal, &mut seen, timers));
        }
        let kind = self.kind;
        let absent = |name: &ResourceName| !seen.contains(name);
        let removed = contents.removed.iter();
        let mut gone: Vec<_> = removed
            .filter_map(|name| ResourceName::parse(kind, name).ok())
            .filter(|name| absent(name))
            .collect();
        if contents.is_whole {
            gone.extend(self.interests.received().filter(|name| absent(name)).cloned());
            let expected = self.interests.expected().filter(|name| absent(name));
            update.left_out = expected.cloned().collect();
        }
        gone.retain(|name| self.interests.lose(name, timers));
        update.removed = gone;
        self.stream.handle_response(&contents.nonce, &self.interests);

        let version = |raw: &Raw| (raw.name.clone(), raw.version.clone());
        self.open.push(Open {
            number: self.tickets,
            stream: self.stream.number(),
            nonce: contents.nonce,
            version: update.version.clone(),
            problems: problems(&update.malformed),
            versions: update.resources.iter().map(version).collect(),
        });
        Some(update)
    }

    /// What of an entry the user should know.
    fn handle_entry(
        &mut self,
        entry: Entry,
        seen: &mut FxHashSet<ResourceName>,
        now: Instant,
        timers: &mut Timers,
    ) -> Option<Result<Raw, (Option<ResourceName>, EntryError)>> {
        match entry {
            Entry::Malformed(name, error) => {
                if let Some(name) = &name {
                    seen.insert(name.clone());
                    self.interests.receive(name, None, timers);
                }
                Some(Err((name, error)))
            }
            Entry::Resource(raw) => {
                if !seen.insert(raw.name.clone()) {
                    return Some(Err((Some(raw.name), EntryError::Duplicate)));
                }
                let deadline = raw.ttl.and_then(|ttl| now.checked_add(ttl));
                self.interests.receive(&raw.name, deadline, timers).then_some(Ok(raw))
            }
            Entry::Heartbeat(name, ttl) => {
                self.interests.extend(&name, now.checked_add(ttl), timers);
                seen.insert(name);
                None
            }
        }
    }

    fn handle_refusal(
        &mut self,
        refusal: ResourceError,
        seen: &mut FxHashSet<ResourceName>,
        timers: &mut Timers,
    ) -> Option<Refusal> {
        let name = ResourceName::parse(self.kind, &refusal.resource_name?.name).ok()?;
        let is_news = self.interests.refuse(&name, timers) && seen.insert(name.clone());
        let error = refusal.error_detail.unwrap_or_default();
        let message = shortened(&error.message, MAX_MESSAGE);
        is_news.then_some(Refusal { name, code: error.code, message })
    }

    /// The deadline of `name` has passed. True if it was a time to live.
    pub(super) fn handle_timeout(&mut self, name: &ResourceName, timers: &mut Timers) -> bool {
        let was_received = self.interests.is_received(name);
        self.interests.lose(name, timers);
        was_received
    }

    /// Answers a response. Tickets that are not open are ignored.
    pub(super) fn finish(&mut self, number: u64, verdict: Verdict) {
        let Some(index) = self.open.iter().position(|open| open.number == number) else { return };
        let open = self.open.remove(index);
        let rejection = match verdict {
            Verdict::Accept if open.problems.is_empty() => None,
            Verdict::Accept => Some(open.problems),
            Verdict::Reject { message } if open.problems.is_empty() => Some(message),
            Verdict::Reject { message } => Some(open.problems + "\n" + &message),
        };
        let rejection = rejection.map(|message| shortened(&message, MAX_MESSAGE));
        if let Some(message) = &rejection {
            self.rejects += 1;
            let message = message.clone();
            self.last_rejection = Some(Rejection { version: open.version, message });
        } else {
            self.accepts += 1;
            self.version = open.version;
            for (name, version) in open.versions {
                self.interests.accept(&name, version);
            }
        }
        // A nonce means nothing on another stream.
        if open.stream == self.stream.number() {
            self.stream.answer(open.nonce, rejection);
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.interests.wanted().next().is_some()
    }

    /// Whether a response of this stream waits for its verdict.
    pub(super) fn has_open_response(&self) -> bool {
        self.open.iter().any(|open| open.stream == self.stream.number())
    }

    pub(super) fn status(&self) -> TypeStatus {
        TypeStatus {
            kind: self.kind,
            version: self.version.clone(),
            nonce: self.stream.nonce().to_owned(),
            wanted: self.interests.wanted().count(),
            received: self.interests.received().count(),
            accepts: self.accepts,
            rejects: self.rejects,
            last_rejection: self.last_rejection.clone(),
        }
    }
}

/// One line for each of `malformed`, as far as the server can be told.
fn problems(malformed: &[Malformed]) -> String {
    let mut lines = String::new();
    for entry in malformed {
        if lines.len() > MAX_MESSAGE {
            break;
        }
        let separator = if lines.is_empty() { "" } else { "\n" };
        lines += &format!("{separator}{entry}");
    }
    lines
}
