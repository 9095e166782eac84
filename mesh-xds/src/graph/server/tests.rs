use std::sync::Arc;
use std::time::{Duration, SystemTime};

use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    CommonTlsContext, DownstreamTlsContext, SdsSecretConfig,
};
use mesh_core::cluster::Address;
use mesh_core::filter::{Authorize, Factory, Filter, Settings};
use mesh_core::snapshot::{Routing, ServerRoot, ServerSnapshot};
use prost::Message;

use crate::fixtures::{
    any, assignment, cluster, filter_chain, http_filter, listener, manager, rds, routes, served,
    served_routes, server_listener,
};
use crate::graph::{Delta, Event, Graph, RootId, Update};
use crate::name::{ResourceName, ResourceType};
use crate::parse::Registry;

const LDS: ResourceType = ResourceType::Listener;
const RDS: ResourceType = ResourceType::RouteConfiguration;
const SDS: ResourceType = ResourceType::Secret;
const PLACE: &str = "0.0.0.0:8080";

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000)
}

/// A graph with the server at [`PLACE`], in words.
struct Kit {
    graph: Graph,
    server: RootId,
}

impl Kit {
    fn new() -> Self {
        Self::with(Registry::default())
    }

    fn with(registry: Registry) -> Self {
        let mut graph = Graph::new(registry);
        let address = Address::Socket(PLACE.parse().unwrap());
        let name = ResourceName::parse(LDS, "l").unwrap();
        let (server, delta) = graph.add_server(address, name, now());
        assert_eq!(words(&delta), "+l, waiting for listener l");
        Self { graph, server }
    }

    /// One that serves by a listener with routes `r`.
    fn serving() -> Self {
        let mut kit = Self::new();
        let l = server_listener("l", PLACE, [rds("r")]);
        assert_eq!(kit.put(LDS, "l", &l), "+r, waiting for routes r");
        assert_eq!(kit.put(RDS, "r", &served_routes("r")), "serving 1 in 1: ok");
        kit
    }

    fn event(&mut self, kind: ResourceType, of: &str, event: Event, fail: bool) -> String {
        let events = vec![(ResourceName::parse(kind, of).unwrap(), event)];
        words(&self.graph.apply(Update { kind, fail_on_data_errors: fail, events }, now()))
    }

    fn put(&mut self, kind: ResourceType, of: &str, message: &impl Message) -> String {
        let event = Event::Value { raw: message.encode_to_vec().into(), version: "1".into() };
        self.event(kind, of, event, false)
    }

    fn gone(&mut self, kind: ResourceType, of: &str, fail: bool) -> String {
        self.event(kind, of, Event::DoesNotExist("gone".into()), fail)
    }

    fn snapshot(&self) -> Arc<ServerSnapshot> {
        self.graph.status().servers[0].state.snapshot().unwrap().clone()
    }
}

/// Wanted, not wanted any more, refused, and the server's state with its routes.
fn words(delta: &Delta) -> String {
    let mut words: Vec<String> = delta.added.iter().map(|(_, name)| format!("+{name}")).collect();
    words.extend(delta.removed.iter().map(|(_, name)| format!("-{name}")));
    words.sort();
    words
        .extend(delta.rejects.iter().map(|reject| format!("!{} {}", reject.resource, reject.path)));
    words.extend(delta.servers.iter().map(|(_, root)| match &**root {
        ServerRoot::Waiting { why, .. } => why.to_string(),
        ServerRoot::NotServing { why, .. } => format!("not serving: {why}"),
        ServerRoot::Serving(snapshot) => {
            let routing =
                snapshot.chains.iter().chain(&snapshot.default).map(|chain| match &chain.routing {
                    Routing::Ready(_) => "ok".to_owned(),
                    Routing::Broken(why) => why.to_string(),
                });
            let routing: Vec<String> = routing.collect();
            let (number, epoch) = (snapshot.stamp.number, snapshot.epoch);
            format!("serving {number} in {epoch}: {}", routing.join("; "))
        }
    }));
    words.join(", ")
}

#[test]
fn a_server_serves_when_all_its_routes_have_arrived() {
    let mut kit = Kit::new();
    let l = server_listener("l", PLACE, [rds("r"), rds("s"), rds("r"), served()]);
    assert_eq!(kit.put(LDS, "l", &l), "+r, +s, waiting for routes r");
    assert_eq!(kit.put(RDS, "r", &served_routes("r")), "waiting for routes s");
    assert_eq!(kit.put(RDS, "s", &served_routes("s")), "serving 1 in 1: ok; ok; ok; ok");
    // The very same bytes are no news.
    assert_eq!(kit.put(LDS, "l", &l), "");
    assert_eq!(kit.put(RDS, "r", &served_routes("r")), "");
    assert_eq!(words(&kit.graph.remove_root(kit.server, now())), "-l, -r, -s");
}

#[test]
fn routes_that_are_missing_or_refused_fail_only_their_requests() {
    let mut kit = Kit::new();
    kit.put(LDS, "l", &server_listener("l", PLACE, [rds("r"), rds("s")]));
    kit.event(RDS, "r", Event::Timeout("late".into()), false);
    let bad = Event::Value { raw: vec![0xff].into(), version: "2".into() };
    let serving = kit.event(RDS, "s", bad.clone(), false);
    assert!(
        serving.starts_with("!s , serving 1 in 1: routes r: late; routes s: refused: "),
        "{serving}"
    );
    let better = kit.put(RDS, "s", &served_routes("s"));
    assert_eq!(better, "serving 2 in 1: routes r: late; ok");
    // What is in use stays in use.
    assert_eq!(kit.event(RDS, "s", bad, false), "!s ");
    assert_eq!(kit.gone(RDS, "s", false), "");
    assert_eq!(kit.gone(RDS, "s", true), "serving 3 in 1: routes r: late; routes s: gone");
}

#[test]
fn new_routes_keep_the_epoch_and_a_new_listener_does_not() {
    let mut kit = Kit::serving();
    let before = kit.snapshot();
    assert_eq!(kit.put(RDS, "r", &routes("r", vec![])), "serving 2 in 1: ok");
    assert!(before.same_chain(&kit.snapshot(), &kit.snapshot().chains[0]).is_some());
    let next = server_listener("l", PLACE, [rds("r"), rds("s")]);
    assert_eq!(kit.put(LDS, "l", &next), "+s");
    assert_eq!(kit.graph.status().servers[0].waiting[0].as_str(), "s");
    assert_eq!(kit.put(RDS, "s", &served_routes("s")), "serving 3 in 2: ok; ok");
    assert_eq!(
        kit.put(LDS, "l", &server_listener("l", PLACE, [served()])),
        "-r, -s, serving 4 in 3: ok"
    );
}

#[test]
fn what_is_not_for_the_server_is_not_served() {
    let mut kit = Kit::serving();
    let other = kit.put(LDS, "l", &server_listener("l", "0.0.0.0:8081", [served()]));
    let why = "not serving: listener l is for 0.0.0.0:8081, and this server is at 0.0.0.0:8080";
    assert_eq!(other, format!("-r, {why}"));
    let client = kit.put(LDS, "l", &listener("l", &manager(served())));
    assert_eq!(client, "not serving: listener l is for clients");
    assert_eq!(kit.put(LDS, "l", &server_listener("l", PLACE, [served()])), "serving 2 in 2: ok");
    assert_eq!(kit.gone(LDS, "l", false), "");
    assert_eq!(kit.gone(LDS, "l", true), "not serving: listener l: gone");
    let target = "xds:///l".into();
    let (_, delta) = kit.graph.add_root(target, ResourceName::parse(LDS, "l").unwrap(), now());
    assert_eq!(delta.roots.len(), 1);
    kit.put(LDS, "l", &server_listener("l", PLACE, [served()]));
    let state = kit.graph.status().roots[0].state.clone();
    assert!(state.snapshot().is_none(), "{state:?}");
}

/// Makes filters that ask the clusters whose names are their configuration.
struct Asking;

impl Factory for Asking {
    fn type_url(&self) -> &str {
        "type.googleapis.com/google.protobuf.StringValue"
    }

    fn parse(&self, message: &[u8]) -> Result<Settings, String> {
        let names = String::decode(message).map_err(|why| why.to_string())?;
        Ok(Arc::new(names.split(' ').map(Into::into).collect::<Vec<Arc<str>>>()))
    }

    fn clusters(&self, settings: &Settings) -> Vec<Arc<str>> {
        settings.downcast_ref::<Vec<Arc<str>>>().unwrap().clone()
    }

    fn build(&self, _: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        Arc::new(Authorize::new(Arc::default(), None))
    }
}

#[test]
fn clusters_that_filters_ask_are_wanted_and_waited_for() {
    let asking: Arc<dyn Factory> = Arc::new(Asking);
    let mut kit = Kit::with(Registry::new([asking]));
    let listener = |names: &str| {
        let mut manager = manager(served());
        let filter = any("google.protobuf.StringValue", &names.to_owned());
        manager.http_filters.insert(0, http_filter("asks", filter));
        let mut listener = server_listener("l", PLACE, [served()]);
        listener.filter_chains = vec![filter_chain(&manager)];
        listener
    };
    let (cds, eds) = (ResourceType::Cluster, ResourceType::ClusterLoadAssignment);
    assert_eq!(kit.put(LDS, "l", &listener("a b")), "+a, +b, waiting for cluster a");
    assert_eq!(kit.put(cds, "a", &cluster("a", "ae")), "+ae");
    assert_eq!(kit.put(eds, "ae", &assignment("ae", vec![])), "waiting for cluster b");
    assert_eq!(kit.gone(cds, "b", false), "serving 1 in 1: ok");
    let find = |kit: &Kit, name: &str| match &kit.snapshot().chains[0].routing {
        Routing::Ready(routes) => routes.cluster(name).map(|it| it.name().to_string()),
        Routing::Broken(why) => panic!("{why}"),
    };
    assert_eq!(find(&kit, "a"), Ok("a".to_owned()));
    assert_eq!(find(&kit, "b"), Err(Some("gone".into())));
    assert_eq!(find(&kit, "c"), Err(None));
    // A cluster that can be used after all is shown, with the same filters.
    let chains = |kit: &Kit| match &kit.snapshot().chains[0].routing {
        Routing::Ready(routes) => routes.chains.clone(),
        Routing::Broken(why) => panic!("{why}"),
    };
    let before = chains(&kit);
    kit.put(cds, "b", &cluster("b", "ae"));
    assert_eq!(find(&kit, "b"), Ok("b".to_owned()));
    assert!(Arc::ptr_eq(&before, &chains(&kit)));
    // What a new listener asks is waited for, and what only the old one asked is held until then.
    assert_eq!(kit.put(LDS, "l", &listener("b c")), "+c");
    assert_eq!(kit.gone(cds, "c", false), "-a, serving 3 in 2: ok");
    assert_eq!(words(&kit.graph.remove_root(kit.server, now())), "-ae, -b, -c, -l");
}

#[test]
fn filters_that_are_left_out_are_said() {
    let mut kit = Kit::new();
    let mut with = manager(served());
    let optional = HttpFilter { is_optional: true, ..http_filter("lua", any("test.Lua", &())) };
    with.http_filters.insert(0, optional);
    let mut listener = server_listener("l", PLACE, [served(), served()]);
    for chain in &mut listener.filter_chains {
        chain.filters = filter_chain(&with).filters;
    }
    assert_eq!(kit.put(LDS, "l", &listener), "serving 1 in 1: ok; ok");
    let status = kit.graph.status();
    let ignored: Vec<_> = status.resources[0].ignored.iter().map(|it| &**it).collect();
    assert_eq!(ignored, [r#"filter "lua" (test.Lua)"#]);
    let status = crate::Status { graph: Some(status), ..crate::Status::default() }.to_string();
    assert!(status.contains("; ignores filter \"lua\" (test.Lua)\n"), "{status}");
}

#[test]
fn a_server_waits_for_the_secrets_of_its_chains_and_keeps_those_in_use() {
    let secured = |own: &str| {
        let mut l = server_listener("l", PLACE, [served()]);
        l.filter_chains[0].transport_socket = Some(with_secret(own));
        l
    };
    let secrets = Arc::new(crate::graph::tests::secrets::Reader);
    let mut kit = Kit::with(Registry::default().secrets(secrets));
    assert_eq!(kit.put(LDS, "l", &secured("a")), "+a, waiting for secret a");
    let said =
        |text: &str| Event::Value { raw: text.as_bytes().to_vec().into(), version: "1".into() };
    assert_eq!(kit.event(SDS, "a", said("one"), false), "serving 1 in 1: ok");
    // A new version of the secret replaces nothing, and neither does a bad one.
    assert_eq!(kit.event(SDS, "a", said("two"), false), "");
    assert_eq!(kit.event(SDS, "a", said("bad"), false), "!a validation_context");
    assert_eq!(kit.put(LDS, "l", &secured("b")), "+b");
    let status = kit.graph.status();
    assert_eq!(status.servers[0].waiting, [ResourceName::parse(SDS, "b").unwrap()]);
    // The secret is not there: the listener is in use all the same, and no handshake succeeds.
    assert_eq!(kit.gone(SDS, "b", false), "-a, serving 2 in 2: ok");
    assert_eq!(words(&kit.graph.remove_root(kit.server, now())), "-b, -l");
}

/// TLS with the secret `own` as what is presented.
fn with_secret(own: &str) -> TransportSocket {
    let secret = SdsSecretConfig { name: own.into(), sds_config: None };
    let common = CommonTlsContext {
        tls_certificate_sds_secret_configs: vec![secret],
        ..CommonTlsContext::default()
    };
    let context = DownstreamTlsContext {
        common_tls_context: Some(common),
        ..DownstreamTlsContext::default()
    };
    let name = "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
    TransportSocket {
        name: "envoy.transport_sockets.tls".into(),
        config_type: Some(ConfigType::TypedConfig(any(name, &context))),
    }
}
