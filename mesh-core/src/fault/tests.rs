//! Which requests fail, and how, through the filter that makes them do so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};

use super::*;
use crate::filter::{Chain, Context, End, Entry, Filter, HeaderChanges, Inject, Passage, Step};
use crate::matcher::{HeaderMatcher, ValueMatcher};
use crate::metadata::{Fields, Metadata};
use crate::request::RequestHead;
use crate::rng::XorShift;
use crate::testing::at;

const ALL: Percentage = Percentage { numerator: 100, denominator: Denominator::Hundred };

fn abort(kind: AbortKind, percentage: Percentage) -> Fault {
    let abort = Abort { kind, percentage, body: "oops".into() };
    Fault { abort: Some(abort), ..Fault::default() }
}

fn delay(kind: DelayKind, percentage: Percentage) -> Fault {
    Fault { delay: Some(Delay { kind, percentage }), ..Fault::default() }
}

/// What becomes of a request.
#[derive(Debug, PartialEq)]
struct Fate {
    waited: Duration,
    answer: Option<(u16, u8)>,
    throughput: Option<u64>,
    noted: bool,
}

const UNHARMED: Fate =
    Fate { waited: Duration::ZERO, answer: None, throughput: None, noted: false };

struct Kit {
    filter: Arc<dyn Filter>,
    active: Arc<Active>,
    rng: XorShift,
}

impl Kit {
    fn new(fault: Fault) -> Self {
        let active = Arc::new(Active::default());
        let filter = Inject::new(Arc::new(fault), active.clone()).named("fault".into());
        Self { filter: Arc::new(filter), active, rng: XorShift::new(3) }
    }

    fn passage(&self) -> Passage {
        Passage::new(Chain::new(vec![Entry { name: "fault".into(), filter: self.filter.clone() }]))
    }

    fn poll(
        &mut self,
        passage: &mut Passage,
        sent: &[(&'static str, &str)],
        now: Instant,
    ) -> Option<Step> {
        let (method, uri) = (Method::GET, Uri::from_static("/"));
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        let headers: HeaderMap = sent.iter().map(field).collect();
        let head = RequestHead::from_pieces(&method, &uri, &headers, "a");
        let mut changes = HeaderChanges::default();
        let mut context = Context {
            now,
            wall: 0,
            peer: None,
            connection: None,
            route: None,
            cluster: Some("greeter"),
            metadata: Metadata::default(),
            rng: &mut self.rng,
            answer: None,
            body: None,
            changes: &mut changes,
        };
        passage.poll(&head, &mut context)
    }

    fn fate(&mut self, sent: &[(&'static str, &str)]) -> Fate {
        let (mut passage, mut now, mut answer) = (self.passage(), at(0), None);
        loop {
            match self.poll(&mut passage, sent, now) {
                Some(Step::WaitUntil(until)) => now = until,
                Some(Step::Respond(local)) => {
                    assert_eq!(&*local.body, b"oops");
                    answer = Some((local.status.as_u16(), local.grpc));
                    break;
                }
                Some(Step::Continue) => {}
                Some(Step::Ask(_) | Step::WaitFor(..) | Step::Body { .. }) => panic!("asks nobody"),
                None => break,
            }
        }
        let throughput = passage.throughput().map(std::num::NonZeroU64::get);
        let noted = passage.metadata().namespace("fault").is_some();
        passage.finish(End::Complete, now);
        drop(passage);
        assert_eq!(self.active.count(), 0);
        Fate { waited: now - at(0), answer, throughput, noted }
    }

    /// How many of 10 000 requests are answered.
    fn answered(&mut self, sent: &[(&'static str, &str)]) -> usize {
        (0..10_000).filter(|_| self.fate(sent).answer.is_some()).count()
    }
}

#[test]
fn aborts_are_answered_in_the_callers_own_terms() {
    for (status, grpc) in
        [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (503, 14), (200, 2), (500, 2)]
    {
        let kind = AbortKind::Http(StatusCode::from_u16(status).unwrap());
        let fate = Kit::new(abort(kind, ALL)).fate(&[]);
        assert_eq!(fate, Fate { answer: Some((status, grpc)), ..UNHARMED });
    }
    let fate = Kit::new(abort(AbortKind::Grpc(10), ALL)).fate(&[]);
    assert_eq!(fate.answer, Some((200, 10)));
    assert_eq!(Kit::new(Fault::default()).fate(&[]), UNHARMED);
}

#[test]
fn delays_come_before_aborts_and_both_are_decided_for_themselves() {
    let second = Duration::from_secs(1);
    let half = Percentage { numerator: 5_000, denominator: Denominator::TenThousand };
    let mut fault = delay(DelayKind::Fixed(second), half);
    fault.abort = abort(AbortKind::Grpc(5), half).abort;
    fault.notes = Some(Fields::from_iter([("why", true.into())]));
    let mut kit = Kit::new(fault);
    let mut counts = [0; 4];
    for _ in 0..4_000 {
        let fate = kit.fate(&[]);
        assert_eq!(fate.noted, fate.answer.is_some() || fate.waited == second);
        counts[usize::from(fate.waited == second) + 2 * usize::from(fate.answer.is_some())] += 1;
    }
    assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
}

#[test]
fn requests_may_say_how_they_fail_but_not_more_often() {
    let percentage = Percentage { numerator: 80, denominator: Denominator::Hundred };
    let mut kit = Kit::new(abort(AbortKind::Header, percentage));
    let fate =
        |kit: &mut Kit, sent: &[(&'static str, &str)]| (0..50).find_map(|_| kit.fate(sent).answer);
    let (http, grpc) = ("x-envoy-fault-abort-request", "x-envoy-fault-abort-grpc-request");
    for (sent, expect) in [
        (&[(grpc, "15")][..], Some((200, 15))),
        (&[(grpc, "99")], Some((200, 2))),
        (&[(http, "404")], Some((404, 12))),
        (&[(http, "404"), (grpc, "15")], Some((404, 12))),
        (&[(http, "100"), (grpc, "15")], Some((200, 15))),
        (&[(grpc, "error")], None),
        (&[], None),
    ] {
        assert_eq!(fate(&mut kit, sent), expect, "{sent:?}");
    }
    let share = "x-envoy-fault-abort-request-percentage";
    for (asked, expect) in [("30", 3_000), ("100", 8_000), ("error", 8_000), ("0", 0)] {
        let count = kit.answered(&[(grpc, "15"), (share, asked)]);
        assert!(count.abs_diff(expect) < 200, "{asked}: {count}");
    }
    let mut kit = Kit::new(delay(DelayKind::Header, ALL));
    let name = "x-envoy-fault-delay-request";
    for (sent, millis) in [(&[(name, "2")][..], 2), (&[(name, "0")], 0), (&[(name, "x")], 0)] {
        assert_eq!(kit.fate(sent).waited, Duration::from_millis(millis));
    }
    let none = "x-envoy-fault-delay-request-percentage";
    assert_eq!(kit.fate(&[(name, "2"), (none, "0")]).waited, Duration::ZERO);
}

#[test]
fn answers_come_as_slowly_as_is_said() {
    let kib = std::num::NonZeroU64::new(3).unwrap();
    let throttle =
        |kind| Fault { throttle: Some(Throttle { kind, percentage: ALL }), ..Fault::default() };
    let fate = Kit::new(throttle(ThrottleKind::Fixed(kib))).fate(&[]);
    assert_eq!(fate, Fate { throughput: Some(3_072), ..UNHARMED });
    let mut kit = Kit::new(throttle(ThrottleKind::Header));
    let name = "x-envoy-fault-throughput-response";
    for (asked, expect) in [("2", Some(2_048)), ("0", None), ("x", None)] {
        assert_eq!(kit.fate(&[(name, asked)]).throughput, expect);
    }
    let huge = kit.fate(&[(name, "18446744073709551615")]);
    assert_eq!(huge.throughput, Some(u64::MAX >> 2));
}

#[test]
fn faults_are_for_those_requests_that_match() {
    let fault = || abort(AbortKind::Grpc(1), ALL);
    let hits =
        |fault: Fault, sent: &[(&'static str, &str)]| Kit::new(fault).fate(sent).answer.is_some();
    for (cluster, expect) in [("greeter", true), ("other", false)] {
        assert_eq!(hits(Fault { upstream_cluster: Some(cluster.into()), ..fault() }, &[]), expect);
    }
    let nodes = || Fault { downstream_nodes: ["a".into(), "b".into()].into(), ..fault() };
    let node = "x-envoy-downstream-service-node";
    assert!(hits(nodes(), &[(node, "b")]));
    assert!(!hits(nodes(), &[(node, "c")]) && !hits(nodes(), &[]));
    let matcher = HeaderMatcher::new("x-canary", ValueMatcher::Present(true)).unwrap();
    let canary = || Fault { headers: vec![matcher.clone()], ..fault() };
    assert!(hits(canary(), &[("x-canary", "")]) && !hits(canary(), &[]));
}

#[test]
fn only_so_many_suffer_at_one_time() {
    let slow =
        Fault { max_active: Some(2), ..delay(DelayKind::Fixed(Duration::from_secs(9)), ALL) };
    let mut kit = Kit::new(slow);
    let begin = |kit: &mut Kit| {
        let mut passage = kit.passage();
        let is_delayed = matches!(kit.poll(&mut passage, &[], at(0)), Some(Step::WaitUntil(_)));
        (passage, is_delayed)
    };
    let (first, second, third) = (begin(&mut kit), begin(&mut kit), begin(&mut kit));
    assert_eq!([first.1, second.1, third.1], [true, true, false]);
    assert_eq!(kit.active.count(), 2);
    // Cancelled while it waits.
    drop(first);
    assert_eq!(kit.active.count(), 1);
    assert!(begin(&mut kit).1);
    drop((second, third));
    assert_eq!(kit.active.count(), 0);
    let none = Fault { max_active: Some(0), ..abort(AbortKind::Grpc(1), ALL) };
    assert_eq!(Kit::new(none).fate(&[]), UNHARMED);
}
