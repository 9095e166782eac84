//! Keys that are fetched: rotation, failure, one fetch at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Instant;

use http::Method;
use mesh_core::filter::{Awaited, Factory, Filter, Slot, Step};
use mesh_core::side::{Call, Encoding, Failure};
use mesh_core::testing::at;
use prost::Message;

use super::kit::{Ask, SIGNER, filter, remote, reply, strict, token, words};
use crate::jwt::tests::kit::{Signer, set};
use crate::parse::jwt::JwtFactory;

fn asked(step: Step) -> Call {
    let Step::Ask(call) = step else { panic!("asks: {step:?}") };
    *call
}

fn waits(step: Step) -> (Box<dyn Awaited>, Instant) {
    let Step::WaitFor(landing, latest) = step else { panic!("waits: {step:?}") };
    (landing, latest)
}

/// Counts how often somebody is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn woken() -> (Arc<Woken>, Waker) {
    let woken = Arc::new(Woken::default());
    (woken.clone(), woken.into())
}

fn fetching() -> Arc<dyn Filter> {
    filter(&strict(remote("me")))
}

fn good() -> Ask {
    Ask::with(&token(r#"{"iss":"me"}"#))
}

/// Has the keys fetched at `seconds`.
fn fetched(filter: &dyn Filter, seconds: u64) {
    let mut ask = good().at(seconds);
    asked(ask.poll(filter, None));
    let keys = reply(200, set(&[SIGNER.key("k")]));
    assert!(matches!(ask.poll(filter, Some(keys)), Step::Continue));
}

#[test]
fn the_first_request_fetches_and_the_others_wait_for_it() {
    let filter = fetching();
    let mut first = good();
    let call = asked(first.poll(&*filter, None));
    assert_eq!(
        (&*call.cluster, &*call.authority, &*call.path),
        ("issuer", "issuer.test", "/keys?v=1")
    );
    assert_eq!(call.encoding, Encoding::Http(Method::GET));
    assert_eq!(call.timeout.as_secs(), 5);
    let (mut second, mut third) = (good(), good());
    let (mut seconds, until) = waits(second.poll(&*filter, None));
    let (thirds, _) = waits(third.poll(&*filter, None));
    let (woken, waker) = woken();
    assert_eq!((until - at(0)).as_secs(), 5);
    assert!(
        seconds.poll_happened(&waker).is_pending() && seconds.poll_happened(&waker).is_pending()
    );
    // One that goes away leaves nothing behind.
    let mut gone = thirds;
    assert!(gone.poll_happened(&waker).is_pending());
    drop(gone);
    let keys = reply(200, set(&[SIGNER.key("k")]));
    assert!(matches!(first.poll(&*filter, Some(keys)), Step::Continue));
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(seconds.poll_happened(&waker).is_ready());
    assert!(matches!(second.poll(&*filter, None), Step::Continue));
    assert_eq!(good().at(599).seen(&*filter), None);
}

#[test]
fn what_needs_no_keys_fetches_none() {
    let filter = fetching();
    assert_eq!(Ask::get("/").seen(&*filter).unwrap().0, 401);
    assert_eq!(Ask::with(&token(r#"{"iss":"you"}"#)).seen(&*filter).unwrap().0, 401);
    assert_eq!(Ask::with(&token(r#"{"iss":"me","exp":1}"#)).seen(&*filter).unwrap().0, 401);
}

#[test]
fn without_keys_all_is_denied_and_nobody_asks_for_a_second() {
    let bad = [
        Err(Failure::Timeout(std::time::Duration::from_secs(5))),
        Err(Failure::NoCluster("issuer".into())),
        reply(500, set(&[SIGNER.key("k")])),
        reply(302, set(&[SIGNER.key("k")])),
        reply(200, "<html>"),
        reply(200, r#"{"keys":[]}"#),
    ];
    for bad in bad {
        let filter = fetching();
        let mut ask = good().at(10);
        asked(ask.poll(&*filter, None));
        let Step::Respond(response) = ask.poll(&*filter, Some(bad.clone())) else {
            panic!("passes: {bad:?}")
        };
        assert_eq!(words(&response), (401, "Jwks remote fetch is failed".to_owned()));
        assert_eq!(good().at(10).seen(&*filter).unwrap().0, 401);
        fetched(&*filter, 11);
    }
}

#[test]
fn keys_are_kept_for_an_hour_when_they_cannot_be_fetched_again() {
    let filter = fetching();
    fetched(&*filter, 0);
    for seconds in [600, 2_000, 4_199] {
        let mut ask = good().at(seconds);
        asked(ask.poll(&*filter, None));
        // Others do not wait for what may fail.
        assert_eq!(good().at(seconds).seen(&*filter), None);
        let failed = Some(Err(Failure::Transport("down".into())));
        assert!(matches!(ask.poll(&*filter, failed), Step::Continue), "at {seconds}");
    }
    let mut ask = good().at(4_200);
    asked(ask.poll(&*filter, None));
    let failed = Some(Err(Failure::Transport("down".into())));
    assert!(matches!(ask.poll(&*filter, failed), Step::Respond(_)));
}

#[test]
fn a_key_that_is_new_is_fetched_for_its_token_but_not_too_often() {
    let filter = fetching();
    fetched(&*filter, 0);
    let rotated = Signer::ec();
    let token = rotated.token(r#"{"alg":"ES256","kid":"new"}"#, r#"{"iss":"me"}"#);
    let denied = Some((401, "Jwks doesn't have key to match kid or alg from Jwt".to_owned()));
    assert_eq!(Ask::with(&token).at(29).seen(&*filter), denied);
    let mut ask = Ask::with(&token).at(30);
    asked(ask.poll(&*filter, None));
    let keys = reply(200, set(&[rotated.key("new")]));
    assert!(matches!(ask.poll(&*filter, Some(keys)), Step::Continue));
    // The key that was taken back is not used any more.
    assert_eq!(good().at(31).seen(&*filter), denied);
    assert_eq!(Ask::with(&token).at(31).seen(&*filter), None);
}

#[test]
fn a_request_that_goes_away_leaves_the_fetch_to_another() {
    let filter = fetching();
    let mut first = good();
    asked(first.poll(&*filter, None));
    let (mut landing, _) = waits(good().poll(&*filter, None));
    let (woken, waker) = woken();
    assert!(landing.poll_happened(&waker).is_pending());
    first.slot = Slot::Empty;
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(landing.poll_happened(&waker).is_ready());
    fetched(&*filter, 0);
}

#[test]
fn a_new_listener_has_the_keys_of_the_old_one() {
    let factory = JwtFactory::default();
    let build = |strip: bool| {
        let mut message = strict(remote("me"));
        message.strip_failure_response = strip;
        factory.build(&factory.parse(&message.encode_to_vec()).unwrap(), &[])
    };
    let old = build(false);
    fetched(&*old, 0);
    let new = build(true);
    assert_eq!(good().at(1).seen(&*new), None);
    drop((old, new));
    assert!(matches!(good().poll(&*build(false), None), Step::Ask(_)));
}
