use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use super::{Chains, ClusterSlot, HttpFilter, NoPlan, Plan, Snapshot, Stamp};
use crate::cluster::{Address, Assignment, Cluster, Config, Discovery, Endpoint, Version};
use crate::filter::{Context, Factory, Filter, Settings, Slot, Step};
use crate::matcher::PathMatcher;
use crate::request::{Protocol, RequestHead};
use crate::retry::Asked;
use crate::route::{
    Action, ClusterChoice, Forward, NoRoute, Override, Redirect, Route, RouteMatch, Table,
    VirtualHost, Weighted, WeightedCluster,
};
use crate::testing::SequenceRng;

/// A filter that only has a name.
struct Named(String);

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Filter for Named {
    fn poll_request(&self, _: &mut Slot, _: &RequestHead<'_>, _: &mut Context<'_>) -> Step {
        Step::Continue
    }
}

struct Names;

impl Factory for Names {
    fn type_url(&self) -> &str {
        "type.googleapis.com/names"
    }

    fn parse(&self, message: &[u8]) -> Result<Settings, String> {
        Ok(Arc::new(String::from_utf8_lossy(message).into_owned()))
    }

    fn build(&self, base: &Settings, overrides: &[Settings]) -> Arc<dyn Filter> {
        let settings = overrides.last().unwrap_or(base);
        Arc::new(Named(settings.downcast_ref::<String>().cloned().unwrap_or_default()))
    }
}

fn settings(text: &str) -> Arc<dyn Any + Send + Sync> {
    Arc::new(text.to_owned())
}

fn filter(name: &str, disabled: bool) -> HttpFilter {
    HttpFilter { name: name.into(), factory: Arc::new(Names), settings: settings("base"), disabled }
}

fn cluster(name: &str) -> Arc<Cluster> {
    let assignment = Arc::new(Assignment::default());
    let config = Arc::new(Config::new(name, Discovery::Static(assignment.clone())));
    Cluster::new(Version { config, assignment, note: None })
}

fn ready(name: &str) -> ClusterSlot {
    ClusterSlot::Ready(cluster(name))
}

/// `/one` to a, `/split` to a and b, `/named` by header, and the actions that do not forward.
fn table() -> Arc<Table> {
    let mut table = Table::builder();
    let (a, b) = (table.cluster("a").unwrap(), table.cluster("b").unwrap());
    let to = |path: &str, action| Route::new(RouteMatch::new(PathMatcher::exact(path)), action);
    let forward = |path: &str, choice| to(path, Action::Forward(Forward::new(choice)));
    let mut second = WeightedCluster::new(b, 1);
    second.overrides.insert(Override::new("x", settings("entry")));
    let split = Weighted::new(vec![WeightedCluster::new(a, 1), second]).unwrap();
    let mut one = forward("/one", ClusterChoice::One(a));
    one.overrides.insert(Override::disabled("y"));
    let mut split = forward("/split", ClusterChoice::Weighted(split));
    split.overrides.insert(Override::new("x", settings("route")));
    let header = ClusterChoice::Header(HeaderName::from_static("x-cluster"));
    let redirect = Redirect { host: Some("other".into()), ..Redirect::default() };
    let body = Bytes::from_static(b"no");
    let gone = Action::DirectResponse { status: StatusCode::GONE, body };
    table.virtual_host(
        VirtualHost::new("v", &["host"])
            .route(one)
            .route(split)
            .route(forward("/named", header))
            .route(forward("/b", ClusterChoice::One(b)))
            .route(to("/gone", gone))
            .route(to("/moved", Action::Redirect(redirect)))
            .route(to("/server", Action::NonForwarding)),
    );
    Arc::new(table.build().unwrap())
}

fn plan(snapshot: &Snapshot, path: &str, header: Option<&str>, draw: u32) -> Result<Plan, NoPlan> {
    let mut request = http::Request::get(format!("http://host{path}"));
    if let Some(header) = header {
        request = request.header("x-cluster", header);
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    snapshot.plan(&RequestHead::new(&parts, "host"), &mut SequenceRng::new([draw]))
}

fn snapshot() -> Snapshot {
    Snapshot::new("xds:///t".into(), table())
        .with_clusters([ready("a"), ClusterSlot::Broken("gone".into())])
        .with_stamp(Stamp { number: 7, version: "v".into() })
}

#[test]
fn forwarded_calls_get_cluster_and_stamp() {
    let plan = plan(&snapshot(), "/one", None, 0).unwrap();
    assert_eq!((&**plan.cluster.name(), plan.stamp, plan.chain.is_empty()), ("a", 7, true));
    assert_eq!(plan.route.id(), snapshot().table().routes()[0].id());
}

#[test]
fn what_is_not_forwarded_says_why() {
    let snapshot = snapshot();
    let why = |path, header| plan(&snapshot, path, header, 0).unwrap_err();
    assert!(matches!(why("/none", None), NoPlan::NoRoute(NoRoute::Route { .. })));
    assert!(matches!(
        why("/b", None),
        NoPlan::Broken { cluster, why, .. } if &*cluster == "b" && &*why == "gone"
    ));
    assert!(matches!(
        why("/gone", None),
        NoPlan::Respond { status: StatusCode::GONE, body, .. } if body == "no"
    ));
    assert!(matches!(
        why("/moved", None),
        NoPlan::Redirect { location, .. } if location == "http://other/moved"
    ));
    assert!(matches!(why("/server", None), NoPlan::Unsupported { .. }));
    assert!(matches!(why("/named", None), NoPlan::Unnamed { header, .. } if header == "x-cluster"));
    let unknown = why("/named", Some("c"));
    assert_eq!(unknown.to_string(), "cluster c is not known yet");
    let none = Snapshot::new("t".into(), table());
    assert!(matches!(self::plan(&none, "/one", None, 0), Err(NoPlan::Broken { .. })));
}

#[test]
fn requests_may_name_known_and_demanded_clusters() {
    let snapshot = snapshot().with_named("c".into(), ready("c"));
    for name in ["a", "c"] {
        let plan = plan(&snapshot, "/named", Some(name), 0).unwrap();
        assert_eq!(&**plan.cluster.name(), name);
    }
    assert!(matches!(
        plan(&snapshot, "/named", Some("b"), 0),
        Err(NoPlan::Broken { why, .. }) if &*why == "gone"
    ));
}

#[test]
fn chains_follow_the_most_specific_level() {
    let filters = [filter("x", false), filter("y", false), filter("z", true)];
    let chains = Arc::new(Chains::new(&filters, &table()));
    let snapshot = Snapshot::new("t".into(), table())
        .with_clusters([ready("a"), ready("b")])
        .with_chains(chains);
    let chain = |path, draw| -> Vec<String> {
        let plan = plan(&snapshot, path, Some("a"), draw).unwrap();
        plan.chain.entries().iter().map(|e| format!("{}={:?}", e.name, e.filter)).collect()
    };
    assert_eq!(chain("/one", 0), ["x=base"]);
    assert_eq!(chain("/named", 0), ["x=base", "y=base"]);
    assert_eq!(chain("/split", 0), ["x=route", "y=base"]);
    assert_eq!(chain("/split", 1), ["x=entry", "y=base"]);
}

#[test]
fn the_listener_bounds_calls_without_a_bound() {
    let seconds = |s| Some(Duration::from_secs(s));
    let snapshot = snapshot().with_max_stream_duration(seconds(9));
    let plan = plan(&snapshot, "/one", None, 0).unwrap();
    let nothing = Asked::default();
    assert_eq!(plan.limit(Protocol::Grpc, None, &nothing), seconds(9));
    assert_eq!(plan.limit(Protocol::Http, seconds(3), &nothing), seconds(3));
    assert_eq!(plan.limit(Protocol::Http, None, &nothing), seconds(9));
    // Only to HTTP is it the life of a stream.
    let is_lifetime = |protocol, s| plan.is_lifetime(protocol, Duration::from_secs(s));
    assert!(is_lifetime(Protocol::Http, 9));
    assert!(!is_lifetime(Protocol::Http, 3) && !is_lifetime(Protocol::Grpc, 9));
    // What callers ask for is no way around the listener's bound.
    for (millis, expect) in [("2000", seconds(2)), ("20000", seconds(9)), ("0", seconds(9))] {
        let name = HeaderName::from_static("x-envoy-upstream-rq-timeout-ms");
        let asked =
            Asked::take(&mut [(name, HeaderValue::from_static(millis))].into_iter().collect());
        for protocol in [Protocol::Grpc, Protocol::Http] {
            assert_eq!(plan.limit(protocol, None, &asked), expect, "{millis}");
        }
    }
}

#[test]
fn an_aggregate_has_the_priorities_of_its_leaves_in_order() {
    let leaf = |name: &str, port| {
        let one = |port| Endpoint::new(Address::Socket(([127, 0, 0, 1], port).into()));
        let mut assignment = Assignment::of([one(port)]);
        assignment.localities.push(assignment.localities[0].clone());
        assignment.localities[1].priority = 1;
        let config = Arc::new(Config::new(name, Discovery::Static(Arc::default())));
        Cluster::new(Version { config, assignment: Arc::new(assignment), note: None })
    };
    let all = Assignment::concatenate([leaf("a", 1), cluster("empty"), leaf("b", 2)]);
    let priorities: Vec<u32> = all.localities.iter().map(|l| l.priority).collect();
    assert_eq!((priorities, all.priorities()), (vec![0, 1, 2, 3], 4));
    let name = |priority| all.leaf(priority).map(|leaf| leaf.cluster.name().to_string());
    assert_eq!(name(1).as_deref(), Some("a"));
    assert_eq!((name(2).as_deref(), name(4)), (Some("b"), None));
}
