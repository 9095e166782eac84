//! Calls that pass filters.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use h2::Reason;
use http::{HeaderMap, HeaderValue, StatusCode};
use mesh_core::cell::Cell;
use mesh_core::cluster::Version;
use mesh_core::filter::{Context, End, Factory, Filter, Settings, Slot, Step};
use mesh_core::request::RequestHead;
use mesh_core::snapshot::{Chains, HttpFilter, Root};

use super::kit::{Lab, SECOND, post, snapshot, target};
use super::raw::{HEADERS, Peer};
use crate::body::empty;
use crate::client::Options;
use crate::error::Kind;

type Log = Arc<Mutex<Vec<(u64, End)>>>;

/// Numbers the calls, and writes down how each has ended.
#[derive(Debug)]
struct Numbers(Log, Mutex<u64>);

impl Filter for Numbers {
    fn poll_request(&self, slot: &mut Slot, _: &RequestHead<'_>, _: &mut Context<'_>) -> Step {
        let mut next = self.1.lock().unwrap();
        *slot = Slot::Bits(*next);
        *next += 1;
        Step::Continue
    }

    fn on_response(&self, slot: &mut Slot, _: StatusCode, headers: &mut HeaderMap) {
        let Slot::Bits(number) = slot else { return };
        headers.insert("x-number", HeaderValue::from(*number));
    }

    fn on_end(&self, slot: &mut Slot, end: End, _: Instant) {
        let Slot::Bits(number) = slot else { return };
        self.0.lock().unwrap().push((*number, end));
    }
}

struct Numbering;

impl Factory for Numbering {
    fn type_url(&self) -> &str {
        "type.googleapis.com/numbers"
    }

    fn parse(&self, _: &[u8]) -> Result<Settings, String> {
        Err("it is made by hand".into())
    }

    fn build(&self, base: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        let log = base.downcast_ref::<Log>().cloned().unwrap_or_default();
        Arc::new(Numbers(log, Mutex::new(0)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_filter_sees_each_call_from_its_request_to_its_end_once() {
    let (lab, mut acceptor) = Lab::new(|_| {});
    let log = Log::default();
    let snapshot = snapshot(&lab.cluster, |_| {});
    let settings = Arc::new(log.clone());
    let filter = ["first", "second"].map(|name| HttpFilter {
        name: name.into(),
        factory: Arc::new(Numbering),
        settings: settings.clone(),
        disabled: false,
    });
    let chains = Arc::new(Chains::new(&filter, snapshot.table()));
    let root = Root::Ready(snapshot.with_chains(chains));
    let target = target(Arc::new(Cell::new(Arc::new(root))), &lab.context);
    let call = || tokio::spawn(target.call(post(empty()), Options::default()));
    let ended = |number, end| vec![(number, end); 2];
    let logged = || std::mem::take(&mut *log.lock().unwrap());

    let answered = call();
    let mut peer = Peer::accept(acceptor.recv().await.unwrap(), &[]).await;
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    peer.answer(stream).await;
    assert_eq!(answered.await.unwrap().unwrap().headers()["x-number"], "0");
    assert_eq!(logged(), ended(0, End::Complete));

    let reset = call();
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    peer.reset(stream, Reason::INTERNAL_ERROR.into()).await;
    reset.await.unwrap().unwrap_err();
    assert_eq!(logged(), ended(1, End::Failed));

    let unread = call();
    let stream = peer.next_of(HEADERS).await.unwrap().stream;
    peer.answer_head(stream).await;
    drop(unread.await.unwrap().unwrap());
    assert_eq!(logged(), ended(2, End::Cancelled));

    let dropped = call();
    peer.next_of(HEADERS).await.unwrap();
    dropped.abort();
    dropped.await.unwrap_err();
    assert_eq!(logged(), ended(3, End::Cancelled));
    assert!(lab.is_at_rest());

    // What is refused here has failed as well.
    let version = lab.cluster.version().load_full().unwrap();
    let mut config = (*version.config).clone();
    config.limits.max_requests = 0;
    let version = Version { config: Arc::new(config), ..(*version).clone() };
    lab.cluster.version().publish(Arc::new(version));
    tokio::task::yield_now().await;
    let error = call().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Overloaded);
    assert_eq!(logged(), ended(4, End::Failed));
}

/// Waits for ever, and writes down how each call has ended.
#[derive(Debug)]
struct Waits(Log);

impl Filter for Waits {
    fn poll_request(&self, _: &mut Slot, _: &RequestHead<'_>, context: &mut Context<'_>) -> Step {
        Step::WaitUntil(context.now + Duration::from_secs(60))
    }

    fn on_end(&self, _: &mut Slot, end: End, _: Instant) {
        self.0.lock().unwrap().push((0, end));
    }
}

struct Waiting;

impl Factory for Waiting {
    fn type_url(&self) -> &str {
        "type.googleapis.com/waits"
    }

    fn parse(&self, _: &[u8]) -> Result<Settings, String> {
        Err("it is made by hand".into())
    }

    fn build(&self, base: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        Arc::new(Waits(base.downcast_ref::<Log>().cloned().unwrap_or_default()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_over_while_a_filter_waits_has_failed() {
    let (lab, _acceptor) = Lab::new(|_| {});
    let log = Log::default();
    let snapshot = snapshot(&lab.cluster, |_| {});
    let filter = [HttpFilter {
        name: "waits".into(),
        factory: Arc::new(Waiting),
        settings: Arc::new(log.clone()),
        disabled: false,
    }];
    let chains = Arc::new(Chains::new(&filter, snapshot.table()));
    let root = Root::Ready(snapshot.with_chains(chains));
    let target = target(Arc::new(Cell::new(Arc::new(root))), &lab.context);
    let options = Options::default().timeout(SECOND);
    let error = target.call(post(empty()), options).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
    assert_eq!(*log.lock().unwrap(), [(0, End::Failed)]);
}
