//! `Cluster.metadata` under `mesh.breaker`.

use std::num::NonZeroU32;

use mesh_core::backoff::Backoff;
use mesh_core::breaker;
use protobuf::value::Kind;

use super::*;

/// A cluster whose metadata says this of breakers.
fn said(fields: &[(&str, Kind)]) -> cds::Cluster {
    let field = |(name, kind): &(&str, Kind)| {
        ((*name).to_owned(), protobuf::Value { kind: Some(kind.clone()) })
    };
    let fields = protobuf::Struct { fields: fields.iter().map(field).collect() };
    let filter_metadata = [("mesh.breaker".to_owned(), fields)].into();
    let metadata = Some(core::Metadata { filter_metadata, ..Default::default() });
    cds::Cluster { metadata, ..cluster("c", "e") }
}

fn number(number: f64) -> Kind {
    Kind::NumberValue(number)
}

#[test]
fn metadata_of_a_cluster_says_when_endpoints_are_left_alone() {
    let config = |fields: &[(&str, Kind)]| *parse(&said(fields)).unwrap().breaker.unwrap();
    let seconds = Duration::from_secs;
    let waits = |initial, max| Backoff { initial, max, ..Backoff::CONNECTION };
    let in_a_row = |failures| breaker::Config::consecutive(failures).unwrap();
    let row = in_a_row(5).backoff(waits(seconds(1), seconds(30))).unwrap();
    assert_eq!(config(&[("consecutive", number(5.0))]), row);
    assert_eq!(row, in_a_row(5));
    let share = |failures, requests, window| breaker::Ratio {
        failures,
        requests: NonZeroU32::new(requests).unwrap(),
        window,
    };
    let ratio = breaker::Config::ratio(share(0.5, 20, seconds(10))).unwrap();
    assert_eq!(config(&[("failure_percent", number(50.0))]), ratio);
    let all = in_a_row(3).or_ratio(share(0.25, 7, seconds(2))).unwrap();
    let all = all.backoff(waits(Duration::from_millis(500), seconds(60))).unwrap();
    let fields = [
        ("consecutive", number(3.0)),
        ("failure_percent", number(25.0)),
        ("min_requests", number(7.0)),
        ("window", number(2.0)),
        ("wait", number(0.5)),
        ("max_wait", number(60.0)),
    ];
    assert_eq!(config(&fields), all);
    assert_eq!(parsed(|_| ()).breaker, None);
}

#[test]
fn breakers_that_make_no_sense_are_refused() {
    let at = "metadata.filter_metadata[\"mesh.breaker\"]";
    let path = |fields: &[(&str, Kind)]| parse(&said(fields)).unwrap_err().path;
    assert_eq!(&*path(&[]), at);
    assert_eq!(&*path(&[("wait", number(1.0))]), at);
    let waits = [("consecutive", number(5.0)), ("wait", number(31.0))];
    assert_eq!(&*path(&waits), at);
    for (name, kind) in [
        ("consecutive", number(0.0)),
        ("consecutive", number(1.5)),
        ("consecutive", number(500_001.0)),
        ("consecutive", number(f64::NAN)),
        ("consecutive", Kind::StringValue("5".to_owned())),
        ("failure_percent", number(0.0)),
        ("failure_percent", number(100.5)),
        ("failure_percent", number(f64::NAN)),
        ("min_requests", number(-1.0)),
        ("window", number(0.0)),
        ("wait", number(f64::INFINITY)),
        ("max_wait", number(1e12)),
        ("max_wait", Kind::StringValue("1s".to_owned())),
        ("consecutives", number(5.0)),
    ] {
        assert_eq!(&*path(&[(name, kind)]), format!("{at}.fields[\"{name}\"]"));
    }
}
