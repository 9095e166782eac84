//! A call on its way through the stages until it is sent, as far as it need not wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Request, Response, Uri};
use http_body::Body;
use mesh_core::filter::{self, End, HeaderChanges, Step};
use mesh_core::hedge::Safe;
use mesh_core::inherited::{self, Inherited};
use mesh_core::metadata::Metadata;
use mesh_core::request::{Protocol, RequestHead, RoutingPriority};
use mesh_core::retry::{Asked, Start};
use mesh_core::snapshot::{NoPlan, Plan, Root};
use mesh_core::tenant::Tenant;

use super::again::Terms;
use super::attempt::{Spur, fail};
use super::future::ResponseFuture;
use super::target::{Inner, Options};
use super::{answer, race, slow, timeout};
use crate::body::{Course, Guard, Passing, ResponseBody};
use crate::error::BoxError;
use crate::error::{Error, Kind};
use crate::inherit;
use crate::pool::{Draw, Miss, Pool};
use crate::report::Report;
use crate::runtime;
use crate::transport::connection::Stream;
use crate::transport::exchange::{self, Started, Way};

/// The outcome of a call that is not sent.
pub(super) type Decided = Box<Result<Response<ResponseBody>, Error>>;

/// A call on its way through the stages, before it is sent.
pub(super) struct Call {
    pub(super) parts: Parts,
    /// The request's own authority, where it has one.
    pub(super) authority: Option<Authority>,
    /// How it is spoken, whatever filters make of its header fields.
    pub(super) protocol: Protocol,
    pub(super) deadline: Option<Instant>,
    pub(super) wait_for_ready: bool,
    pub(super) report: Option<Box<Report>>,
    /// Until when it may take by the word of the request itself (`grpc-timeout`), which servers keep.
    stated: Option<Instant>,
    /// Whether the request says how much time there is, and no more than that.
    pub(super) has_timeout: bool,
    /// Whose the request is that it is made for.
    pub(super) tenant: Option<Tenant>,
    /// Whether the deadline is the end of the stream's life, which is nobody's fault.
    pub(super) is_lifetime: bool,
    /// How often the request was sent before for whose sake the call is made.
    pub(super) inherited: u32,
    pub(super) course: Course,
}

/// How far a call has come when it has to wait.
pub(super) enum Stage {
    /// It has no plan: there is no configuration, or not for the cluster it names.
    Plan,
    /// A filter waits.
    Filter(Plan, Passing, Option<Step>),
    /// There is no stream to send it on.
    Pick(Plan, Passing, Draw),
}

impl ResponseFuture {
    pub(super) fn start<B>(target: &Arc<Inner>, request: Request<B>, options: Options) -> Self
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let authority = own_authority(&parts.uri, &parts.headers);
        let protocol = Protocol::of(&parts.headers);
        // To others than gRPC the field means nothing, as in Envoy.
        let stated = match protocol {
            Protocol::Grpc => inherited::stated(&parts.headers, protocol).map(runtime::after),
            Protocol::Http | _ => None,
        };
        let mut call = Call {
            authority,
            protocol,
            deadline: None,
            wait_for_ready: options.wait_for_ready,
            report: report(target),
            stated,
            has_timeout: stated.is_some(),
            tenant: None,
            is_lifetime: false,
            inherited: 0,
            course: Course::default(),
            parts,
        };
        if let Some(deadline) = options.deadline {
            call.bound(deadline);
        }
        inherit::with(|request| call.inherit(request.map(|request| &**request)));
        let stage = {
            let root = target.root.load();
            match &root.as_deref() {
                Some(Root::Ready(snapshot)) => {
                    let head = call.head(target);
                    match runtime::with_rng(|rng| snapshot.plan(&head, rng)) {
                        Ok(plan) => {
                            call.planned(target, &plan);
                            call.filtered(target, plan)
                        }
                        Err(NoPlan::Unknown { .. }) if target.demand.is_some() => Ok(Stage::Plan),
                        Err(why) => Err(Box::new(answer::without_plan(target, why, &head))),
                    }
                }
                _ => Ok(Stage::Plan),
            }
        };
        let stage = match stage {
            Ok(Stage::Pick(plan, passing, _)) => {
                return match call.picked(target, &plan) {
                    Ok(Ok(stream)) => call.send(target, &plan, passing, stream, body),
                    Ok(Err(draw)) => {
                        let stage = Stage::Pick(plan, passing, draw);
                        Self::later(slow::run(target.clone(), call, stage, body))
                    }
                    Err(error) => Self::decided(call.refused(passing, error)),
                };
            }
            Ok(stage) => stage,
            Err(decided) => return Self::decided(call.ended(decided)),
        };
        Self::later(slow::run(target.clone(), call, stage, body))
    }
}

impl Call {
    pub(super) fn head<'a>(&'a self, target: &'a Inner) -> RequestHead<'a> {
        let authority = self.authority.as_ref().unwrap_or(&target.authority);
        let uri = &self.parts.uri;
        RequestHead {
            method: &self.parts.method,
            scheme: uri.scheme_str().unwrap_or("http"),
            authority: authority.as_str(),
            path: uri.path(),
            query: uri.query(),
            headers: &self.parts.headers,
            protocol: self.protocol,
        }
    }

    /// Takes what the request hands down in whose service the call is made.
    #[inline]
    fn inherit(&mut self, request: Option<&Inherited>) {
        let Some(request) = request else { return };
        if let Some(until) = request.deadline {
            self.bound(until);
        }
        request.hand_down(&mut self.parts.headers);
        self.tenant.clone_from(&request.tenant);
        self.inherited = request.retries;
    }

    /// The call ends at `until` at the latest; whether it may have gone on before.
    fn bound(&mut self, until: Instant) -> bool {
        /// What passes between two looks at the clock is no difference.
        const SLACK: Duration = Duration::from_millis(1);
        if self.deadline.is_some_and(|deadline| deadline <= until) {
            return false;
        }
        self.deadline = Some(until);
        self.has_timeout &=
            self.stated.is_some_and(|stated| stated.saturating_duration_since(until) <= SLACK);
        true
    }

    /// Takes the plan's limit into account, and tells it to the upstream.
    pub(super) fn planned(&mut self, target: &Inner, plan: &Plan) {
        let protocol = self.protocol;
        if let Some(report) = &mut self.report {
            report.cluster(plan.cluster.name());
        }
        let asked = Asked::take(&mut self.parts.headers);
        // The clock is read only for routes that take something off.
        let own = plan.route.timeouts.grpc_timeout_header_offset.and(self.deadline);
        let own = own.map(|until| until.saturating_duration_since(runtime::now()));
        // What is said to the upstream, where that is not what is left of something.
        let mut usual = None;
        if let Some(limit) = plan.limit(protocol, own, &asked) {
            let until = runtime::after(limit);
            if self.bound(until) {
                self.is_lifetime = plan.is_lifetime(protocol, limit);
            }
            usual = (self.deadline == Some(until)).then_some(limit);
        }
        let mut start = Start { asked, deadline: self.deadline, ..Start::default() };
        start.inherited = self.inherited;
        let mark = self.parts.extensions.get::<Safe>();
        self.course = Course::new(&plan.route, &self.head(target), start, mark);
        if let Some(limit) = self.course.told_limit()
            && self.deadline.is_none_or(|deadline| runtime::after(limit) < deadline)
        {
            usual = Some(limit);
            self.has_timeout = false;
        }
        match usual {
            _ if self.has_timeout => {}
            Some(limit) => {
                timeout::say_usual(limit, protocol, &mut self.parts.headers);
                self.has_timeout = true;
            }
            None => self.tell_timeout(),
        }
        self.course.stamp(&mut self.parts.headers);
    }

    /// Tells the upstream how much time is left, as far as there is a deadline.
    pub(super) fn tell_timeout(&mut self) {
        if self.deadline.is_none() && self.course.told_limit().is_none() {
            return;
        }
        let now = runtime::now();
        let own = self.course.told_until(now).or(self.deadline);
        if let Some(until) = [own, self.stated].into_iter().flatten().min() {
            let left = until.saturating_duration_since(now);
            timeout::say(left, self.protocol, &mut self.parts.headers);
            self.has_timeout = true;
        }
    }

    /// Goes through the filters as far as they let it without waiting.
    fn filtered(&mut self, target: &Inner, plan: Plan) -> Result<Stage, Decided> {
        if plan.chain.is_empty() {
            return Ok(Stage::Pick(plan, Passing::default(), Draw::Due));
        }
        let mut passing = Passing::new(plan.chain.clone()).of(self.tenant.take());
        loop {
            match self.filter(target, &plan, &mut passing, None) {
                None => return Ok(Stage::Pick(plan, passing, Draw::Due)),
                Some(Step::Continue) => {}
                Some(Step::Respond(local)) => {
                    passing.finish(End::Complete);
                    return Err(Box::new(Ok(answer::local(local, &self.head(target)))));
                }
                Some(step) => return Ok(Stage::Filter(plan, passing, Some(step))),
            }
        }
    }

    /// Asks the filters up to one that does not let the call go on at once, or that wants changes, and
    /// makes these.
    pub(super) fn filter(
        &mut self,
        target: &Inner,
        plan: &Plan,
        passing: &mut Passing,
        answer: Option<Result<mesh_core::side::Reply, mesh_core::side::Failure>>,
    ) -> Option<Step> {
        let mut changes = HeaderChanges::default();
        let step = {
            let head = self.head(target);
            let now = runtime::now();
            runtime::with_rng(|rng| {
                let mut context = filter::Context {
                    now,
                    wall: runtime::unix(),
                    peer: None,
                    connection: None,
                    route: Some(&plan.route),
                    cluster: Some(plan.cluster.name()),
                    metadata: Metadata::default(),
                    rng,
                    answer,
                    body: None,
                    changes: &mut changes,
                };
                loop {
                    match passing.poll(&head, &mut context) {
                        Some(Step::Continue) if context.changes.is_empty() => context.answer = None,
                        step => break step,
                    }
                }
            })
        };
        if !changes.is_empty() {
            changes.apply(&mut self.parts.headers);
        }
        match step {
            Some(Step::Body { .. }) => Some(Step::Respond(answer::bodiless())),
            step => step,
        }
    }

    /// A stream for the call, if there is one at once.
    fn picked(&self, target: &Inner, plan: &Plan) -> Result<Result<Stream, Draw>, Error> {
        let Some(pool) = Pool::of(&plan.cluster, &target.context) else {
            return Err(foreign(plan));
        };
        match runtime::with_rng(|rng| pool.pick(rng)) {
            Ok(stream) => Ok(Ok(stream)),
            Err(Miss::NotReady | Miss::Behind) => Ok(Err(Draw::Due)),
            Err(Miss::Saturated(_)) => Ok(Err(Draw::Done)),
            Err(Miss::Refused) => Err(pool.refused()),
            Err(Miss::Dropped(category)) => Err(pool.dropped(&category)),
        }
    }

    /// Whose limit on waiting requests the call is bound by.
    pub(super) fn pending(&self, plan: &Plan) -> Option<RoutingPriority> {
        match self.protocol {
            Protocol::Grpc => None,
            protocol @ (Protocol::Http | _) => Some(plan.priority(|| protocol)),
        }
    }

    /// Sends the call on `stream`, unless the cluster is at its limit.
    pub(super) fn send<B>(
        mut self,
        target: &Arc<Inner>,
        plan: &Plan,
        passing: Passing,
        stream: Stream,
        body: B,
    ) -> ResponseFuture
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let Some(pool) = Pool::of(&plan.cluster, &target.context) else {
            return ResponseFuture::decided(self.refused(passing, foreign(plan)));
        };
        let priority = plan.priority(|| self.protocol);
        let permit = match pool.admit(&plan.cluster, priority, &stream) {
            Ok(permit) => permit,
            Err(error) => return ResponseFuture::decided(self.refused(passing, error)),
        };
        self.course.count(&plan.cluster, permit.cluster());
        let mut guard = Guard::new(permit, self.deadline);
        guard.is_lifetime = self.is_lifetime;
        guard.passing = passing;
        guard.course = std::mem::take(&mut self.course);
        guard.course.enter(pool);
        guard.report = self.report.take();
        guard.owner = Some(target.clone());
        let authority = self.authority.take();
        let to = authority.as_ref().unwrap_or(&target.authority);
        let way = Way { stream: &stream, authority: to, keep: guard.course.keep() };
        match exchange::start(way, self.parts, body) {
            Ok(Started { exchange, pump }) => {
                guard.start(stream, pump);
                let wait_for_ready = self.wait_for_ready;
                let attempts = guard.course.begin(pool, || exchange.is_at_hand());
                if attempts > 1 {
                    let terms = Terms::new(authority, wait_for_ready);
                    let race = race::run(guard, exchange, terms, Spur::Start(attempts));
                    return ResponseFuture::later(race);
                }
                ResponseFuture::sent(exchange, guard, authority, wait_for_ready)
            }
            Err(error) => {
                guard.stream = Some(stream);
                ResponseFuture::decided(fail(guard, error))
            }
        }
    }

    /// Tells how a call ended that was not sent.
    pub(super) fn ended(&mut self, decided: Decided) -> Result<Response<ResponseBody>, Error> {
        let response = match *decided {
            Ok(response) => response,
            Err(error) => return self.failed(error),
        };
        if let Some(mut report) = self.report.take() {
            report.answered(response.status(), response.headers());
            report.finish(End::Complete);
        }
        Ok(response)
    }

    /// Tells filters and report that a call failed which was not sent.
    pub(super) fn refused(
        &mut self,
        passing: Passing,
        error: Error,
    ) -> Result<Response<ResponseBody>, Error> {
        passing.finish(End::Failed);
        self.failed(error)
    }

    pub(super) fn failed(&mut self, error: Error) -> Result<Response<ResponseBody>, Error> {
        if let Some(mut report) = self.report.take() {
            report.failed(error.kind());
            report.finish(End::Failed);
        }
        Err(error)
    }
}

fn foreign(plan: &Plan) -> Error {
    let why = format!("cluster {} belongs to another data plane", plan.cluster.name());
    Error::new(Kind::NoCluster, why)
}

fn report(target: &Inner) -> Option<Box<Report>> {
    let recorder = target.context.recorder.as_ref()?;
    Some(Box::new(Report::new(recorder.clone(), target.name.clone(), runtime::now())))
}

/// The authority that the request itself names: in its URI, or else in `host`.
pub(super) fn own_authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let own = uri.authority().cloned().or_else(|| host(headers))?;
    match own.as_str().rsplit_once('@') {
        None => Some(own),
        // User information is no part of where a request goes, and nobody else's business.
        Some((_, host)) => Authority::try_from(host).ok(),
    }
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok())
}
