//! What a call does when it has to wait: for configuration, a filter, a connection, or because the
//! peer has given it back.

use std::future::poll_fn;
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
use super::call::{Call, Stage, answered, fail};
use super::side::Side;
use super::target::{Inner, Options};
use crate::body::{BoxError, Guard, ResponseBody};
use crate::error::{Error, Kind};
use crate::pool::Pool;
use crate::runtime;
use crate::transport::exchange::{self, Again, Broken, Started};

/// How long a call without a deadline waits for configuration. Longer than a resource may stay
/// out (15 s, gRFC A57), so that its absence is the reason given.
const CONFIG_PATIENCE: Duration = Duration::from_secs(30);

/// How often a request is sent again because the peer had not looked at it. Peers that refuse one
/// connection after the other are broken, and the caller should know.
const MAX_AGAIN: u32 = 8;

type Outcome = Result<Response<ResponseBody>, Error>;

/// Goes on from `stage`.
pub(super) async fn run<B>(target: Arc<Inner>, mut call: Call, stage: Stage, body: B) -> Outcome
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let bound = call.deadline;
    let prepared = prepare(&target, &mut call, stage);
    // The deadline covers everything before the request is sent; pools check it themselves.
    let prepared = match bound {
        Some(at) => match tokio::time::timeout_at(at.into(), prepared).await {
            Ok(prepared) => prepared,
            Err(_) => {
                let why = format!("{}: the deadline passed while waiting", target.name);
                Err(Err(Error::new(Kind::Deadline, why)))
            }
        },
        None => prepared.await,
    };
    let (plan, passage) = match prepared {
        Ok(prepared) => prepared,
        Err(Ok(response)) => return Ok(response),
        Err(Err(error)) => return call.failed(error),
    };
    let Some(pool) = Pool::of(&plan.cluster, &target.context).cloned() else {
        let why = format!("cluster {} belongs to another data plane", plan.cluster.name());
        return call.failed(Error::new(Kind::NoCluster, why));
    };
    match pool.wait(call.deadline, call.wait_for_ready).await {
        Ok(stream) => call.send(&target, plan, passage, stream, body).await,
        Err(error) => {
            if let Some(mut passage) = passage {
                passage.finish(End::Failed);
            }
            call.failed(error)
        }
    }
}

/// Plans the call and takes it through its filters.
async fn prepare(
    target: &Arc<Inner>,
    call: &mut Call,
    stage: Stage,
) -> Result<(Plan, Option<Passage>), Outcome> {
    let (plan, passage, step) = match stage {
        Stage::Pick(plan, passage) => return Ok((plan, passage)),
        Stage::Filter(plan, passage, step) => (plan, passage, step),
        Stage::Plan => {
            let options = Options { deadline: call.deadline, wait_for_ready: call.wait_for_ready };
            let plan = plan(target, call, options).await?;
            if plan.chain.is_empty() {
                return Ok((plan, None));
            }
            let passage = Passage::new(plan.chain.clone());
            (plan, passage, None)
        }
    };
    filter(target, call, passage, step).await.map(|passage| (plan, Some(passage)))
}

async fn plan(target: &Arc<Inner>, call: &mut Call, options: Options) -> Result<Plan, Outcome> {
    let until = options.deadline.unwrap_or_else(|| runtime::now() + CONFIG_PATIENCE);
    let mut demanded = false;
    loop {
        let mut changed = std::pin::pin!(target.changed.0.notified());
        changed.as_mut().enable();
        let root = configured(target, options).await.map_err(Err)?;
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
                    return Err(answer::without_plan(target, unknown, protocol));
                }
            }
            Err(why) => return Err(answer::without_plan(target, why, protocol)),
        }
    }
}

/// The target's configuration, once there is one.
pub(super) async fn configured(target: &Inner, options: Options) -> Result<Arc<Root>, Error> {
    let until = match (options.deadline, options.wait_for_ready) {
        (Some(deadline), _) => Some(deadline),
        (None, true) => None,
        (None, false) => Some(runtime::now() + CONFIG_PATIENCE),
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
    mut passage: Passage,
    first: Option<Step>,
) -> Result<Passage, Outcome> {
    let mut step = first;
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
                return Err(Ok(answer::local(local, protocol)));
            }
            Some(_) => None,
        };
        match call.filter(target, &mut passage, reply) {
            None => return Ok(passage),
            next => step = next,
        }
    }
}

/// Sends a request once more that the peer has not looked at.
pub(super) async fn again(
    target: Arc<Inner>,
    authority: Option<Authority>,
    mut guard: Guard,
    mut again: Again,
) -> Outcome {
    let to = authority.as_ref().unwrap_or(&target.authority);
    let pool = guard.stream.as_ref().and_then(|stream| stream.0.signals.pool());
    let Some(pool) = pool else {
        return fail(guard, Error::new(Kind::Transport, "the request was given back"));
    };
    for turn in 1.. {
        let deadline = guard.give_back_stream();
        let stream = match pool.wait(deadline, false).await {
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
        let late = |at: Option<Instant>| async move {
            match at {
                Some(at) => runtime::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let answer = poll_fn(|cx| match &guard.stream {
            Some(stream) => exchange.poll(stream, cx),
            None => std::task::Poll::Pending,
        });
        let done = tokio::select! {
            done = answer => done,
            () = late(deadline) => {
                let why = format!("{}: the deadline passed", target.name);
                return fail(guard, Error::new(Kind::Deadline, why));
            }
        };
        match done {
            Ok(response) => return Ok(answered(guard, response)),
            Err(Broken::Unprocessed { again: Some(next), .. }) if turn < MAX_AGAIN => again = next,
            Err(Broken::Unprocessed { error, .. } | Broken::Failed(error)) => {
                return fail(guard, error);
            }
        }
    }
    fail(guard, Error::new(Kind::Transport, "the request was given back too often"))
}
