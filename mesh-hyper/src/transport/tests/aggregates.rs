//! Calls to an aggregate, which count against the leaf that they are sent to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use http::{Response, StatusCode};
use mesh_core::cell::Cell;
use mesh_core::cluster::{Assignment, Cluster, Config, Discovery, Endpoint, Version};
use mesh_core::retry::{Conditions, Policy, Priorities};
use mesh_core::route::{Action, Route};
use mesh_core::snapshot::Root;

use super::kit::{Lab, SECOND, eventually, post, serve, snapshot, target};
use crate::body::empty;
use crate::client::Options;

/// A lab whose cluster is an aggregate of two, each with one of the lab's endpoints; calls are sent
/// again once, where `leaves` is set to the leaf that was not asked.
fn lab(leaves: bool, second: impl FnOnce(&mut Config)) -> (Lab, [Arc<Cluster>; 2]) {
    let lab = Lab::with(2, |_| {}, |route| retried(route, leaves));
    let [a, b] = &lab.endpoints[..] else { panic!("there are two") };
    let clusters = [leaf("a", a, |_| {}), leaf("b", b, second)];
    let names = ["a".into(), "b".into()].into();
    let config = Arc::new(Config::new("backend", Discovery::Aggregate(names)));
    let assignment = Arc::new(Assignment::concatenate(clusters.clone()));
    lab.cluster.version().publish(Arc::new(Version { config, assignment, note: None }));
    (lab, clusters)
}

fn retried(route: &mut Route, leaves: bool) {
    let mut policy = Policy::new(Conditions::SERVER_ERROR).num_retries(1);
    policy.spacing.max = Duration::from_millis(1);
    if leaves {
        policy.hosts.priorities = Some(Priorities { update_frequency: 1.try_into().unwrap() });
    }
    let Action::Forward(forward) = &mut route.action else { panic!("it forwards") };
    forward.retry = Some(Arc::new(policy));
}

fn leaf(name: &str, endpoint: &Arc<Endpoint>, change: impl FnOnce(&mut Config)) -> Arc<Cluster> {
    let mut assignment = Assignment::of([]);
    assignment.localities[0].endpoints = [endpoint.clone()].into();
    let assignment = Arc::new(assignment);
    let mut config = Config::new(name, Discovery::Static(assignment.clone()));
    change(&mut config);
    Cluster::new(Version { config: Arc::new(config), assignment, note: None })
}

fn answer(status: StatusCode, mut respond: SendResponse<Bytes>) {
    let mut response = Response::new(());
    *response.status_mut() = status;
    respond.send_response(response, true).ok();
}

/// Fails all requests to the first leaf; the second answers after a second.
fn serve_both(lab: &Lab) {
    serve(lab.listen(0), Builder::new(), |_, respond| async move {
        answer(StatusCode::SERVICE_UNAVAILABLE, respond);
    });
    serve(lab.listen(1), Builder::new(), |_, respond| async move {
        tokio::time::sleep(SECOND).await;
        answer(StatusCode::OK, respond);
    });
}

#[tokio::test(start_paused = true)]
async fn a_retry_counts_against_the_leaf_that_it_is_sent_to() {
    let (lab, leaves) = lab(true, |_| {});
    serve_both(&lab);
    let call = tokio::spawn(lab.target.call(post(empty()), Options::default()));
    eventually!(leaves[1].requests() == 1);
    assert_eq!((leaves[0].requests(), lab.cluster.requests()), (0, 0));
    let response = call.await.unwrap().unwrap();
    assert_eq!((response.status().as_u16(), response.body().attempts()), (200, 2));
    drop(response);
    assert_eq!(leaves.map(|leaf| leaf.requests()), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_bound_by_the_limit_of_the_leaf_that_it_is_sent_to() {
    let (lab, _) = lab(true, |config| config.limits.max_requests = 0);
    serve_both(&lab);
    let error = lab.target.call(post(empty()), Options::default()).await.unwrap_err();
    assert!(error.to_string().starts_with("cluster backend: 0 requests are under way"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_call_is_sent_again_although_the_aggregate_is_no_more() {
    let (lab, leaves) = lab(false, |_| {});
    let asked = Arc::new(AtomicU32::new(0));
    serve(lab.listen(0), Builder::new(), move |_, respond| {
        let attempt = asked.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::time::sleep(SECOND).await;
            let status = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK];
            answer(status[usize::from(attempt > 0)], respond);
        }
    });
    let ready = snapshot(&lab.cluster, |route| retried(route, false));
    let root = Arc::new(Cell::new(Arc::new(Root::Ready(ready))));
    let target = target(root.clone(), &lab.context);
    let call = tokio::spawn(target.call(post(empty()), Options::default()));
    eventually!(leaves[0].requests() == 1);
    root.publish(Arc::new(Root::Ready(snapshot(&leaves[1], |_| {}))));
    let aggregate = Arc::downgrade(&lab.cluster);
    drop(lab);
    let response = call.await.unwrap().unwrap();
    assert_eq!((response.status().as_u16(), response.body().attempts()), (200, 2));
    drop(response);
    assert!(aggregate.upgrade().is_none(), "it is kept for calls under way only");
}
