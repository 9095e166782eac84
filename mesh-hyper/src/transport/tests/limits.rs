//! Limits on calls, and the fairness of waiting.

use std::sync::Arc;

use h2::server::Builder;
use mesh_core::cluster::{Assignment, DropOverload, Version};

use super::kit::{Lab, SECOND, echo, eventually, post, serve};
use crate::body::{ResponseBody, empty};
use crate::client::{Options, ResponseFuture};
use crate::error::Kind;

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
