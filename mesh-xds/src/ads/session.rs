//! The state machine of one management server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use mesh_core::rng::Rng;

use super::event::shortened;
use super::link::Link;
use super::resource::MAX_URL;
use super::stream::Turn;
use super::subscription::Subscription;
use super::timers::Timers;
use super::{Config, Event, IgnoreReason, Request, Response, Status, Ticket, Verdict};
use crate::name::{ResourceName, ResourceType};

/// The ADS protocol towards one management server.
///
/// After every call that changes something, drain [`poll_event`](Self::poll_event) and
/// [`poll_request`](Self::poll_request), ask [`poll_connect`](Self::poll_connect), and arm a timer
/// for [`poll_timeout`](Self::poll_timeout).
///
/// A stream is opened only while something is wanted. Subscriptions made between two requests of a
/// type travel in one request.
///
/// Memory is bounded by the names that are wanted and by the responses that the shell hands over
/// before it finishes earlier ones: see
/// [`is_ready_for_response`](Self::is_ready_for_response).
#[derive(Debug)]
pub struct Session {
    config: Config,
    link: Link,
    /// In the order of [`ResourceType::ALL`].
    subscriptions: [Subscription; ResourceType::ALL.len()],
    timers: Timers,
    events: VecDeque<Event>,
    has_introduced: bool,
    ignored: u64,
}

impl Session {
    /// A session that wants nothing and has no stream.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            link: Link::new(&config.timeouts),
            config,
            subscriptions: ResourceType::ALL.map(Subscription::new),
            timers: Timers::default(),
            events: VecDeque::new(),
            has_introduced: false,
            ignored: 0,
        }
    }

    /// Wants the resource `name`; nothing happens if it is wanted already.
    ///
    /// The name `*` asks for all resources of the type that the server has for this node.
    pub fn subscribe(&mut self, kind: ResourceType, name: ResourceName) {
        if let Some(subscription) = of(&mut self.subscriptions, kind) {
            subscription.subscribe(name);
        }
    }

    /// No longer wants the resource `name`. What is known about it is forgotten: wanted again, it
    /// is asked for again.
    pub fn unsubscribe(&mut self, kind: ResourceType, name: &ResourceName) {
        if let Some(subscription) = of(&mut self.subscriptions, kind) {
            subscription.unsubscribe(name, &mut self.timers);
        }
    }

    /// Answers the update with `ticket`, after what is good in it has been published.
    ///
    /// A response that held malformed entries is rejected in any case. If the stream it came on is
    /// gone there is nobody to answer, but its version still counts as accepted.
    pub fn finish(&mut self, ticket: Ticket, verdict: Verdict) {
        if let Some(subscription) = of(&mut self.subscriptions, ticket.kind) {
            subscription.finish(ticket.number, verdict);
        }
    }

    /// The stream is open: requests can be sent.
    pub fn handle_connected(&mut self) {
        if self.link.handle_connected() {
            self.has_introduced = false;
            for subscription in &mut self.subscriptions {
                subscription.start_stream(self.link.stream());
            }
        }
    }

    /// The server sent `response`. Ignored while there is no stream.
    pub fn handle_response(&mut self, response: Response, now: Instant) {
        if !self.link.is_up() {
            return;
        }
        self.events.extend(self.link.handle_response());
        let type_url = shortened(response.type_url(), MAX_URL).into_boxed_str();
        let kind = ResourceType::from_url(response.type_url());
        let subscription = kind.and_then(|kind| of(&mut self.subscriptions, kind).zip(Some(kind)));
        let Some((subscription, kind)) = subscription else {
            self.ignore(type_url, IgnoreReason::UnknownType);
            return;
        };
        let contents = response.into_contents(kind);
        match subscription.handle_response(contents, now, &mut self.timers) {
            Some(update) => self.events.push_back(Event::Update(update)),
            None => self.ignore(type_url, IgnoreReason::NotSubscribed),
        }
    }

    /// The stream ended, or could not be opened, because of `why`.
    pub fn handle_disconnected(
        &mut self,
        why: impl Into<Arc<str>>,
        now: Instant,
        rng: &mut dyn Rng,
    ) {
        self.events.extend(self.link.handle_disconnected(&why.into(), now, rng));
        for subscription in &mut self.subscriptions {
            subscription.end_stream(&mut self.timers);
        }
    }

    /// Time has come. Early or repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let transient = self.config.late_is_transient;
        while let Some((kind, name)) = self.timers.pop(now) {
            let Some(subscription) = of(&mut self.subscriptions, kind) else { continue };
            self.events.push_back(if subscription.handle_timeout(&name, &mut self.timers) {
                Event::Expired { kind, name }
            } else {
                Event::Missing { kind, name, transient }
            });
        }
    }

    /// Whether the shell should open a stream now. True once per attempt, which ends in
    /// [`handle_connected`](Self::handle_connected) or
    /// [`handle_disconnected`](Self::handle_disconnected).
    #[must_use]
    pub fn poll_connect(&mut self, now: Instant) -> bool {
        self.is_wanted() && self.link.poll_connect(now)
    }

    /// The next request to send, in the order LDS, RDS, CDS, EDS. It counts as sent at `now`.
    pub fn poll_request(&mut self, now: Instant) -> Option<Request> {
        if !self.link.is_up() {
            return None;
        }
        let node = (!self.has_introduced).then_some(&self.config.node);
        // A deadline that no clock can express never passes.
        let deadline = now.checked_add(self.config.resource_wait());
        let turn = Turn { mode: self.config.mode, node, deadline };
        let mut subscriptions = self.subscriptions.iter_mut();
        let request = subscriptions.find_map(|one| one.poll_request(&turn, &mut self.timers));
        self.has_introduced |= request.is_some();
        request
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and
    /// [`poll_connect`](Self::poll_connect) next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let retry = self.link.poll_timeout().filter(|_| self.is_wanted());
        self.timers.next().into_iter().chain(retry).min()
    }

    /// Whether the shell should read the next response. False while an update of this stream waits
    /// for its verdict, so that a fast server is slowed down to what is applied.
    #[must_use]
    pub fn is_ready_for_response(&self) -> bool {
        !self.subscriptions.iter().any(Subscription::has_open_response)
    }

    /// What the session looks like from outside.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            stream: self.link.status(),
            streams: self.link.stream(),
            failure: self.link.failure(),
            ignored: self.ignored,
            types: self.subscriptions.iter().map(Subscription::status).collect(),
        }
    }

    fn is_wanted(&self) -> bool {
        self.subscriptions.iter().any(Subscription::is_wanted)
    }

    fn ignore(&mut self, type_url: Box<str>, reason: IgnoreReason) {
        self.ignored += 1;
        self.events.push_back(Event::Ignored { type_url, reason });
    }
}

/// The subscription of `kind`; there is one of each.
fn of(subscriptions: &mut [Subscription], kind: ResourceType) -> Option<&mut Subscription> {
    let index = ResourceType::ALL.iter().position(|other| *other == kind)?;
    subscriptions.get_mut(index)
}
