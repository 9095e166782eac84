//! Calls that pass filters.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use h2::Reason;
use http::{HeaderMap, HeaderValue, StatusCode};
use mesh_core::cell::Cell;
use mesh_core::filter::{Context, End, Factory, Filter, Settings, Slot, Step};
use mesh_core::request::RequestHead;
use mesh_core::snapshot::{Chains, HttpFilter, Root};

use super::kit::{Lab, post, snapshot, target};
use super::raw::{HEADERS, Peer};
use crate::body::empty;
use crate::client::Options;

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
}
