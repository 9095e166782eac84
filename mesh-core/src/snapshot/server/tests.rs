use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};

use super::*;
use crate::filter::{ConnectionFilter, Denial};
use crate::identity::{Forwarded, Peer};
use crate::listener::{ChainMatch, Connection, Prefix, Selector, Transport};
use crate::matcher::PathMatcher;
use crate::request::RequestHead;
use crate::rng::XorShift;
use crate::route::{
    Action, ClusterChoice, Forward, NoRoute, Route, RouteMatch, Table, VirtualHost,
};
use crate::snapshot::{NoPlan, Stamp};

fn routes() -> Arc<Routes> {
    let mut table = Table::builder();
    let cluster = table.cluster("c").unwrap();
    let forward = Action::Forward(Forward::new(ClusterChoice::One(cluster)));
    let gone = Action::DirectResponse { status: StatusCode::GONE, body: Bytes::new() };
    let actions = [("/served", Action::NonForwarding), ("/forward", forward), ("/gone", gone)];
    let host =
        actions.into_iter().fold(VirtualHost::new("v", &["host"]), |host, (path, action)| {
            host.route(Route::new(RouteMatch::new(PathMatcher::prefix(path)), action))
        });
    table.virtual_host(host);
    Arc::new(Routes::new(Arc::new(table.build().unwrap()), &[], None))
}

fn chain(name: &str) -> Arc<FilterChain> {
    Arc::new(FilterChain {
        name: name.into(),
        security: None,
        forwarded: Forwarded::default(),
        filters: [Arc::new(Nobody) as Arc<dyn ConnectionFilter>].into(),
        connections: Connections::default(),
        routing: Routing::Broken("none".into()),
    })
}

#[derive(Debug)]
struct Nobody;

impl ConnectionFilter for Nobody {
    fn admit(&self, _: &Peer) -> Result<(), Denial> {
        Err(Denial::new("nobody"))
    }
}

fn snapshot(epoch: u64, default: Option<&str>) -> ServerSnapshot {
    let local = Prefix::new([10, 0, 0, 0].into(), 8);
    let matches = [ChainMatch { destinations: vec![local], ..ChainMatch::default() }];
    ServerSnapshot {
        listener: "l".into(),
        stamp: Stamp::default(),
        epoch,
        inspection: Inspection::Addresses,
        selector: Arc::new(Selector::new(&matches).unwrap()),
        chains: [chain("ten")].into(),
        default: default.map(chain),
    }
}

fn to(address: [u8; 4]) -> Connection<'static> {
    let remote = Some(([127, 0, 0, 1].into(), 1));
    Connection { local: Some(address.into()), remote, transport: Transport::Plain, hello: None }
}

#[test]
fn only_non_forwarding_routes_are_served() {
    let routes = routes();
    let plan = |host: &str, path: &str| {
        let (method, uri, headers) = (Method::GET, path.parse::<Uri>().unwrap(), HeaderMap::new());
        let head = RequestHead::from_pieces(&method, &uri, &headers, host);
        routes.plan(&head, &mut XorShift::new(1))
    };
    let served = plan("host", "/served").unwrap();
    assert_eq!((&**served.route.virtual_host(), served.answer), ("v", None));
    assert!(matches!(plan("other", "/served"), Err(NoPlan::NoRoute(NoRoute::VirtualHost))));
    assert!(matches!(plan("host", "/"), Err(NoPlan::NoRoute(NoRoute::Route { .. }))));
    assert!(matches!(plan("host", "/forward"), Err(NoPlan::Unsupported { .. })));
    // Only after the filters, which are in the plan.
    let gone = plan("host", "/gone").unwrap();
    assert!(matches!(gone.answer, Some(NoPlan::Respond { status: StatusCode::GONE, .. })));
}

#[test]
fn connections_get_a_chain_the_default_one_or_none() {
    let name = |snapshot: &ServerSnapshot, address| {
        snapshot.chain(&to(address)).map(|chain| chain.name.to_string())
    };
    let with = snapshot(1, Some("default"));
    assert_eq!(name(&with, [10, 1, 1, 1]).as_deref(), Some("ten"));
    assert_eq!(name(&with, [11, 1, 1, 1]).as_deref(), Some("default"));
    assert_eq!(name(&snapshot(1, None), [11, 1, 1, 1]), None);
}

#[test]
fn a_connection_that_a_filter_denies_is_not_admitted() {
    let denied = chain("x").admit(&Peer::default());
    assert_eq!(denied.unwrap_err().rule.as_ref(), "nobody");
}

#[test]
fn open_connections_find_their_chain_in_the_same_epoch_only() {
    let (old, new) = (snapshot(1, Some("default")), snapshot(1, Some("default")));
    for address in [[10, 1, 1, 1], [11, 1, 1, 1]] {
        let before = old.chain(&to(address)).unwrap();
        let now = new.same_chain(&old, before).unwrap();
        assert!(now.name == before.name && !Arc::ptr_eq(now, before));
        assert!(snapshot(2, Some("default")).same_chain(&old, before).is_none());
    }
}
