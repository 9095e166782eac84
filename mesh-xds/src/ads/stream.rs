//! What the server has been told about one resource type on one stream, and what it must be told.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use envoy_types::pb::envoy::config::core::v3::Node;

use super::interest::Interests;
use super::request::Envelope;
use super::{Mode, Request};
use crate::name::{ResourceName, ResourceType};

/// How often a dropped name is dropped again because the server may have missed it.
const MAX_REPEATS: u8 = 4;

/// The client's side of one resource type on one stream.
#[derive(Debug)]
pub(super) struct Stream {
    kind: ResourceType,
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
    /// Names that were left out of a request which the server may have ignored as stale, and how
    /// often that was repeated.
    unsure: BTreeMap<ResourceName, u8>,
}

/// The answer to a response.
#[derive(Debug)]
struct Answer {
    nonce: String,
    rejection: Option<String>,
}

/// What a session gives to its next request.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) mode: Mode,
    /// Who we are, in the first request of a stream.
    pub(super) node: Option<&'a Node>,
    /// When resources that are asked for now must have come; `None` for never.
    pub(super) deadline: Option<Instant>,
}

impl Stream {
    /// The stream `number`, on which nothing has been said; 0 stands for there being none.
    pub(super) fn new(kind: ResourceType, number: u64, interests: &Interests) -> Self {
        Self {
            kind,
            number,
            is_started: false,
            nonce: String::new(),
            answered: String::new(),
            answers: VecDeque::new(),
            untold: interests.wanted().cloned().collect(),
            dropped: BTreeSet::new(),
            unsure: BTreeMap::new(),
        }
    }

    /// The server must be told `name`.
    pub(super) fn add(&mut self, name: ResourceName) {
        self.untold.insert(name);
    }

    /// The server must be told, if it knows `name`, to forget it.
    pub(super) fn drop(&mut self, name: &ResourceName) {
        if !self.untold.remove(name) {
            self.dropped.insert(name.clone());
        }
    }

    /// The server must be told the verdict on the response with `nonce`.
    pub(super) fn answer(&mut self, nonce: String, rejection: Option<String>) {
        self.answered.clone_from(&nonce);
        self.answers.push_back(Answer { nonce, rejection });
    }

    /// The next request, and the names that the server learns from it.
    pub(super) fn poll_request(
        &mut self,
        turn: &Turn<'_>,
        version: &str,
        interests: &Interests,
    ) -> Option<(Request, BTreeSet<ResourceName>)> {
        let answer = self.answers.pop_front();
        if answer.is_none() && self.untold.is_empty() && self.dropped.is_empty() {
            return None;
        }
        let (nonce, rejection) = match (answer, turn.mode) {
            (Some(answer), _) => (answer.nonce, answer.rejection),
            (None, Mode::StateOfTheWorld) => (self.answered.clone(), None),
            // A spontaneous incremental request answers nothing.
            (None, Mode::Incremental) => (String::new(), None),
        };
        let envelope = Envelope { kind: self.kind, node: turn.node.cloned(), nonce, rejection };
        let spoken = match turn.mode {
            Mode::StateOfTheWorld => self.whole_request(envelope, version, interests),
            Mode::Incremental => self.incremental_request(envelope, interests),
        };
        self.is_started = true;
        Some(spoken)
    }

    /// A name that was given up and is wanted again is left out once, or the server would see no
    /// change and not send the resource again. The next request has it.
    fn whole_request(
        &mut self,
        envelope: Envelope,
        version: &str,
        interests: &Interests,
    ) -> (Request, BTreeSet<ResourceName>) {
        let mut dropped = std::mem::take(&mut self.dropped);
        let (later, told) =
            std::mem::take(&mut self.untold).into_iter().partition(|name| dropped.contains(name));
        self.untold = later;
        let names = interests.wanted().filter(|name| !dropped.contains(*name));
        let names = names.map(|name| name.as_str().to_owned()).collect();
        if self.answers.is_empty() {
            for name in dropped {
                self.unsure.entry(name).or_insert(0);
            }
        } else {
            // The server ignores all answers but the last.
            self.dropped.append(&mut dropped);
        }
        (envelope.state_of_the_world(version.to_owned(), names), told)
    }

    fn incremental_request(
        &mut self,
        envelope: Envelope,
        interests: &Interests,
    ) -> (Request, BTreeSet<ResourceName>) {
        let mut dropped = std::mem::take(&mut self.dropped);
        let told = std::mem::take(&mut self.untold);
        // To subscribe again is enough to be sent the resource again.
        dropped.retain(|name| !told.contains(name));
        let versions = if self.is_started { HashMap::new() } else { interests.versions() };
        let names = |set: &BTreeSet<ResourceName>| {
            set.iter().map(|name| name.as_str().to_owned()).collect()
        };
        (envelope.incremental(names(&told), names(&dropped), versions), told)
    }

    /// A response crossed with our last requests: the server ignored those as stale if it had sent
    /// the response before. Of names that are wanted again it would then see no change, so they are
    /// left out of the answer as well. A few times are enough, and keep a server that answers each
    /// request from doing so forever.
    pub(super) fn handle_response(&mut self, nonce: &str, interests: &Interests) {
        nonce.clone_into(&mut self.nonce);
        self.unsure.retain(|name, repeats| {
            *repeats += 1;
            *repeats <= MAX_REPEATS && !interests.is_known(name)
        });
        for name in self.unsure.keys() {
            if interests.is_wanted(name) {
                self.untold.insert(name.clone());
            }
            self.dropped.insert(name.clone());
        }
    }

    pub(super) fn is_started(&self) -> bool {
        self.is_started
    }

    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }
}
