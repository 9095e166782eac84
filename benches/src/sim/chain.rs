//! A chain of services, each of which calls the next for every request it gets.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, StatusCode, Uri};
use mesh_core::classify::{Failure, Outcome};
use mesh_core::inherited::{Caller, Inherited};
use mesh_core::request::RequestHead;
use mesh_core::retry::{
    Budget, Context, Counted, Dialect, Limit, Next, Permit, Policy, Retries, Start, Throttle,
    UnderWay,
};
use mesh_core::rng::XorShift;

use super::bottom::{Bottom, Config, Ends};
use super::chance::exponential;
use super::events::Events;
use super::times::Times;

/// The client of one service of the chain.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) policy: Policy,
    pub(super) dialect: Dialect,
    pub(super) limit: Option<Limit>,
    pub(super) throttle: Option<Throttle>,
    pub(super) budget: Arc<Budget>,
}

impl Hop {
    /// A client with this policy, in Envoy's dialect, without a budget.
    pub(super) fn new(policy: Policy) -> Self {
        let (dialect, budget) = (Dialect::Envoy, Arc::default());
        Self { policy, dialect, limit: None, throttle: None, budget }
    }
}

/// What comes to a chain.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// The time between two requests, on average.
    pub(super) between: Duration,
    /// How long they come.
    pub(super) until: Duration,
    /// How long their callers wait.
    pub(super) timeout: Option<Duration>,
}

/// What was seen in one tenth of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tenth {
    /// Requests that came.
    pub(super) offered: u32,
    /// How many of these were answered well.
    pub(super) good: u32,
    /// How many requests were answered, whenever they came.
    pub(super) answered: u32,
    /// How often the last service was asked.
    pub(super) attempts: u32,
}

impl Tenth {
    /// How often the last service was asked for each request that came.
    pub(super) fn per_request(self) -> f64 {
        f64::from(self.attempts) / f64::from(self.offered)
    }
}

/// What was seen in all.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Seen {
    pub(super) tenths: Vec<Tenth>,
    /// What was still going on after nobody waited for it any more.
    pub(super) overdue: u32,
    /// How long good answers took.
    pub(super) times: Times,
}

#[derive(Debug)]
pub(super) struct Chain {
    hops: Vec<Hop>,
    load: Load,
    bottom: Bottom,
    events: Events<Event>,
    rng: XorShift,
    last: u64,
    calls: HashMap<u64, Call>,
    seen: Seen,
}

/// A call by the client of a hop, on its way.
#[derive(Debug)]
struct Call {
    hop: usize,
    /// The call that is answered by it; `None` for those that callers make.
    parent: Option<u64>,
    start: Instant,
    deadline: Option<Instant>,
    retries: Retries,
    // Counted as long as the call is there.
    _under_way: UnderWay,
    permit: Option<Permit>,
    /// The call or job that is the attempt under way.
    attempt: Option<u64>,
}

#[derive(Debug)]
enum Event {
    Arrival,
    /// A call is made again.
    Again(u64),
    /// The time for this attempt of a call is over.
    Late {
        call: u64,
        attempt: u64,
    },
    /// The last service has done a job.
    Done(u64),
}

impl Chain {
    pub(super) fn new(hops: Vec<Hop>, load: Load, bottom: Config) -> Self {
        let mut rng = XorShift::new(11);
        let bottom = Bottom::new(bottom, &mut rng);
        let (events, calls, seen) = (Events::new(), HashMap::new(), Seen::default());
        Self { hops, load, bottom, events, rng, last: 0, calls, seen }
    }

    /// Runs until every request is answered.
    pub(super) fn run(mut self) -> Seen {
        self.events.after(self.load.between, Event::Arrival);
        while let Some(event) = self.events.next() {
            match event {
                Event::Arrival => self.arrive(),
                Event::Again(call) => self.attempt(call),
                Event::Late { call, attempt } => self.late(call, attempt),
                Event::Done(job) => self.done(job),
            }
        }
        self.seen
    }

    fn arrive(&mut self) {
        let now = self.events.now();
        tenth(&mut self.seen.tenths, self.events.elapsed()).offered += 1;
        let deadline = self.load.timeout.map(|timeout| now + timeout);
        let wait = exponential(self.load.between, &mut self.rng);
        if self.events.elapsed() + wait < self.load.until {
            self.events.after(wait, Event::Arrival);
        }
        let call = self.number();
        self.call(call, 0, None, &Inherited::of(&HeaderMap::new(), Caller::Stranger, deadline));
    }

    /// The client of a hop makes a call for a request.
    fn call(&mut self, call: u64, hop: usize, parent: Option<u64>, request: &Inherited) {
        let Some(client) = self.hops.get(hop) else { return };
        let (method, uri, headers) = (Method::GET, Uri::from_static("/"), HeaderMap::new());
        let head = RequestHead::from_pieces(&method, &uri, &headers, "next");
        let start = Start {
            dialect: client.dialect,
            deadline: request.deadline,
            inherited: request.retries,
            ..Start::default()
        };
        let retries = Retries::new(&client.policy, &head, start);
        let made = Call {
            hop,
            parent,
            start: self.events.now(),
            deadline: request.deadline,
            retries,
            _under_way: retries.enter(&client.budget, client.limit.unwrap_or_default()),
            permit: None,
            attempt: None,
        };
        self.calls.insert(call, made);
        self.attempt(call);
    }

    /// The next attempt of a call, if that has not ended meanwhile.
    fn attempt(&mut self, number: u64) {
        let attempt = self.number();
        let now = self.events.now();
        let Some(call) = self.calls.get_mut(&number) else { return };
        call.attempt = Some(attempt);
        let hop = call.hop + 1;
        let mut headers = HeaderMap::new();
        call.retries.stamp(Counted::Plain, &mut headers);
        let until = call.retries.attempt_deadline(now);
        if let Some(until) = until {
            self.events.at(until, Event::Late { call: number, attempt });
        }
        if hop < self.hops.len() {
            let request = Inherited::of(&headers, Caller::Stranger, until);
            self.call(attempt, hop, Some(number), &request);
        } else {
            let elapsed = self.events.elapsed();
            tenth(&mut self.seen.tenths, elapsed).attempts += 1;
            let ends = self.bottom.enter(attempt, number, elapsed, &mut self.rng);
            self.expect(ends);
        }
    }

    fn expect(&mut self, ends: Option<Ends>) {
        if let Some(Ends { job, after }) = ends {
            self.events.after(after, Event::Done(job));
        }
    }

    fn done(&mut self, job: u64) {
        let left = self.bottom.leave(job, self.events.elapsed(), &mut self.rng);
        let Some((caller, is_done, next)) = left else { return };
        self.expect(next);
        self.answered(caller, is_done);
    }

    /// The attempt of a call is answered: well, or by a 503.
    fn answered(&mut self, call: u64, is_good: bool) {
        let status = if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let headers = HeaderMap::new();
        self.ended(call, &Outcome::answer(status, &headers), is_good);
    }

    fn late(&mut self, number: u64, attempt: u64) {
        let call = self.calls.get_mut(&number);
        let Some(call) = call.filter(|call| call.attempt == Some(attempt)) else { return };
        call.attempt = None;
        self.cancel(attempt);
        self.ended(number, &Outcome::Failed(Failure::TimedOut), false);
    }

    /// What follows from the end of an attempt.
    fn ended(&mut self, number: u64, outcome: &Outcome<'_>, is_good: bool) {
        let now = self.events.now();
        let Some(call) = self.calls.get_mut(&number) else { return };
        let Some(client) = self.hops.get(call.hop) else { return };
        // Its place is free as soon as the attempt has ended.
        call.permit = None;
        call.attempt = None;
        let mut context = Context::new(&client.policy);
        context.budget = client.limit.map(|limit| (&client.budget, limit));
        context.throttle = client.throttle.as_ref();
        match call.retries.after(&context, outcome, now, &mut self.rng) {
            Next::Again { at, permit, .. } => {
                call.permit = permit;
                self.events.at(at, Event::Again(number));
            }
            Next::Commit | Next::Stop(_) => {
                let parent = call.parent;
                if parent.is_none() {
                    tenth(&mut self.seen.tenths, self.events.elapsed()).answered += 1;
                }
                if parent.is_none() && is_good {
                    let took = now - call.start;
                    let arrival = self.events.elapsed() - took;
                    tenth(&mut self.seen.tenths, arrival).good += 1;
                    self.seen.times.add(took);
                }
                self.remove(number);
                if let Some(parent) = parent {
                    self.answered(parent, is_good);
                }
            }
        }
    }

    /// Nobody waits any more for a call or a job, nor for what is done for it.
    fn cancel(&mut self, number: u64) {
        if let Some(attempt) = self.remove(number) {
            self.cancel(attempt);
        } else if let Some((.., next)) =
            self.bottom.leave(number, self.events.elapsed(), &mut self.rng)
        {
            self.expect(next);
        }
    }

    /// Ends a call, and returns its attempt under way.
    fn remove(&mut self, number: u64) -> Option<u64> {
        let call = self.calls.remove(&number)?;
        let is_overdue = call.deadline.is_some_and(|deadline| deadline < self.events.now());
        self.seen.overdue += u32::from(is_overdue);
        call.attempt
    }

    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl Seen {
    /// The sums from one time to another, of the requests that came and the attempts that were made
    /// between these.
    pub(super) fn sum(&self, from: Duration, to: Duration) -> Tenth {
        let (from, to) = (index(from), index(to));
        let some = self.tenths.iter().take(to).skip(from);
        some.fold(Tenth::default(), |sum, tenth| Tenth {
            offered: sum.offered + tenth.offered,
            good: sum.good + tenth.good,
            answered: sum.answered + tenth.answered,
            attempts: sum.attempts + tenth.attempts,
        })
    }

    /// The same, where the requests that were under way at `from` are among those that came.
    pub(super) fn sum_with_those_under_way(&self, from: Duration, to: Duration) -> Tenth {
        let before = self.sum(Duration::ZERO, from);
        let sum = self.sum(from, to);
        Tenth { offered: sum.offered + before.offered - before.answered, ..sum }
    }
}

fn tenth(tenths: &mut Vec<Tenth>, at: Duration) -> &mut Tenth {
    let index = index(at);
    if tenths.len() <= index {
        tenths.resize(index + 1, Tenth::default());
    }
    // There since the line before.
    &mut tenths[index]
}

fn index(at: Duration) -> usize {
    usize::try_from(at.as_millis() / 100).unwrap_or(usize::MAX)
}
