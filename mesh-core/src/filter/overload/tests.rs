use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

use super::super::{
    Chain, Context, End, Entry, Filter, HeaderChanges, LocalResponse, Passage, Step,
};
use super::{Admit, LimitConcurrency};
use crate::admission::{Admission, Config, Criteria};
use crate::concurrency::{Aimd, Fixed, Limiter};
use crate::identity::{Certificate, Peer, Session, SpiffeId};
use crate::inherited::CRITICALITY;
use crate::metadata::Metadata;
use crate::request::RequestHead;
use crate::testing::{SequenceRng, at, at_millis};

/// A request at the filter; its passage, or the answer.
fn ask(filter: &Arc<impl Filter + 'static>, now: Instant) -> Result<Passage, Box<LocalResponse>> {
    said(filter, (None, ""), now)
}

/// One whose sender says how much it matters.
fn said(
    filter: &Arc<impl Filter + 'static>,
    (peer, criticality): (Option<&Peer>, &'static str),
    now: Instant,
) -> Result<Passage, Box<LocalResponse>> {
    let entry = Entry { name: "f".into(), filter: filter.clone() };
    let mut passage = Passage::new(Chain::new(vec![entry]));
    let (method, uri) = (Method::GET, Uri::from_static("/"));
    let value = HeaderValue::from_static(criticality);
    let headers = HeaderMap::from_iter([(CRITICALITY, value)]);
    let head = RequestHead::from_pieces(&method, &uri, &headers, "a");
    let mut context = Context {
        now,
        wall: 0,
        peer,
        connection: None,
        route: None,
        cluster: None,
        metadata: Metadata::default(),
        rng: &mut SequenceRng::new([0]),
        answer: None,
        body: None,
        changes: &mut HeaderChanges::default(),
    };
    match passage.poll(&head, &mut context) {
        Some(Step::Continue) => Ok(passage),
        Some(Step::Respond(local)) => Err(Box::new(local)),
        step => panic!("{step:?}"),
    }
}

fn respond(passage: &mut Passage, status: u16, fields: &[(&'static str, &'static str)]) {
    let fields = fields.iter().map(|(name, value)| {
        (http::HeaderName::from_static(name), HeaderValue::from_static(value))
    });
    let mut headers = HeaderMap::from_iter(fields);
    passage.respond(StatusCode::from_u16(status).unwrap(), &mut headers);
}

#[test]
fn requests_are_under_way_until_they_have_ended() {
    let limiter = Limiter::new(Fixed(2));
    let filter = Arc::new(LimitConcurrency::new(limiter.clone(), StatusCode::TOO_MANY_REQUESTS));
    let (mut one, two) = (ask(&filter, at(0)).unwrap(), ask(&filter, at(0)).unwrap());
    let refused = ask(&filter, at(0)).unwrap_err();
    assert_eq!((refused.status.as_u16(), refused.grpc), (429, 14));
    assert_eq!(refused.body, "reached concurrency limit");
    assert_eq!(limiter.in_flight(), 2);
    respond(&mut one, 200, &[]);
    assert_eq!(limiter.in_flight(), 2);
    one.finish(End::Complete, at(1));
    one.finish(End::Complete, at(1));
    drop((one, two));
    assert_eq!(limiter.in_flight(), 0);
}

#[test]
fn what_matters_less_finds_no_place_first_if_its_caller_is_known() {
    let spiffe_id = SpiffeId::parse("spiffe://td/a").ok();
    let certificate = Some(Certificate { spiffe_id, ..Certificate::default() });
    let known =
        Peer { session: Some(Session { certificate, ..Session::default() }), ..Peer::default() };
    let stranger = Peer::default();
    for (peer, criticality, places) in [
        (Some(&known), "sheddable", 4),
        (Some(&known), "sheddable_plus", 6),
        (Some(&known), "critical", 8),
        (Some(&known), "critical_plus", 8),
        (Some(&known), "whatever", 8),
        (Some(&stranger), "sheddable", 8),
        // In a client.
        (None, "sheddable", 8),
    ] {
        let filter = Arc::new(LimitConcurrency::shedding(Fixed(8), StatusCode::OK));
        let all: Vec<_> = (0..20).map(|_| said(&filter, (peer, criticality), at(0))).collect();
        assert_eq!(all.iter().filter(|one| one.is_ok()).count(), places, "{criticality}");
        // The others have what is left.
        let rest: Vec<_> = (0..20).map(|_| ask(&filter, at(0))).collect();
        assert_eq!(rest.iter().filter(|one| one.is_ok()).count(), 8 - places, "{criticality}");
    }
}

#[test]
fn what_is_learned_depends_on_how_a_request_ends() {
    for (has_head, end, is_learned) in [
        (true, End::Complete, true),
        (false, End::Failed, true),
        (true, End::Failed, false),
        (false, End::Cancelled, true),
        (true, End::Cancelled, true),
    ] {
        let mut aimd = Aimd::new(Duration::from_millis(1));
        aimd.initial = 100;
        let limiter = Limiter::new(aimd);
        let filter = Arc::new(LimitConcurrency::new(limiter.clone(), StatusCode::OK));
        for _ in 0..10 {
            let mut passage = ask(&filter, at(0)).unwrap();
            if has_head {
                respond(&mut passage, 200, &[]);
            }
            passage.finish(end, at(1));
        }
        assert_eq!(limiter.limit() == 90, is_learned, "{has_head} {end:?}");
    }
}

/// What the filter counts of an answer: 0.0 nothing, 0.5 that it is bad, less that it is good.
fn counted(with: impl FnOnce(&mut Passage) -> End) -> Option<bool> {
    let admission = Admission::new(Config::default());
    let filter = Arc::new(Admit::new(admission.clone(), Criteria::default()));
    let mut passage = ask(&filter, at(0)).unwrap();
    let end = with(&mut passage);
    passage.finish(end, at(0));
    let before = admission.probability(at(0));
    admission.record(crate::classify::Class::Bad, at(0));
    match (before > 0.0, admission.probability(at(0))) {
        (true, _) => Some(false),
        // One bad of one.
        (false, 0.5) => None,
        (false, _) => Some(true),
    }
}

#[test]
fn answers_count_by_their_status_wherever_it_is() {
    const GRPC: (&str, &str) = ("content-type", "application/grpc");
    for (status, fields, expect) in [
        (200, vec![], true),
        (404, vec![], true),
        (503, vec![], false),
        (200, vec![("grpc-status", "0")], true),
        (200, vec![GRPC, ("grpc-status", "14")], false),
        (503, vec![GRPC], false),
        (404, vec![GRPC], true),
    ] {
        let found = counted(|passage| {
            respond(passage, status, &fields);
            End::Complete
        });
        assert_eq!(found, Some(expect), "{status} {fields:?}");
    }
    for (trailers, expect) in [("0", true), ("5", true), ("8", false), ("x", false)] {
        let found = counted(|passage| {
            respond(passage, 200, &[GRPC]);
            let name = http::HeaderName::from_static("grpc-status");
            passage.saw(&HeaderMap::from_iter([(name, HeaderValue::from_static(trailers))]));
            End::Complete
        });
        assert_eq!(found, Some(expect), "{trailers}");
    }
    let found = counted(|passage| {
        respond(passage, 200, &[GRPC]);
        passage.saw(&HeaderMap::new());
        End::Complete
    });
    assert_eq!(found, Some(false));
}

#[test]
fn no_answer_is_a_bad_one_unless_nobody_waits_for_it() {
    let grpc = |end| {
        counted(|passage| {
            respond(passage, 200, &[("content-type", "application/grpc")]);
            end
        })
    };
    assert_eq!(counted(|_| End::Failed), Some(false));
    assert_eq!(counted(|_| End::Cancelled), None);
    assert_eq!(grpc(End::Failed), Some(false));
    assert_eq!(grpc(End::Cancelled), None);
    assert_eq!(grpc(End::Complete), None);
    let late = counted(|passage| {
        respond(passage, 200, &[]);
        End::Failed
    });
    assert_eq!(late, Some(true));
}

#[test]
fn refusals_are_not_counted() {
    let config = Config { most: 1.0, ..Config::default() };
    let admission = Admission::new(config);
    (0..9).for_each(|_| admission.record(crate::classify::Class::Bad, at(0)));
    let filter = Arc::new(Admit::new(admission.clone(), Criteria::default()));
    let refused = ask(&filter, at_millis(1)).unwrap_err();
    assert_eq!((refused.status.as_u16(), refused.grpc, refused.body.len()), (503, 14, 0));
    assert_eq!(admission.probability(at(1)), 0.9);
}
