//! What a call does when it has to wait: for configuration, a filter, a connection, or because the
//! peer has given it back.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http::uri::Authority;
use http_body::Body;
use mesh_core::filter::{End, Passage, Step};
use mesh_core::side::SideCalls;
use mesh_core::snapshot::{NoPlan, Plan, Root};

use super::answer;
use super::call::{Call, Decided, Stage, answered, fail};
use super::side::Side;
use super::target::{Inner, Options};
use crate::body::{Guard, ResponseBody};
use crate::error::BoxError;
use crate::error::{Error, Kind};
use crate::pool::{Draw, Pool, Want};
use crate::runtime;
use crate::transport::exchange::{self, Broken, Started, Unprocessed};
use crate::transport::replay::Again;

/// How long a call without a deadline waits for configuration. Longer than a resource may stay
/// out (15 s, gRFC A57), so that its absence is the reason given.
const CONFIG_PATIENCE: Duration = Duration::from_secs(30);

/// How often a request is sent again at the most because no peer has looked at it. Peers that go
/// away one after the other are broken, and the caller should know.
const MAX_AGAIN: u32 = 64;

/// How often of these after a refusal: it comes from a peer that may have too much to do already.
const MAX_REFUSED: u32 = 3;

type Outcome = Result<Response<ResponseBody>, Error>;

/// Goes on from `stage`.
pub(super) async fn run<B>(target: Arc<Inner>, mut call: Call, stage: Stage, body: B) -> Outcome
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let bound = call.deadline;
    let planned = in_time(&target, bound, planned(&target, &mut call, stage)).await;
    let (plan, passage, draw) = match planned {
        Ok((plan, Filters::Passed(passage), draw)) => (plan, passage, draw),
        Ok((plan, Filters::Ahead(passage, step), draw)) => {
            // The plan may have brought the deadline forward.
            let bound = call.deadline;
            let filtered = filter(&target, &mut call, &plan, (passage, step));
            match in_time(&target, bound, filtered).await {
                Ok(passage) => (plan, Some(passage), draw),
                Err(decided) => return (*decided).or_else(|error| call.failed(error)),
            }
        }
        Err(decided) => return (*decided).or_else(|error| call.failed(error)),
    };
    let Some(pool) = Pool::of(&plan.cluster, &target.context).cloned() else {
        let why = format!("cluster {} belongs to another data plane", plan.cluster.name());
        return call.failed(Error::new(Kind::NoCluster, why));
    };
    let want = Want { deadline: call.deadline, patient: call.wait_for_ready, draw };
    match pool.wait(want).await {
        Ok(stream) => {
            // Some of the time is gone.
            call.tell_timeout(call.head(&target).protocol);
            call.send(&target, &plan, passage, stream, body).await
        }
        Err(error) => {
            if let Some(mut passage) = passage {
                passage.finish(End::Failed);
            }
            call.failed(error)
        }
    }
}

/// What `stage` comes to, unless the deadline passes before.
async fn in_time<T>(
    target: &Inner,
    deadline: Option<Instant>,
    stage: impl Future<Output = Result<T, Decided>>,
) -> Result<T, Decided> {
    let Some(at) = deadline else { return stage.await };
    tokio::time::timeout_at(at.into(), stage).await.unwrap_or_else(|_| {
        let why = format!("{}: the deadline passed while waiting", target.name);
        Err(Box::new(Err(Error::new(Kind::Deadline, why))))
    })
}

/// How far a planned call has come with its filters.
enum Filters {
    Ahead(Passage, Option<Step>),
    Passed(Option<Passage>),
}

/// The call's plan, once there is one.
async fn planned(
    target: &Arc<Inner>,
    call: &mut Call,
    stage: Stage,
) -> Result<(Plan, Filters, Draw), Decided> {
    match stage {
        Stage::Pick(plan, passage, draw) => Ok((plan, Filters::Passed(passage), draw)),
        Stage::Filter(plan, passage, step) => Ok((plan, Filters::Ahead(passage, step), Draw::Due)),
        Stage::Plan => {
            let options = Options { deadline: call.deadline, wait_for_ready: call.wait_for_ready };
            let plan = plan(target, call, options).await?;
            let filters = match plan.chain.is_empty() {
                true => Filters::Passed(None),
                false => Filters::Ahead(Passage::new(plan.chain.clone()), None),
            };
            Ok((plan, filters, Draw::Due))
        }
    }
}

async fn plan(target: &Arc<Inner>, call: &mut Call, options: Options) -> Result<Plan, Decided> {
    let until = options.deadline.unwrap_or_else(|| runtime::after(CONFIG_PATIENCE));
    let mut demanded = false;
    loop {
        let mut changed = std::pin::pin!(target.changed.0.notified());
        changed.as_mut().enable();
        let root = configured(target, options).await.map_err(|error| Box::new(Err(error)))?;
        let Root::Ready(snapshot) = &*root else { continue };
        let head = call.head(target);
        let protocol = head.protocol;
        match runtime::with_rng(|rng| snapshot.plan(&head, rng)) {
            Ok(plan) => {
                call.planned(&plan, protocol);
                return Ok(plan);
            }
            Err(NoPlan::Unknown { route, cluster }) if target.demand.is_some() => {
                if let (Some(demand), false) = (&target.demand, demanded) {
                    demand.demand(&cluster);
                    demanded = true;
                }
                if tokio::time::timeout_at(until.into(), changed).await.is_err() {
                    let unknown = NoPlan::Unknown { route, cluster };
                    return Err(Box::new(answer::without_plan(target, unknown, protocol)));
                }
            }
            Err(why) => return Err(Box::new(answer::without_plan(target, why, protocol))),
        }
    }
}

/// The target's configuration, once there is one.
pub(super) async fn configured(target: &Inner, options: Options) -> Result<Arc<Root>, Error> {
    let until = match (options.deadline, options.wait_for_ready) {
        (Some(deadline), _) => Some(deadline),
        (None, true) => None,
        (None, false) => Some(runtime::after(CONFIG_PATIENCE)),
    };
    let mut why: Option<Arc<str>> = None;
    loop {
        let mut changed = std::pin::pin!(target.changed.0.notified());
        changed.as_mut().enable();
        if let Some(root) = target.root.load_full() {
            match &*root {
                Root::Ready(_) => return Ok(root),
                Root::Failed { why, .. } if !options.wait_for_ready => {
                    return Err(Error::new(Kind::NoConfig, format!("{}: {why}", target.name)));
                }
                Root::Failed { why: reason, .. } | Root::Waiting { why: reason, .. } => {
                    why = Some(reason.clone());
                }
            }
        }
        let expired = async {
            match until {
                Some(at) => runtime::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = changed => {}
            () = expired => {
                let why = why.as_deref().unwrap_or("no configuration yet");
                let kind =
                    if options.deadline.is_some() { Kind::Deadline } else { Kind::NoConfig };
                return Err(Error::new(kind, format!("{}: {why}", target.name)));
            }
        }
    }
}

/// Takes the call through the rest of its filters, waiting where they want to.
async fn filter(
    target: &Arc<Inner>,
    call: &mut Call,
    plan: &Plan,
    (mut passage, mut step): (Passage, Option<Step>),
) -> Result<Passage, Decided> {
    loop {
        let reply = match step {
            None | Some(Step::Continue) => None,
            Some(Step::WaitUntil(at)) => {
                runtime::sleep_until(at).await;
                None
            }
            Some(Step::Ask(side)) => Some(Side::new(target).unary(side).await),
            Some(Step::Respond(local)) => {
                passage.finish(End::Complete);
                let protocol = call.head(target).protocol;
                return Err(Box::new(Ok(answer::local(local, protocol))));
            }
            Some(_) => None,
        };
        match call.filter(target, &plan.route, &mut passage, reply) {
            None => return Ok(passage),
            next => step = next,
        }
    }
}

/// Sends a request once more that the peer has not looked at.
pub(super) async fn again(
    mut guard: Guard,
    authority: Option<Authority>,
    patient: bool,
    (mut again, mut why): (Again, Unprocessed),
) -> Outcome {
    let pool = guard.stream.as_ref().and_then(|stream| stream.0.signals.owner::<Pool>());
    let owner = guard.owner.clone().map(|owner| owner as Arc<dyn Any + Send + Sync>);
    let target = owner.and_then(|owner| owner.downcast::<Inner>().ok());
    let (Some(pool), Some(target)) = (pool, target) else {
        return fail(guard, Error::new(Kind::Transport, "the request was given back"));
    };
    let to = authority.as_ref().unwrap_or(&target.authority);
    let mut refused = 0;
    for _ in 0..MAX_AGAIN {
        refused += u32::from(why == Unprocessed::Refused);
        if refused > MAX_REFUSED {
            break;
        }
        let deadline = guard.give_back_stream();
        let stream = match pool.wait(Want { deadline, patient, draw: Draw::Done }).await {
            Ok(stream) => stream,
            Err(error) => return fail(guard, error),
        };
        let Started { mut exchange, pump } = match exchange::restart(&stream, to, again) {
            Ok(started) => started,
            Err(error) => return fail(guard, error),
        };
        guard.stream = Some(stream);
        guard.pump = pump;
        guard.attempts = guard.attempts.saturating_add(1);
        let answer = poll_fn(|cx| match &guard.stream {
            Some(stream) => exchange.poll(stream, guard.pump.as_ref(), cx),
            None => std::task::Poll::Pending,
        });
        let late = async {
            match deadline {
                Some(at) => runtime::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let done = tokio::select! {
            done = answer => Some(done),
            () = late => None,
        };
        match done {
            None => {
                drop(exchange);
                let late = guard.late("before the answer of");
                return fail(guard, late);
            }
            Some(Ok(response)) => return Ok(answered(guard, response)),
            Some(Err(Broken::Unprocessed { again: Some(next), why: next_why, .. })) => {
                (again, why) = (next, next_why);
            }
            Some(Err(Broken::Unprocessed { error, .. } | Broken::Failed(error))) => {
                return fail(guard, error);
            }
        }
    }
    let name = &target.name;
    let error = format!("{name}: the peers gave the request back too often, the last one: {why}");
    fail(guard, Error::new(Kind::Transport, error))
}
