mod server;

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::listener::v3 as lds;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::RouteSpecifier;
use envoy_types::pb::google::protobuf;
use mesh_core::filter::{Context, Factory, Filter, Settings, Side, Slot, Step};
use mesh_core::request::RequestHead;
use proptest::prelude::{prop, proptest};
use prost::Message;

use super::{ClientListener, Listener, RouteSource};
use crate::fixtures::{any, http_filter, listener, manager, rds, router, routes_to};
use crate::parse::{Registry, Reject};

/// Filters that are configured by text, of which `broken` is none.
struct Text(&'static str);

#[derive(Debug)]
struct Nothing;

impl Filter for Nothing {
    fn poll_request(&self, _: &mut Slot, _: &RequestHead<'_>, _: &mut Context<'_>) -> Step {
        Step::Continue
    }
}

impl Factory for Text {
    fn type_url(&self) -> &str {
        self.0
    }

    fn is_for(&self, side: Side) -> bool {
        self.0 != "type.googleapis.com/test.ClientText" || side == Side::Client
    }

    fn parse(&self, message: &[u8]) -> Result<Settings, String> {
        let text = String::from_utf8_lossy(message).into_owned();
        if text.ends_with("broken") { Err("is broken".into()) } else { Ok(Arc::new(text)) }
    }

    fn build(&self, _: &Settings, _: &[Settings]) -> Arc<dyn Filter> {
        Arc::new(Nothing)
    }
}

pub(in crate::parse) fn registry() -> Registry {
    let names = ["type.googleapis.com/test.Text", "type.googleapis.com/test.ClientText"];
    Registry::new(names.map(|name| Arc::new(Text(name)) as Arc<dyn Factory>))
}

fn text(text: &str) -> protobuf::Any {
    any("test.Text", &protobuf::StringValue { value: text.into() })
}

fn parse(message: &lds::Listener) -> Result<Listener, Reject> {
    super::parse(&message.encode_to_vec(), &registry())
}

fn client(message: &lds::Listener) -> Result<Arc<ClientListener>, Reject> {
    match parse(message)? {
        Listener::Client(client) => Ok(client),
        Listener::Server(server) => panic!("{server:?}"),
    }
}

/// A listener whose connection manager is changed by `change`.
fn with(
    change: impl FnOnce(&mut hcm::HttpConnectionManager),
) -> Result<Arc<ClientListener>, Reject> {
    let mut manager = manager(rds("r"));
    change(&mut manager);
    client(&listener("l", &manager))
}

fn path(change: impl FnOnce(&mut hcm::HttpConnectionManager)) -> String {
    let path = with(change).unwrap_err().path;
    path.strip_prefix("api_listener.api_listener").unwrap().trim_start_matches('.').to_owned()
}

fn filters(list: Vec<hcm::HttpFilter>) -> impl FnOnce(&mut hcm::HttpConnectionManager) {
    |manager| manager.http_filters = list
}

#[test]
fn routes_are_named_or_inline() {
    let named = with(|_| {}).unwrap();
    assert!(matches!(&named.routes, RouteSource::Rds(name) if name.as_str() == "r"));
    assert!(named.filters.is_empty() && named.max_stream_duration.is_none());
    let inline = RouteSpecifier::RouteConfig(routes_to("x", &["c"]));
    let inline = with(|m| m.route_specifier = Some(inline)).unwrap();
    assert!(matches!(&inline.routes, RouteSource::Inline(table) if table.routes().len() == 1));
}

#[test]
fn broken_listeners_are_rejected() {
    assert_eq!(&*super::parse(&[0xff], &registry()).unwrap_err().path, "");
    let server = lds::Listener { name: "l".into(), ..Default::default() };
    let empty = Some(lds::ApiListener::default());
    let empty = lds::Listener { api_listener: empty, ..server.clone() };
    assert_eq!(&*parse(&empty).unwrap_err().path, "api_listener");
    let api = lds::ApiListener { api_listener: Some(text("x")) };
    let other = lds::Listener { api_listener: Some(api), ..server };
    assert_eq!(&*parse(&other).unwrap_err().path, "api_listener.api_listener");
    assert_eq!(path(|m| m.route_specifier = None), "");
    assert_eq!(path(|m| m.route_specifier = Some(rds(""))), "rds.route_config_name");
    let foreign = hcm::Rds { config_source: None, route_config_name: "r".into() };
    assert_eq!(
        path(|m| m.route_specifier = Some(RouteSpecifier::Rds(foreign))),
        "rds.config_source"
    );
    let scoped = RouteSpecifier::ScopedRoutes(Default::default());
    assert_eq!(path(|m| m.route_specifier = Some(scoped)), "scoped_routes");
    let mut inline = routes_to("x", &["c"]);
    inline.virtual_hosts[0].routes[0].r#match = None;
    assert_eq!(
        path(|m| m.route_specifier = Some(RouteSpecifier::RouteConfig(inline))),
        "route_config.virtual_hosts[0].routes[0].match"
    );
    assert_eq!(path(|m| m.xff_num_trusted_hops = 1), "xff_num_trusted_hops");
    assert_eq!(
        path(|m| m.original_ip_detection_extensions = vec![Default::default()]),
        "original_ip_detection_extensions"
    );
    let common = |seconds| {
        let duration = Some(protobuf::Duration { seconds, nanos: 0 });
        Some(core::HttpProtocolOptions { max_stream_duration: duration, ..Default::default() })
    };
    assert_eq!(
        path(|m| m.common_http_protocol_options = common(-1)),
        "common_http_protocol_options.max_stream_duration"
    );
    let bounded = with(|m| m.common_http_protocol_options = common(9)).unwrap();
    assert_eq!(bounded.max_stream_duration, Some(Duration::from_secs(9)));
}

#[test]
fn filters_are_read_in_order() {
    let optional = hcm::HttpFilter {
        is_optional: true,
        ..http_filter("unknown", any("test.Unknown", &protobuf::StringValue::default()))
    };
    let bare =
        hcm::HttpFilter { is_optional: true, config_type: None, ..http_filter("bare", text("")) };
    let off = hcm::HttpFilter { disabled: true, ..http_filter("b", text("")) };
    let list = vec![http_filter("a", text("x")), optional, bare, off, router()];
    let found = with(filters(list)).unwrap();
    let ignored = [r#"filter "unknown" (test.Unknown)"#, r#"filter "bare" (without typed_config)"#];
    assert_eq!(*found.ignored, ignored.map(Into::into));
    let found: Vec<_> = found.filters.iter().map(|f| (&*f.name, f.disabled)).collect();
    assert_eq!(found, [("a", false), ("b", true)]);
}

#[test]
fn broken_filters_are_rejected() {
    let why = |list| path(filters(list));
    assert_eq!(why(vec![]), "http_filters");
    assert_eq!(why(vec![http_filter("a", text("x"))]), "http_filters[0]");
    assert_eq!(why(vec![router(), http_filter("a", text("x"))]), "http_filters[0]");
    let second = hcm::HttpFilter { name: "second".into(), ..router() };
    assert_eq!(why(vec![second, router()]), "http_filters[0]");
    assert_eq!(why(vec![http_filter("", text("x")), router()]), "http_filters[0].name");
    let twice = vec![http_filter("a", text("x")), http_filter("a", text("y")), router()];
    assert_eq!(why(twice), "http_filters[1].name");
    let unknown = http_filter("u", any("test.Unknown", &protobuf::StringValue::default()));
    assert_eq!(why(vec![unknown, router()]), "http_filters[0].typed_config");
    // A filter that is known must be right, also if it is optional.
    let broken = hcm::HttpFilter { is_optional: true, ..http_filter("a", text("broken")) };
    assert_eq!(why(vec![broken, router()]), "http_filters[0].typed_config");
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_panic(
        bytes in prop::collection::vec(proptest::num::u8::ANY, 0..300),
    ) {
        let _ = super::parse(&bytes, &registry());
    }
}
