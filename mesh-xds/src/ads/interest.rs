//! The names of one resource type that somebody wants, and what the server has said about each.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use super::timers::Timers;
use crate::name::{ResourceName, ResourceType};

/// What is wanted, and what came because everything is wanted.
#[derive(Debug)]
pub(super) struct Interests {
    kind: ResourceType,
    names: BTreeMap<ResourceName, Interest>,
    /// Whether everything is wanted.
    wildcard: bool,
}

#[derive(Debug)]
struct Interest {
    /// Asked for by its name.
    wanted: bool,
    known: Known,
    /// While nothing is known: when it counts as absent. When received: its time to live.
    deadline: Option<Instant>,
}

/// What the server has said about a resource.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    Nothing,
    /// Also what it has not said in time.
    Absent,
    Received {
        /// The last accepted version; empty if there is none.
        accepted: String,
    },
}

impl Interests {
    pub(super) fn new(kind: ResourceType) -> Self {
        Self { kind, names: BTreeMap::new(), wildcard: false }
    }

    /// Wants `name`. False if it already was.
    pub(super) fn want(&mut self, name: ResourceName) -> bool {
        self.wildcard |= name.is_wildcard();
        let interest = self.names.entry(name).or_insert_with(Interest::new);
        !std::mem::replace(&mut interest.wanted, true)
    }

    /// Gives `name` up and forgets what is known about it. False if it was not wanted.
    pub(super) fn give_up(&mut self, name: &ResourceName, timers: &mut Timers) -> bool {
        let interest = self.names.get_mut(name).filter(|interest| interest.wanted);
        let Some(interest) = interest else { return false };
        interest.wanted = false;
        if name.is_wildcard() {
            self.wildcard = false;
            self.names.retain(|name, interest| {
                if !interest.wanted {
                    timers.set((self.kind, name), &mut interest.deadline, None);
                }
                interest.wanted
            });
        } else if !(self.wildcard && interest.is_received()) {
            timers.set((self.kind, name), &mut interest.deadline, None);
            self.names.remove(name);
        }
        true
    }

    /// The server was asked for `name`, and should say something about it by `deadline`.
    pub(super) fn expect(
        &mut self,
        name: &ResourceName,
        deadline: Option<Instant>,
        timers: &mut Timers,
    ) {
        // Nothing is ever called `*`.
        let interest = self.names.get_mut(name).filter(|_| !name.is_wildcard());
        if let Some(interest) = interest
            && interest.known == Known::Nothing
            && interest.deadline.is_none()
        {
            timers.set((self.kind, name), &mut interest.deadline, deadline);
        }
    }

    /// Nobody is there who could say anything. Times to live go on.
    pub(super) fn expect_nothing(&mut self, timers: &mut Timers) {
        for (name, interest) in &mut self.names {
            if interest.known == Known::Nothing {
                timers.set((self.kind, name), &mut interest.deadline, None);
            }
        }
    }

    /// The server has given `name`, good or bad, to be used until `deadline`. False if nobody wants
    /// it.
    pub(super) fn receive(
        &mut self,
        name: &ResourceName,
        deadline: Option<Instant>,
        timers: &mut Timers,
    ) -> bool {
        if self.wildcard && !self.names.contains_key(name) {
            self.names.insert(name.clone(), Interest::new());
        }
        let Some(interest) = self.names.get_mut(name) else { return false };
        if !interest.is_received() {
            interest.known = Known::Received { accepted: String::new() };
        }
        timers.set((self.kind, name), &mut interest.deadline, deadline);
        true
    }

    /// What was received as `name` may be used until `deadline`.
    pub(super) fn extend(
        &mut self,
        name: &ResourceName,
        deadline: Option<Instant>,
        timers: &mut Timers,
    ) {
        let interest = self.names.get_mut(name);
        if let Some(interest) = interest.filter(|interest| interest.is_received()) {
            timers.set((self.kind, name), &mut interest.deadline, deadline);
        }
    }

    /// The server will not give `name`. What was received stays. False if nobody wants it.
    pub(super) fn refuse(&mut self, name: &ResourceName, timers: &mut Timers) -> bool {
        let Some(interest) = self.names.get_mut(name) else { return false };
        if interest.known == Known::Nothing {
            interest.known = Known::Absent;
            timers.set((self.kind, name), &mut interest.deadline, None);
        }
        true
    }

    /// There is no `name`. False if that is no news.
    pub(super) fn lose(&mut self, name: &ResourceName, timers: &mut Timers) -> bool {
        let Some(interest) = self.names.get_mut(name) else { return false };
        let was = std::mem::replace(&mut interest.known, Known::Absent);
        timers.set((self.kind, name), &mut interest.deadline, None);
        if !interest.wanted {
            self.names.remove(name);
        }
        was != Known::Absent
    }

    /// The last response with `name` was accepted.
    pub(super) fn accept(&mut self, name: &ResourceName, version: String) {
        let known = self.names.get_mut(name).map(|interest| &mut interest.known);
        if let Some(Known::Received { accepted }) = known {
            *accepted = version;
        }
    }

    /// The accepted versions. Empty ones are left out: they would not tell old from new.
    pub(super) fn versions(&self) -> HashMap<String, String> {
        let version = |(name, interest): (&ResourceName, &Interest)| match &interest.known {
            Known::Received { accepted } if !accepted.is_empty() => {
                Some((name.as_str().to_owned(), accepted.clone()))
            }
            Known::Received { .. } | Known::Nothing | Known::Absent => None,
        };
        self.names.iter().filter_map(version).collect()
    }

    /// The names that are wanted, in order.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &ResourceName> {
        self.names.iter().filter(|(_, interest)| interest.wanted).map(|(name, _)| name)
    }

    /// The names that the server has given and not taken back.
    pub(super) fn received(&self) -> impl Iterator<Item = &ResourceName> {
        self.names.iter().filter(|(_, interest)| interest.is_received()).map(|(name, _)| name)
    }

    /// The names that the server was asked for and has said nothing of.
    pub(super) fn expected(&self) -> impl Iterator<Item = &ResourceName> {
        let is_due =
            |interest: &Interest| interest.known == Known::Nothing && interest.deadline.is_some();
        self.names.iter().filter(move |(_, interest)| is_due(interest)).map(|(name, _)| name)
    }

    pub(super) fn is_wanted(&self, name: &ResourceName) -> bool {
        self.names.get(name).is_some_and(|interest| interest.wanted)
    }

    /// Whether the server has said something about `name`, or has not in time.
    pub(super) fn is_known(&self, name: &ResourceName) -> bool {
        self.names.get(name).is_some_and(|interest| interest.known != Known::Nothing)
    }

    pub(super) fn is_received(&self, name: &ResourceName) -> bool {
        self.names.get(name).is_some_and(Interest::is_received)
    }
}

impl Interest {
    fn new() -> Self {
        Self { wanted: false, known: Known::Nothing, deadline: None }
    }

    fn is_received(&self) -> bool {
        matches!(self.known, Known::Received { .. })
    }
}
