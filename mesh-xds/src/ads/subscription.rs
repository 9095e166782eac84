//! One resource type: what the server has been told on this stream, and what there is to answer.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::ResourceError;
use rustc_hash::FxHashSet;

use super::event::shortened;
use super::interest::Interests;
use super::request::Envelope;
use super::resource::Entry;
use super::response::Contents;
use super::timers::Timers;
use super::{
    EntryError, Malformed, Mode, Refusal, Rejection, Request, Ticket, TypeStatus, Update, Verdict,
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

/// What holds for one stream.
#[derive(Debug, Default)]
struct Stream {
    number: u64,
    /// Whether there was a request of this type.
    is_started: bool,
    /// The nonce of the last response.
    nonce: String,
    /// The nonce of the last response that has a verdict.
    answered: String,
    answers: VecDeque<Answer>,
    /// Wanted names that the server has not been told.
    untold: BTreeSet<ResourceName>,
    /// Names that the server was told and that have been given up since, even if they are wanted
    /// again.
    dropped: BTreeSet<ResourceName>,
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

/// The answer to a response.
#[derive(Debug)]
struct Answer {
    nonce: String,
    rejection: Option<String>,
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
            stream: Stream::default(),
        }
    }

    pub(super) fn subscribe(&mut self, name: ResourceName) {
        if self.interests.want(name.clone()) {
            self.stream.untold.insert(name);
        }
    }

    pub(super) fn unsubscribe(&mut self, name: &ResourceName, timers: &mut Timers) {
        if self.interests.give_up(name, timers) && !self.stream.untold.remove(name) {
            self.stream.dropped.insert(name.clone());
        }
    }

    /// Nothing has been said on stream `number`; 0 stands for there being none.
    pub(super) fn start_stream(&mut self, number: u64) {
        let untold = self.interests.wanted().cloned().collect();
        self.stream = Stream { number, untold, ..Stream::default() };
    }

    /// The stream is gone.
    pub(super) fn end_stream(&mut self, timers: &mut Timers) {
        self.interests.expect_nothing(timers);
        // A verdict on a response of this stream still counts; those on older ones are not coming.
        let ended = self.stream.number;
        self.open.retain(|open| open.stream == ended);
        self.start_stream(0);
    }

    /// What to say next. A subscription waits for the verdict on the last response, so that it goes
    /// out together with the answer: a request with an older nonce would be ignored as stale, and
    /// one with this nonce would be an answer.
    pub(super) fn poll_request(
        &mut self,
        mode: Mode,
        node: Option<&Node>,
        deadline: Option<Instant>,
        timers: &mut Timers,
    ) -> Option<Request> {
        if self.has_open_response() {
            return None;
        }
        let answer = self.stream.answers.pop_front();
        if answer.is_none() && self.stream.untold.is_empty() && self.stream.dropped.is_empty() {
            return None;
        }
        let (nonce, rejection) = match answer {
            Some(answer) => (answer.nonce, answer.rejection),
            // A spontaneous incremental request answers nothing.
            None if mode == Mode::Incremental => (String::new(), None),
            None => (self.stream.answered.clone(), None),
        };
        let envelope = Envelope { kind: self.kind, node: node.cloned(), nonce, rejection };
        let dropped = std::mem::take(&mut self.stream.dropped);
        let (request, told) = match mode {
            Mode::StateOfTheWorld => self.whole_request(envelope, &dropped),
            Mode::Incremental => self.incremental_request(envelope, dropped),
        };
        self.stream.is_started = true;
        for name in &told {
            self.interests.expect(name, deadline, timers);
        }
        Some(request)
    }

    /// A name that was given up and is wanted again is left out once, or the server would see no
    /// change and not send the resource again. The next request has it.
    fn whole_request(
        &mut self,
        envelope: Envelope,
        dropped: &BTreeSet<ResourceName>,
    ) -> (Request, BTreeSet<ResourceName>) {
        let (later, told) = std::mem::take(&mut self.stream.untold)
            .into_iter()
            .partition(|name| dropped.contains(name));
        self.stream.untold = later;
        let names = self.interests.wanted().filter(|name| !dropped.contains(*name));
        let names = names.map(|name| name.as_str().to_owned()).collect();
        (envelope.state_of_the_world(self.version.clone(), names), told)
    }

    fn incremental_request(
        &mut self,
        envelope: Envelope,
        mut dropped: BTreeSet<ResourceName>,
    ) -> (Request, BTreeSet<ResourceName>) {
        let told = std::mem::take(&mut self.stream.untold);
        // To subscribe again is enough to be sent the resource again.
        dropped.retain(|name| !told.contains(name));
        let is_first = !self.stream.is_started;
        let versions = if is_first { self.interests.versions() } else { HashMap::new() };
        let names = |set: &BTreeSet<ResourceName>| {
            set.iter().map(|name| name.as_str().to_owned()).collect()
        };
        (envelope.incremental(names(&told), names(&dropped), versions), told)
    }

    /// Takes note of a response. `None` if there was no request for this type on this stream.
    pub(super) fn handle_response(
        &mut self,
        contents: Contents,
        now: Instant,
        timers: &mut Timers,
    ) -> Option<Update> {
        if !self.stream.is_started {
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
        }
        gone.retain(|name| self.interests.lose(name, timers));
        update.removed = gone;

        self.stream.nonce.clone_from(&contents.nonce);
        let version = |raw: &super::Raw| (raw.name.clone(), raw.version.clone());
        self.open.push(Open {
            number: self.tickets,
            stream: self.stream.number,
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
    ) -> Option<Result<super::Raw, (Option<ResourceName>, EntryError)>> {
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
        if open.stream == self.stream.number {
            self.stream.answered.clone_from(&open.nonce);
            self.stream.answers.push_back(Answer { nonce: open.nonce, rejection });
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.interests.wanted().next().is_some()
    }

    /// Whether a response of this stream waits for its verdict.
    pub(super) fn has_open_response(&self) -> bool {
        self.open.iter().any(|open| open.stream == self.stream.number)
    }

    pub(super) fn status(&self) -> TypeStatus {
        TypeStatus {
            kind: self.kind,
            version: self.version.clone(),
            nonce: self.stream.nonce.clone(),
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
