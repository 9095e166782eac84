//! Calls to an aggregate, which count against the leaf that they are sent to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use http::{Response, StatusCode};
use mesh_core::cell::Cell;
use mesh_core::cluster::{Assignment, Cluster, Config, Discovery, Endpoint, Version};
use mesh_core::outlier;
use mesh_core::retry::{Conditions, Limit, Policy, Priorities};
use mesh_core::route::{Action, Route};
use mesh_core::snapshot::Root;

use super::kit::{Lab, SECOND, eventually, post, serve, snapshot, target};
use crate::body::empty;
use crate::client::Options;
use crate::error::Kind;

/// A lab whose cluster is an aggregate of two, each with one of the lab's endpoints; calls are sent
/// again once, where `leaves` is set to the leaf that was not asked.
fn lab(leaves: bool, second: impl FnOnce(&mut Config)) -> (Lab, [Arc<Cluster>; 2]) {
    let lab = Lab::with(2, |_| {}, |route| retried(route, leaves));
    let [a, b] = &lab.endpoints[..] else { panic!("there are two") };
    let clusters = [leaf("a", a, |_| {}), leaf("b", b, second)];
    publish(&lab, &clusters, |_| {});
    (lab, clusters)
}

/// Makes the lab's cluster an aggregate of `leaves`.
fn publish(lab: &Lab, leaves: &[Arc<Cluster>], change: impl FnOnce(&mut Config)) {
    let names = leaves.iter().map(|leaf| leaf.name().clone()).collect();
    let mut config = Config::new("backend", Discovery::Aggregate(names));
    change(&mut config);
    let (config, assignment) = (Arc::new(config), Assignment::concatenate(leaves.to_vec()));
    let version = Version { config, assignment: Arc::new(assignment), note: None };
    lab.cluster.version().publish(Arc::new(version));
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

/// Answers a plain request after a second.
fn serve_slowly(lab: &Lab) {
    serve(lab.listen(0), Builder::new(), |_, respond| async move {
        tokio::time::sleep(SECOND).await;
        answer(StatusCode::OK, respond);
    });
}

#[tokio::test(start_paused = true)]
async fn connections_are_bound_by_the_limits_of_the_leaf() {
    for (per_endpoint, max_connections, dials) in [(1, 9, 1), (9, 2, 2), (3, 9, 3)] {
        let lab = Lab::with(1, |_| {}, |_| {});
        let only = leaf("a", &lab.endpoints[0], |config| {
            config.connections.max_concurrent_streams = Some(1);
            config.connections.per_endpoint = per_endpoint;
            config.limits.max_connections = max_connections;
        });
        publish(&lab, &[only], |_| {});
        serve_slowly(&lab);
        let call = || tokio::spawn(lab.target.call(post(empty()), Options::default()));
        let calls: Vec<_> = (0..4).map(|_| call()).collect();
        for call in calls {
            assert!(call.await.unwrap().is_ok());
        }
        assert_eq!(lab.dials(), dials);
    }
}

#[tokio::test(start_paused = true)]
async fn connections_are_replaced_when_the_settings_of_their_leaf_change() {
    let lab = Lab::with(1, |_| {}, |_| {});
    let with = |max_requests| {
        let change = move |config: &mut Config| {
            config.connections.max_requests = max_requests;
        };
        [leaf("a", &lab.endpoints[0], change)]
    };
    publish(&lab, &with(None), |_| {});
    serve_slowly(&lab);
    let call = || lab.target.call(post(empty()), Options::default());
    drop(call().await.unwrap());
    publish(&lab, &with(None), |_| {});
    drop(call().await.unwrap());
    assert_eq!(lab.dials(), 1);
    publish(&lab, &with(Some(7)), |_| {});
    eventually!(lab.dials() == 2);
    drop(call().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn how_many_retries_there_may_be_is_the_aggregates_to_say() {
    for (most, attempts) in [(0, 1), (1, 2)] {
        let lab = Lab::with(1, |_| {}, |route| retried(route, false));
        let only = leaf("a", &lab.endpoints[0], |config| config.retries = Some(Limit::AtMost(9)));
        publish(&lab, &[only], |config| config.retries = Some(Limit::AtMost(most)));
        serve(lab.listen(0), Builder::new(), |_, respond| async move {
            answer(StatusCode::SERVICE_UNAVAILABLE, respond);
        });
        let response = lab.target.call(post(empty()), Options::default()).await.unwrap();
        assert_eq!((response.status().as_u16(), response.body().attempts()), (503, attempts));
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_of_another_leaf_is_judged_there() {
    let lab = Lab::with(1, |_| {}, |_| {});
    let named = |name| {
        let detection = |config: &mut Config| {
            let mut settings = outlier::Config {
                max_ejection_percent: outlier::Percent::ALL,
                ..outlier::Config::default()
            };
            settings.consecutive_5xx.threshold = 2;
            config.outlier = Some(settings);
            config.panic_threshold = outlier::Percent::NONE;
        };
        [leaf(name, &lab.endpoints[0], detection)]
    };
    publish(&lab, &named("a"), |_| {});
    serve(lab.listen(0), Builder::new(), |_, respond| async move {
        answer(StatusCode::SERVICE_UNAVAILABLE, respond);
    });
    let call = || lab.target.call(post(empty()), Options::default());
    drop(call().await.unwrap());
    publish(&lab, &named("b"), |_| {});
    eventually!(lab.dials() == 2);
    for _ in 0..2 {
        drop(call().await.unwrap());
        tokio::task::yield_now().await;
    }
    let error = call().await.unwrap_err();
    assert_eq!(error.kind(), Kind::NoEndpoint, "{error}");
}
