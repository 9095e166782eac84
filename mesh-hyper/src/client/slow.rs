//! What a call does when it has to wait before it is sent: for configuration, a filter, a connection.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use mesh_core::filter::{End, Step};
use mesh_core::side::SideCalls;
use mesh_core::snapshot::{NoPlan, Plan, Root};

use super::call::{Call, Decided, Stage};
use super::side::Side;
use super::target::{Inner, Options};
use super::{answer, attempt};
use crate::body::{Passing, ResponseBody};
use crate::error::BoxError;
use crate::error::{Error, Kind};
use crate::pool::{Draw, Pool, Want};
use crate::runtime;

/// How long a call without a deadline waits for configuration. Longer than a resource may stay
/// out (15 s, gRFC A57), so that its absence is the reason given.
const CONFIG_PATIENCE: Duration = Duration::from_secs(30);

/// How soon a cluster that a request names may be demanded again.
const DEMAND_AGAIN: Duration = Duration::from_secs(1);

pub(super) type Outcome = Result<Response<ResponseBody>, Error>;

/// Goes on from `stage`.
pub(super) async fn run<B>(target: Arc<Inner>, mut call: Call, stage: Stage, body: B) -> Outcome
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let bound = call.deadline;
    let planned = in_time(&target, bound, planned(&target, &mut call, stage)).await;
    let (plan, passing, draw) = match planned {
        Ok((plan, Filters::Passed(passing), draw)) => (plan, passing, draw),
        Ok((plan, Filters::Ahead(mut passing, step), draw)) => {
            // The plan may have brought the deadline forward.
            let bound = until(&mut call);
            let filtered = filter(&target, &mut call, &plan, (&mut passing, step));
            if let Err(decided) = in_time(&target, bound, filtered).await {
                // Unless a filter has answered, which ended them all.
                passing.finish(End::Failed);
                return call.ended(decided);
            }
            (plan, passing, draw)
        }
        Err(decided) => return call.ended(decided),
    };
    let Some(pool) = Pool::of(&plan.cluster, &target.context).cloned() else {
        let why = format!("cluster {} belongs to another data plane", plan.cluster.name());
        return call.refused(passing, Error::new(Kind::NoCluster, why));
    };
    call.course.enter(&pool);
    let (deadline, patient) = (until(&mut call), call.wait_for_ready);
    let mut draw = draw;
    loop {
        let pending = call.pending(&plan);
        let avoid = call.course.avoid();
        let error = match pool.wait(Want { deadline, patient, draw, avoid, pending }).await {
            Ok(stream) => {
                // Some of the time is gone.
                call.tell_timeout();
                call.course.stamp(&mut call.parts.headers);
                return call.send(&target, &plan, passing, stream, body).await;
            }
            Err(error) => error,
        };
        // Nothing was sent, so the body is there.
        let report = call.report.as_deref();
        match attempt::without_stream(&mut call.course, &pool, &error, report) {
            // Whoever has no more time finds out when it looks again.
            Some(at) => _ = before(deadline, runtime::sleep_until(at)).await,
            None => {
                return call.refused(passing, error);
            }
        }
        draw = Draw::Done;
    }
}

/// Until when a call that is planned may wait: silence counts from its start, also before it is sent.
fn until(call: &mut Call) -> Option<Instant> {
    let silent = call.course.tries().and_then(|tries| tries.pace.silent_at());
    [call.deadline, silent].into_iter().flatten().min()
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
    Ahead(Passing, Option<Step>),
    Passed(Passing),
}

/// The call's plan, once there is one.
async fn planned(
    target: &Arc<Inner>,
    call: &mut Call,
    stage: Stage,
) -> Result<(Plan, Filters, Draw), Decided> {
    match stage {
        Stage::Pick(plan, passing, draw) => Ok((plan, Filters::Passed(passing), draw)),
        Stage::Filter(plan, passing, step) => Ok((plan, Filters::Ahead(passing, step), Draw::Due)),
        Stage::Plan => {
            let options = Options { deadline: call.deadline, wait_for_ready: call.wait_for_ready };
            let plan = plan(target, call, options).await?;
            let passing = Passing::new(plan.chain.clone()).of(call.tenant.take());
            Ok((plan, Filters::Ahead(passing, None), Draw::Due))
        }
    }
}

async fn plan(target: &Arc<Inner>, call: &mut Call, options: Options) -> Result<Plan, Decided> {
    let until = options.deadline.unwrap_or_else(|| runtime::after(CONFIG_PATIENCE));
    let mut demand_at = runtime::now();
    loop {
        let mut changed = std::pin::pin!(target.changed.0.notified());
        changed.as_mut().enable();
        let root = configured(target, options).await.map_err(|error| Box::new(Err(error)))?;
        let Root::Ready(snapshot) = &*root else { continue };
        let head = call.head(target);
        match runtime::with_rng(|rng| snapshot.plan(&head, rng)) {
            Ok(plan) => {
                call.planned(target, &plan);
                return Ok(plan);
            }
            Err(NoPlan::Unknown { route, cluster }) if target.demand.is_some() => {
                // Again after a while: the control side holds only so many of them.
                let now = runtime::now();
                if let Some(demand) = target.demand.as_ref().filter(|_| now >= demand_at) {
                    demand_at = now + DEMAND_AGAIN;
                    if let Err(why) = demand.demand(&cluster) {
                        let broken = NoPlan::Broken { route, cluster, why };
                        return Err(Box::new(answer::without_plan(target, broken, &head)));
                    }
                }
                if tokio::time::timeout_at(until.into(), changed).await.is_err() {
                    let unknown = NoPlan::Unknown { route, cluster };
                    return Err(Box::new(answer::without_plan(target, unknown, &head)));
                }
            }
            Err(why) => return Err(Box::new(answer::without_plan(target, why, &head))),
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
    (passing, mut step): (&mut Passing, Option<Step>),
) -> Result<(), Decided> {
    loop {
        let reply = match step {
            None | Some(Step::Continue) => None,
            Some(Step::WaitUntil(at)) => {
                runtime::sleep_until(at).await;
                None
            }
            Some(Step::WaitFor(what, latest)) => {
                runtime::happened(what, latest).await;
                None
            }
            Some(Step::Ask(side)) => Some(Side::new(target).unary(*side).await),
            Some(Step::Respond(local)) => {
                passing.end(End::Complete);
                return Err(Box::new(Ok(answer::local(local, &call.head(target)))));
            }
            Some(_) => None,
        };
        match call.filter(target, plan, passing, reply) {
            None => return Ok(()),
            next => step = next,
        }
    }
}

/// What `future` comes to, unless the deadline passes before.
pub(super) async fn before<T>(
    deadline: Option<Instant>,
    future: impl Future<Output = T>,
) -> Option<T> {
    match deadline {
        Some(at) => tokio::time::timeout_at(at.into(), future).await.ok(),
        None => Some(future.await),
    }
}
