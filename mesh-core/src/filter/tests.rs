use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;
use crate::metadata::Fields;
use crate::rng::XorShift;

/// Waits once, marks the request, then lets it pass; or answers it.
#[derive(Debug, Default)]
struct Toll {
    answers: bool,
    ended: Arc<AtomicUsize>,
}

impl Filter for Toll {
    fn poll_request(&self, slot: &mut Slot, _: &RequestHead<'_>, cx: &mut Context<'_>) -> Step {
        if self.answers {
            return Step::Respond(LocalResponse {
                status: http::StatusCode::FORBIDDEN,
                grpc: 7,
                headers: http::HeaderMap::new(),
                body: bytes::Bytes::new(),
                why: "toll".into(),
            });
        }
        match slot {
            Slot::Empty => {
                *slot = Slot::Bits(1);
                Step::WaitUntil(cx.now + Duration::from_secs(1))
            }
            Slot::Bits(_) | Slot::Boxed(_) => {
                let paid = http::HeaderValue::from_static("paid");
                let mut paid_before = Fields::default();
                let last = cx.metadata.namespace("toll").map_or(0, |fields| fields.iter().count());
                paid_before.set(&last.to_string(), true);
                cx.metadata.add("toll", paid_before).unwrap();
                cx.changes.append.push((http::HeaderName::from_static("x-toll"), paid));
                Step::Continue
            }
        }
    }

    fn on_response(&self, _: &mut Slot, _: http::StatusCode, headers: &mut http::HeaderMap) {
        headers.append("x-toll", http::HeaderValue::from_static("seen"));
    }

    fn on_end(&self, slot: &mut Slot, end: End, now: Instant) {
        assert_eq!(now, crate::testing::at(3));
        assert_eq!((end, matches!(slot, Slot::Bits(1))), (End::Complete, !self.answers));
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

fn chain(filters: Vec<Toll>) -> Chain {
    let entry = |(i, toll): (usize, Toll)| Entry {
        name: format!("toll{i}").into(),
        filter: Arc::new(toll) as Arc<dyn Filter>,
    };
    Chain::new(filters.into_iter().enumerate().map(entry).collect())
}

/// Drives a request through, and returns its header values and the last step.
fn drive(passage: &mut Passage) -> (usize, u32, Option<Step>) {
    let (method, uri) = (http::Method::GET, http::Uri::from_static("/"));
    let mut headers = http::HeaderMap::new();
    let (mut changes, mut rng) = (HeaderChanges::default(), XorShift::new(1));
    let mut waits = 0;
    loop {
        let head = RequestHead::from_pieces(&method, &uri, &headers, "a");
        let now = crate::testing::at(0);
        let mut cx = Context {
            now,
            wall: 0,
            peer: None,
            connection: None,
            route: None,
            cluster: None,
            metadata: Metadata::default(),
            rng: &mut rng,
            answer: None,
            body: None,
            changes: &mut changes,
        };
        let step = passage.poll(&head, &mut cx);
        changes.apply(&mut headers);
        match step {
            Some(Step::Continue) => {}
            Some(Step::WaitUntil(_)) => waits += 1,
            last => return (headers.get_all("x-toll").iter().count(), waits, last),
        }
    }
}

#[test]
fn each_filter_waits_passes_and_ends_once() {
    let ended = Arc::new(AtomicUsize::new(0));
    let tolls = (0..6).map(|_| Toll { answers: false, ended: ended.clone() }).collect();
    let mut passage = Passage::new(chain(tolls));
    let (marks, waits, last) = drive(&mut passage);
    assert_eq!((marks, waits, last.is_none()), (6, 6, true));
    let paid = passage.metadata().namespace("toll").unwrap().iter().map(|(name, _)| name);
    assert_eq!(paid.collect::<Vec<_>>(), ["0", "1", "2", "3", "4", "5"]);
    let mut headers = http::HeaderMap::new();
    passage.respond(http::StatusCode::OK, &mut headers);
    assert_eq!(headers.get_all("x-toll").iter().count(), 6);
    passage.finish(End::Complete, crate::testing::at(3));
    drop(passage);
    assert_eq!(ended.load(Ordering::Relaxed), 6);
}

#[test]
fn an_answer_stops_the_passage_and_ends_only_those_entered() {
    let ended = Arc::new(AtomicUsize::new(0));
    let toll = |answers| Toll { answers, ended: ended.clone() };
    let mut passage = Passage::new(chain(vec![toll(false), toll(true), toll(false)]));
    let (marks, _, last) = drive(&mut passage);
    assert!(matches!(last, Some(Step::Respond(r)) if r.grpc == 7) && marks == 1);
    passage.finish(End::Complete, crate::testing::at(3));
    drop(passage);
    assert_eq!(ended.load(Ordering::Relaxed), 2);
}

/// Remembers something of the call, or nothing; is shown only what it remembers something of.
#[derive(Debug)]
struct Brief(Slotted, Arc<AtomicUsize>);

#[derive(Clone, Copy, Debug)]
enum Slotted {
    Empty,
    Filled,
}

impl Filter for Brief {
    fn poll_request(&self, slot: &mut Slot, _: &RequestHead<'_>, _: &mut Context<'_>) -> Step {
        if let Slotted::Filled = self.0 {
            *slot = Slot::Bits(1);
        }
        Step::Continue
    }

    fn watches_all(&self) -> bool {
        false
    }

    fn on_response(&self, _: &mut Slot, _: http::StatusCode, _: &mut http::HeaderMap) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }

    fn throughput(&self, _: &Slot) -> Option<NonZeroU64> {
        NonZeroU64::new(7)
    }

    fn on_end(&self, _: &mut Slot, _: End, _: Instant) {
        self.1.fetch_add(10, Ordering::Relaxed);
    }
}

#[test]
fn a_chain_in_which_nobody_remembers_anything_is_shown_nothing() {
    use Slotted::{Empty, Filled};
    for (filters, expect) in [([Empty, Empty], 0), ([Empty, Filled], 22), ([Filled, Filled], 22)] {
        let told = Arc::new(AtomicUsize::new(0));
        let entry =
            |slot| Entry { name: "brief".into(), filter: Arc::new(Brief(slot, told.clone())) };
        let mut passage = Passage::new(Chain::new(filters.map(entry).into()));
        assert!(drive(&mut passage).2.is_none());
        assert_eq!(passage.is_watched(), expect > 0);
        passage.respond(http::StatusCode::OK, &mut http::HeaderMap::new());
        assert_eq!(passage.throughput().is_some(), expect > 0);
        passage.finish(End::Complete, crate::testing::at(3));
        // What becomes of the next call is nobody's business before anybody has seen it.
        passage.restart(Chain::default());
        assert!(!passage.is_watched());
        drop(passage);
        assert_eq!(told.load(Ordering::Relaxed), expect, "{filters:?}");
    }
}

#[test]
fn an_empty_chain_is_passed_at_once() {
    assert!(Chain::new(Vec::new()).is_empty());
    assert!(drive(&mut Passage::new(Chain::default())).2.is_none());
}

#[test]
fn more_changes_than_a_head_holds_do_no_harm() {
    let name = |n: usize| http::HeaderName::try_from(format!("x-{n}")).unwrap();
    let value = http::HeaderValue::from_static("a");
    let mut changes = HeaderChanges {
        remove: Vec::new(),
        set: (0..20_000).map(|n| (name(n), value.clone())).collect(),
        append: (20_000..40_000).map(|n| (name(n), value.clone())).collect(),
    };
    let mut headers = http::HeaderMap::new();
    changes.apply(&mut headers);
    assert!(headers.contains_key("x-0") && !headers.contains_key("x-39999"));
    assert!(changes.is_empty());
}
