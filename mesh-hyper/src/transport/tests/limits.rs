//! Limits on calls, and the fairness of waiting.

use std::sync::Arc;

use h2::server::Builder;
use http::{Response, StatusCode};
use mesh_core::cluster::{Assignment, Config, DropOverload, Version};
use mesh_core::request::RoutingPriority;
use mesh_core::retry::{Conditions, Policy};
use mesh_core::route::{Action, Route};

use super::kit::{Lab, SECOND, echo, eventually, post, serve};
use crate::body::{ResponseBody, empty};
use crate::client::{Options, ResponseFuture};
use crate::error::{Error, Kind};

#[test]
fn futures_and_bodies_are_small_and_can_be_shared() {
    fn is_send_sync<T: Send + Sync>() {}
    fn is_send<T: Send>() {}
    is_send_sync::<ResponseBody>();
    is_send::<ResponseFuture>();
    let (future, body) = (size_of::<ResponseFuture>(), size_of::<ResponseBody>());
    assert!(future <= 400 && body <= 176, "{future} {body}");
}

#[tokio::test(start_paused = true)]
async fn as_many_requests_as_allowed_are_under_way_and_not_one_more() {
    let (lab, acceptor) = Lab::new(|config| config.limits.max_requests = 3);
    serve(acceptor, Builder::new(), |request, respond| async move {
        tokio::time::sleep(SECOND).await;
        echo(request, respond).await;
    });
    let call = || lab.target.call(post(empty()), Options::default());
    let first = call().await.unwrap();
    drop(first);
    let calls: Vec<_> = (0..3).map(|_| call()).collect();
    assert_eq!(lab.cluster.requests(), 3);
    let error = call().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Overloaded);
    assert_eq!(error.to_string(), "cluster backend: 3 requests are under way");
    for call in calls {
        assert!(call.await.is_ok());
    }
    assert!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn as_many_calls_as_allowed_wait_and_not_one_more() {
    let (lab, mut acceptor) = Lab::new(|config| config.limits.max_pending = 3);
    let call = || tokio::spawn(lab.target.call(post(empty()), Options::default()));
    let calls: Vec<_> = (0..3).map(|_| call()).collect();
    let io = acceptor.recv().await.unwrap();
    assert_eq!(lab.pool().load().0, 3);
    let error = call().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Overloaded);
    assert_eq!(error.to_string(), "cluster backend: 3 calls wait already");
    let (sender, offers) = tokio::sync::mpsc::unbounded_channel();
    sender.send(io).unwrap();
    serve(offers, Builder::new(), echo);
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    assert!(lab.is_at_rest());
}

fn grpc() -> http::Request<crate::body::Body> {
    let mut request = post(empty());
    let grpc = http::HeaderValue::from_static("application/grpc");
    request.headers_mut().insert("content-type", grpc);
    request
}

#[tokio::test(start_paused = true)]
async fn requests_of_high_priority_have_limits_of_their_own_and_grpc_has_not() {
    let high = |route: &mut Route| {
        let Action::Forward(forward) = &mut route.action else { panic!("it forwards") };
        forward.priority = RoutingPriority::High;
    };
    let limits = |config: &mut Config| {
        (config.limits.max_requests, config.high.max_requests) = (1, 2);
        (config.limits.max_pending, config.high.max_pending) = (0, 2);
    };
    let lab = Lab::with(1, limits, high);
    let mut acceptor = lab.listen(0);
    let call = |request| tokio::spawn(lab.target.call(request, Options::default()));
    let calls = [call(post(empty())), call(post(empty()))];
    let kind = |answer: Result<_, Error>| answer.map(drop).map_err(|error| error.kind());
    // Two wait for the first connection, which is as many as may.
    let io = acceptor.recv().await.unwrap();
    assert_eq!(lab.cluster.usage().pending(RoutingPriority::High), 2);
    assert_eq!(kind(call(post(empty())).await.unwrap()), Err(Kind::Overloaded));
    let (sender, offers) = tokio::sync::mpsc::unbounded_channel();
    sender.send(io).unwrap();
    serve(offers, Builder::new(), |request, respond| async move {
        tokio::time::sleep(SECOND).await;
        echo(request, respond).await;
    });
    eventually!(lab.cluster.requests() == 2);
    assert_eq!(kind(call(post(empty())).await.unwrap()), Err(Kind::Overloaded));
    let first = call(grpc());
    eventually!(lab.cluster.requests() == 3);
    let error = call(grpc()).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "cluster backend: 1 requests are under way");
    for call in calls.into_iter().chain([first]) {
        assert_eq!(kind(call.await.unwrap()), Ok(()));
    }
    eventually!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn grpc_calls_wait_however_many_do() {
    let (lab, acceptor) = Lab::new(|config| config.limits.max_pending = 0);
    serve(acceptor, Builder::new(), echo);
    let call = |request| tokio::spawn(lab.target.call(request, Options::default()));
    let error = call(post(empty())).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "cluster backend: 0 calls wait already");
    let calls = [call(grpc()), call(grpc())];
    for call in calls {
        assert!(call.await.unwrap().is_ok());
    }
    eventually!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_finds_a_stream_at_once_waits_for_nothing() {
    let retried = |route: &mut Route| {
        let mut policy = Policy::new(Conditions::SERVER_ERROR).num_retries(1);
        policy.spacing.max = SECOND / 1_000;
        let Action::Forward(forward) = &mut route.action else { panic!("it forwards") };
        forward.retry = Some(Arc::new(policy));
    };
    let lab = Lab::with(1, |config| config.limits.max_pending = 0, retried);
    serve(lab.listen(0), Builder::new(), |request, mut respond| async move {
        let mut response = Response::new(());
        if request.headers().get("content-type").is_none() {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        respond.send_response(response, true).unwrap();
    });
    lab.target.call(grpc(), Options::default()).await.unwrap();
    let response = lab.target.call(post(empty()), Options::default()).await.unwrap();
    assert_eq!((response.status().as_u16(), response.body().attempts()), (503, 2));
    drop(response);
    assert!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn nobody_is_retried_where_there_is_nobody() {
    let retried = |route: &mut Route| {
        let Action::Forward(forward) = &mut route.action else { panic!("it forwards") };
        let policy = Policy::new(Conditions::parse("5xx,unavailable")).num_retries(2);
        forward.retry = Some(Arc::new(policy));
    };
    let lab = Lab::with(0, |_| {}, retried);
    let start = tokio::time::Instant::now();
    let error = lab.target.call(post(empty()), Options::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "cluster backend: it has no usable endpoint");
    assert!(start.elapsed().is_zero(), "{:?}", start.elapsed());
    // To gRPC it is an attempt like others.
    let error = lab.target.call(grpc(), Options::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NoEndpoint);
    assert!(!start.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn further_connections_are_opened_below_the_clusters_limit_only() {
    for (most, dials) in [(1, 1), (2, 2)] {
        let (lab, acceptor) = Lab::new(|config| {
            config.connections.max_concurrent_streams = Some(1);
            config.connections.per_endpoint = 3;
            config.limits.max_connections = most;
            config.limits.track_remaining = true;
        });
        serve(acceptor, Builder::new(), |request, respond| async move {
            tokio::time::sleep(SECOND).await;
            echo(request, respond).await;
        });
        let call = || tokio::spawn(lab.target.call(post(empty()), Options::default()));
        let calls: Vec<_> = (0..4).map(|_| call()).collect();
        for call in calls {
            assert!(call.await.unwrap().is_ok());
        }
        assert_eq!(lab.dials(), dials);
        let left = lab.cluster.remaining(RoutingPriority::Default).unwrap();
        assert_eq!((left.connections, left.requests), (most - dials, 1024));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_in_a_tight_loop_does_not_starve_others() {
    let (lab, acceptor) = Lab::new(|config| {
        config.connections.max_concurrent_streams = Some(1);
        config.connections.per_endpoint = 1;
    });
    serve(acceptor, Builder::new(), echo);
    let target = lab.target.clone();
    let greedy = tokio::spawn(async move {
        loop {
            target.call(post(empty()), Options::default()).await.unwrap();
        }
    });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        let options = Options::default().timeout(SECOND);
        lab.target.call(post(empty()), options).await.unwrap();
    }
    greedy.abort();
    eventually!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_that_was_woken_wakes_the_next() {
    let (lab, acceptor) = Lab::new(|config| {
        config.connections.max_concurrent_streams = Some(1);
        config.connections.per_endpoint = 1;
    });
    serve(acceptor, Builder::new(), |request, respond| async move {
        tokio::time::sleep(SECOND).await;
        echo(request, respond).await;
    });
    let call = || lab.target.call(post(empty()), Options::default());
    let holder = call().await.unwrap();
    drop(holder);
    let holder = tokio::spawn(call());
    let mut waiters: Vec<_> = (0..10).map(|_| Box::pin(call())).collect();
    for waiter in &mut waiters {
        let polled = futures_poll(waiter.as_mut()).await;
        assert!(polled.is_none());
        tokio::task::yield_now().await;
        assert!(futures_poll(waiter.as_mut()).await.is_none());
    }
    let last = waiters.pop().unwrap();
    let last = tokio::spawn(last);
    holder.await.unwrap().unwrap();
    // Each of these may have been woken for the free stream.
    drop(waiters);
    assert!(last.await.unwrap().is_ok());
    eventually!(lab.is_at_rest());
}

async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(done) => std::task::Poll::Ready(Some(done)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_further_connection_that_failed_is_tried_again_while_calls_wait() {
    let (lab, acceptor) = Lab::new(|config| {
        config.connections.max_concurrent_streams = Some(1);
        config.connections.per_endpoint = 2;
    });
    let stuck = |_, respond| async move {
        let _respond: h2::server::SendResponse<bytes::Bytes> = respond;
        std::future::pending().await
    };
    serve(acceptor, Builder::new(), stuck);
    let call = || tokio::spawn(lab.target.call(post(empty()), Options::default()));
    let first = call();
    eventually!(lab.pool().load() == (0, 1));
    drop(lab.listen(0));
    let second = call();
    eventually!(lab.dials() == 2);
    serve(lab.listen(0), Builder::new(), echo);
    // Nothing else happens: the first call goes on forever.
    let answer = tokio::time::timeout(SECOND * 5, second).await;
    assert!(answer.unwrap().unwrap().is_ok());
    assert_eq!(lab.dials(), 3);
    first.abort();
    eventually!(lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn a_call_is_drawn_for_being_dropped_once_however_long_it_waits() {
    let (lab, acceptor) = Lab::new(|config| {
        config.connections.max_concurrent_streams = Some(1);
        config.connections.per_endpoint = 1;
    });
    serve(acceptor, Builder::new(), |request, respond| async move {
        tokio::time::sleep(SECOND).await;
        echo(request, respond).await;
    });
    let call = || tokio::spawn(lab.target.call(post(empty()), Options::default()));
    let holder = call();
    eventually!(lab.cluster.requests() == 1);
    let waiter = call();
    eventually!(lab.pool().load().0 == 1);
    // From now on every call that is drawn is dropped.
    let version = lab.cluster.version().load_full().unwrap();
    let drops = [DropOverload { category: "all".into(), per_million: 1_000_000 }].into();
    let assignment = Assignment { drops, ..(*version.assignment).clone() };
    let version = Version { assignment: Arc::new(assignment), ..(*version).clone() };
    lab.cluster.version().publish(Arc::new(version));
    assert!(holder.await.unwrap().is_ok() && waiter.await.unwrap().is_ok());
    let error = call().await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind(), &*error.to_string()),
        (Kind::Dropped, "cluster backend: dropped by category all")
    );
}
