//! What is refused, missing or taken away.

use mesh_core::snapshot::ClusterSlot;

use super::kit::{CDS, EDS, Kit, LDS, RDS, addresses, gone, name, words};
use crate::fixtures::{assignment, cluster, listener, locality, manager, rds, routes_to};
use crate::graph::{Delta, Event, State};

#[test]
fn bad_news_of_what_is_in_use_keeps_it() {
    let mut kit = Kit::ready();
    for (kind, of) in [(LDS, "l"), (RDS, "r"), (CDS, "c"), (EDS, "e")] {
        assert_eq!(kit.fail(kind, of, gone()), "", "{of}");
        let raw = Event::Value { raw: vec![0xff].into(), version: "2".into() };
        assert_eq!(kit.fail(kind, of, raw), format!("!{of} "));
        let status = kit.graph.status();
        let status = status.resources.iter().find(|r| r.kind == kind).unwrap();
        assert_eq!((status.state, &*status.version), (State::Nacked, "1"));
        assert_eq!(status.error.as_ref().unwrap().version.as_deref(), Some("2"));
        assert!(!status.raw.is_empty());
    }
    assert_eq!(kit.why(), "ready");
    assert!(kit.version().note.as_deref().unwrap().starts_with("refused: "));
    assert_eq!(addresses(&kit.version().assignment), ["10.0.0.1:80"]);
    // Good news clears the note, also if the value is the old one.
    kit.put(CDS, "c", &cluster("c", "e"));
    kit.put(EDS, "e", &assignment("e", vec![locality("z", 0, &["10.0.0.1:80"])]));
    assert_eq!(kit.version().note, None);
}

#[test]
fn fail_on_data_errors_takes_it_away() {
    let mut kit = Kit::ready();
    let why = |delta: Delta| words(&delta);
    assert_eq!(why(kit.event(EDS, "e", gone(), true)), "");
    assert!(kit.version().assignment.is_empty());
    assert_eq!(why(kit.event(CDS, "c", gone(), true)), "-EDS e, ready 2");
    assert!(matches!(
        &kit.snapshot().clusters()[0],
        ClusterSlot::Broken(why) if &**why == "does not exist"
    ));
    assert_eq!(why(kit.event(RDS, "r", gone(), true)), "-CDS c, failed: routes r: does not exist");
    assert_eq!(
        why(kit.event(LDS, "l", gone(), true)),
        "-RDS r, failed: listener l: does not exist"
    );
}

#[test]
fn what_was_never_there_fails_its_root_or_cluster_only() {
    let mut kit = Kit::new();
    let timeout = || Event::Timeout("no answer within 15 s".into());
    assert_eq!(kit.fail(LDS, "l", timeout()), "failed: listener l: no answer within 15 s");
    let listener = listener("l", &manager(rds("r")));
    assert_eq!(kit.put(LDS, "l", &listener), "+RDS r, waiting for routes r");
    assert_eq!(kit.fail(RDS, "r", gone()), "failed: routes r: does not exist");
    kit.put(RDS, "r", &routes_to("r", &["a", "b"]));
    assert_eq!(kit.fail(CDS, "a", timeout()), "");
    assert_eq!(kit.graph.status().roots[0].waiting, [name(CDS, "b")]);
    kit.put(CDS, "b", &cluster("b", ""));
    assert_eq!(kit.fail(EDS, "b", gone()), "ready 1");
    let snapshot = kit.snapshot();
    let [ClusterSlot::Broken(why), ClusterSlot::Ready(b)] = snapshot.clusters() else {
        panic!("{snapshot:?}")
    };
    assert_eq!(&**why, "no answer within 15 s");
    let version = b.version().load_full().unwrap();
    assert_eq!(version.note.as_deref(), Some("does not exist"));
    // It comes after all.
    assert_eq!(kit.put(CDS, "a", &cluster("a", "b")), "ready 2");
}
