use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, Uri};

use super::*;
use crate::cluster::{Assignment, Cluster, Config, Discovery, Version};
use crate::matcher::PathMatcher;
use crate::request::RequestHead;
use crate::rng::XorShift;
use crate::route::{Forward, Route, RouteMatch, Table, VirtualHost};
use crate::testing::SequenceRng;

fn cluster(name: &str) -> Arc<Cluster> {
    let assignment = Arc::new(Assignment::default());
    let config = Arc::new(Config::new(name, Discovery::Static(assignment.clone())));
    Cluster::new(Version { config, assignment, note: None })
}

/// One route per action, at `/0`, `/1` and so on.
fn snapshot(actions: impl FnOnce(&mut crate::route::Builder) -> Vec<Action>) -> Snapshot {
    let mut builder = Table::builder();
    let route = |(i, action): (usize, Action)| {
        let mut route = Route::new(RouteMatch::new(PathMatcher::exact(&format!("/{i}"))), action);
        route.name = format!("r{i}").into();
        route.timeouts.route = Some(Duration::from_secs(3));
        route.timeouts.max_stream_duration = Some(Duration::from_secs(9));
        route
    };
    let mut host = VirtualHost::new("all", &["*"]);
    for each in actions(&mut builder).into_iter().enumerate() {
        host = host.route(route(each));
    }
    builder.virtual_host(host);
    let table = Arc::new(builder.build().unwrap());
    Snapshot::new("t", table, |name| match &**name {
        "broken" => Slot::Broken("no EDS".into()),
        name => Slot::Known(cluster(name)),
    })
}

fn plan(snapshot: &Snapshot, path: &str, content: Option<&'static str>) -> Result<Plan, NoPlan> {
    let (method, uri): (_, Uri) = (Method::GET, path.parse().unwrap());
    let mut headers = HeaderMap::new();
    headers.insert("x-cluster", "named".parse().unwrap());
    if let Some(content) = content {
        headers.insert("content-type", content.parse().unwrap());
    }
    let head = RequestHead::from_pieces(&method, &uri, &headers, "a");
    snapshot.plan(&head, &mut XorShift::new(1))
}

#[test]
fn a_plan_holds_route_cluster_and_limit() {
    let snapshot = snapshot(|builder| {
        let one = builder.cluster("one").unwrap();
        vec![Action::Forward(Forward::new(ClusterChoice::One(one)))]
    });
    let seen = plan(&snapshot, "/0", None).unwrap();
    assert_eq!((&*seen.route.name, &**seen.cluster.name()), ("r0", "one"));
    assert_eq!(seen.limit, Some(Duration::from_secs(3)));
    let grpc = plan(&snapshot, "/0", Some("application/grpc")).unwrap();
    assert_eq!(grpc.limit, Some(Duration::from_secs(9)));
    assert!(matches!(plan(&snapshot, "/9", None), Err(NoPlan::NoRoute(_))));
}

#[test]
fn broken_and_unknown_clusters_are_told_apart() {
    let snapshot = snapshot(|builder| {
        let broken = builder.cluster("broken").unwrap();
        builder.cluster("named").unwrap();
        let header = |name| Action::Forward(Forward::new(ClusterChoice::Header(name)));
        vec![
            Action::Forward(Forward::new(ClusterChoice::One(broken))),
            header(http::HeaderName::from_static("x-cluster")),
            header(http::HeaderName::from_static("x-none")),
        ]
    });
    assert!(matches!(plan(&snapshot, "/0", None), Err(NoPlan::Broken { .. })));
    assert_eq!(&**plan(&snapshot, "/1", None).unwrap().cluster.name(), "named");
    assert!(matches!(plan(&snapshot, "/2", None), Err(NoPlan::NotServed { .. })));
}

#[test]
fn answers_are_for_http_only() {
    let snapshot = snapshot(|_| {
        let body = bytes::Bytes::from_static(b"teapot");
        vec![
            Action::DirectResponse { status: StatusCode::IM_A_TEAPOT, body },
            Action::NonForwarding,
        ]
    });
    let answered = plan(&snapshot, "/0", None);
    assert!(matches!(answered, Err(NoPlan::Respond { status: StatusCode::IM_A_TEAPOT, .. })));
    let grpc = plan(&snapshot, "/0", Some("application/grpc"));
    assert!(matches!(grpc, Err(NoPlan::NotServed { .. })));
    assert!(matches!(plan(&snapshot, "/1", None), Err(NoPlan::NotServed { .. })));
}

#[test]
fn weighted_clusters_are_drawn_by_weight() {
    use crate::route::{Weighted, WeightedCluster};
    let snapshot = snapshot(|builder| {
        let (a, b) = (builder.cluster("a").unwrap(), builder.cluster("b").unwrap());
        let clusters = vec![WeightedCluster::new(a, 90), WeightedCluster::new(b, 10)];
        let weighted = ClusterChoice::Weighted(Weighted::new(clusters).unwrap());
        vec![Action::Forward(Forward::new(weighted))]
    });
    let (method, uri, headers) = (Method::GET, Uri::from_static("/0"), HeaderMap::new());
    let head = RequestHead::from_pieces(&method, &uri, &headers, "a");
    let mut rng = SequenceRng::new([0, 89, 90, 99]);
    let names: Vec<_> = (0..4)
        .map(|_| snapshot.plan(&head, &mut rng).unwrap().cluster.name().to_string())
        .collect();
    assert_eq!(names, ["a", "a", "b", "b"]);
}
