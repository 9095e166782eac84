//! The way of a request through the filters of its route.

use std::sync::Arc;

use http::Request;
use mesh_core::filter::{self, Beginning, HeaderChanges, LocalResponse, Passage, Step};
use mesh_core::metadata::Metadata;
use mesh_core::route::Route;
use mesh_core::side::{Failure, Reply, SideCalls};
use mesh_core::snapshot::Routes;

use super::answer;
use super::body::ServerBody;
use super::connection::Connected;
use super::head;
use super::side::Side;
use crate::runtime;

/// How far a request has come.
pub(super) enum Progress {
    /// Through all of them.
    Passed,
    /// To one that has answered.
    Answered(LocalResponse),
    /// To one that waits.
    Waits(Step),
}

/// What a filter has waited for.
#[derive(Default)]
pub(super) struct Awaited {
    answer: Option<Result<Reply, Failure>>,
    body: Option<Beginning>,
}

/// Goes on as far as the filters let it without waiting.
pub(super) fn advance(
    connected: &Connected,
    request: &mut Request<ServerBody>,
    (route, passage): (&Route, &mut Passage),
    mut awaited: Awaited,
) -> Progress {
    loop {
        let mut changes = HeaderChanges::default();
        let step = {
            let view = head::view(request, connected.scheme);
            let now = runtime::now();
            let peer = Some(&*connected.peer.0);
            let Awaited { answer, body } = std::mem::take(&mut awaited);
            runtime::with_rng(|rng| {
                let mut context = filter::Context {
                    now,
                    wall: runtime::unix(),
                    peer,
                    connection: Some(&connected.memory),
                    route: Some(route),
                    cluster: None,
                    metadata: Metadata::default(),
                    rng,
                    answer,
                    body,
                    changes: &mut changes,
                };
                passage.poll(&view, &mut context)
            })
        };
        if !changes.is_empty() {
            changes.apply(request.headers_mut());
        }
        match step {
            None => return Progress::Passed,
            Some(Step::Continue) => {}
            Some(Step::Respond(local)) => return Progress::Answered(local),
            Some(step) => return Progress::Waits(step),
        }
    }
}

/// A request that has passed its filters, or the answer of one of them.
pub(super) type Filtered = (Passage, Result<Request<ServerBody>, LocalResponse>);

/// Goes on from `step`, at which a filter waits.
pub(super) async fn wait(
    (connected, routes): (Arc<Connected>, Arc<Routes>),
    mut request: Request<ServerBody>,
    (route, mut passage): (Arc<Route>, Passage),
    mut step: Step,
) -> Filtered {
    loop {
        let mut awaited = Awaited::default();
        match step {
            Step::WaitUntil(at) => runtime::sleep_until(at).await,
            Step::WaitFor(what, latest) => runtime::happened(what, latest).await,
            Step::Ask(call) => {
                let side = Side { context: &connected.context, routes: &routes };
                awaited.answer = Some(side.unary(*call).await);
            }
            Step::Body { up_to } => {
                let patience = connected.patience;
                let begun = request.body_mut().begin(up_to);
                match tokio::time::timeout(patience, begun).await {
                    Ok(Ok(body)) => awaited.body = Some(body),
                    Ok(Err(why)) => return (passage, Err(answer::broken_off(&why))),
                    Err(_) => return (passage, Err(answer::slow_body(patience))),
                }
            }
            Step::Continue | Step::Respond(_) | _ => {}
        }
        match advance(&connected, &mut request, (&route, &mut passage), awaited) {
            Progress::Passed => return (passage, Ok(request)),
            Progress::Answered(local) => return (passage, Err(local)),
            Progress::Waits(next) => step = next,
        }
    }
}
