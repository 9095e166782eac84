//! Calls that are given up, at every moment.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::Reason;
use h2::server::Builder;
use http::Response;
use http_body::Body;

use super::kit::{Lab, eventually, fed, post, send, serve};
use super::raw::{HEADERS, Peer, RST_STREAM};
use crate::body::{empty, full};
use crate::client::{Options, ResponseFuture};

#[tokio::test(start_paused = true)]
async fn dropping_a_call_after_any_poll_gives_everything_back() {
    let (lab, acceptor) = Lab::new(|config| {
        config.connections.max_concurrent_streams = Some(1);
        config.connections.per_endpoint = 1;
    });
    serve(acceptor, Builder::new(), |_, mut respond| async move {
        let Ok(mut stream) = respond.send_response(Response::new(()), false) else { return };
        for _ in 0..5 {
            send(&mut stream, Bytes::from(vec![1; 100_000]), false).await;
        }
        stream.send_data(Bytes::new(), true).ok();
    });
    let mut polls = 0;
    loop {
        let call = lab.target.call(post(full("request")), Options::default());
        let ended = polled(call, polls).await;
        // The only stream is free again, or this would wait forever.
        eventually!(lab.is_at_rest());
        if ended {
            break;
        }
        polls += 1;
    }
    assert!(polls > 5 && lab.dials() == 1, "{polls} polls, {} connections", lab.dials());
}

/// Polls a call and its body so often, letting everybody else run in between; whether it ended.
async fn polled(call: ResponseFuture, polls: u32) -> bool {
    let mut left = polls;
    let mut call = pin!(call);
    let mut cx = Context::from_waker(Waker::noop());
    let response = loop {
        if left == 0 {
            return false;
        }
        left -= 1;
        match call.as_mut().poll(&mut cx) {
            Poll::Ready(response) => break response.unwrap(),
            Poll::Pending => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
        }
    };
    let mut body = pin!(response.into_body());
    loop {
        if left == 0 {
            return false;
        }
        left -= 1;
        match body.as_mut().poll_frame(&mut cx) {
            Poll::Ready(None) => return true,
            Poll::Ready(Some(frame)) => drop(frame.unwrap()),
            Poll::Pending => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_peer_is_told_of_a_call_that_is_dropped() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let mut call = Box::pin(lab.target.call(post(empty()), Options::default()));
    let mut peer = tokio::select! {
        _ = &mut call => panic!("nobody has answered"),
        peer = async { Peer::accept(acceptor.recv().await.unwrap(), &[]).await } => peer,
    };
    // Before the answer, after its head, and with a request body still under way.
    for mode in 0..3 {
        let (feed, body) = fed();
        let mut call = match mode {
            0 => std::mem::replace(&mut call, Box::pin(idle(&lab))),
            1 => Box::pin(lab.target.call(post(full("x")), Options::default())),
            _ => Box::pin(lab.target.call(post(body), Options::default())),
        };
        let head = tokio::select! {
            _ = &mut call => panic!("nobody has answered"),
            head = peer.next_of(HEADERS) => head.unwrap(),
        };
        if mode == 0 {
            drop(call);
        } else {
            peer.answer_head(head.stream).await;
            drop(call.await.unwrap());
        }
        let reset = peer.next_of(RST_STREAM).await.unwrap();
        assert_eq!(reset.stream, head.stream);
        assert_eq!(reset.payload[..], u32::from(Reason::CANCEL).to_be_bytes());
        eventually!(lab.is_at_rest());
        eventually!(mode < 2 || feed.is_closed());
    }
    drop(call);
}

/// A call that is never polled.
fn idle(lab: &Lab) -> ResponseFuture {
    let nowhere = Lab::with(1, |_| {}, |_| {});
    let _ = lab;
    nowhere.target.call(post(empty()), Options::default())
}

#[tokio::test(start_paused = true)]
async fn responses_dropped_unread_do_not_use_up_the_window() {
    let (lab, acceptor) = Lab::new(|config| config.connections.connection_window = 1 << 20);
    serve(acceptor, Builder::new(), |_, mut respond| async move {
        let Ok(mut stream) = respond.send_response(Response::new(()), false) else { return };
        send(&mut stream, Bytes::from(vec![1; 200_000]), true).await;
    });
    for _ in 0..50 {
        let response = lab.target.call(post(empty()), Options::default()).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        drop(response);
    }
    let body = lab.target.call(post(empty()), Options::default()).await.unwrap().into_body();
    assert_eq!(body.collected().await.unwrap().content.len(), 200_000);
    assert!(lab.is_at_rest() && lab.dials() == 1);
}
