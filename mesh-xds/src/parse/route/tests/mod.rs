mod policies;

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::route::v3 as rds;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::route::Action as Specifier;
use envoy_types::pb::envoy::config::route::v3::route_action::ClusterSpecifier;
use envoy_types::pb::envoy::config::route::v3::route_match::PathSpecifier;
use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::google::protobuf;
use http::HeaderName;
use mesh_core::retry::{Counted, Methods, OfRetries};
use mesh_core::route::{Action, ClusterChoice, FieldChanges, NewField, Placing, Table};
use proptest::prelude::{prop, proptest};
use prost::Message;

use crate::fixtures::{any, route, routes, to, u32v};
use crate::parse::listener::tests::registry;
use crate::parse::{Registry, Reject};

fn parse(message: &rds::RouteConfiguration) -> Result<Table, Reject> {
    super::parse(&message.encode_to_vec(), &registry())
}

/// The table of one route to cluster `c`, changed by `change`.
fn one(change: impl FnOnce(&mut rds::Route)) -> Result<Table, Reject> {
    let mut route = route("/", to("c"));
    change(&mut route);
    parse(&routes("r", vec![route]))
}

/// Where in the route such a table is refused.
fn path(change: impl FnOnce(&mut rds::Route)) -> String {
    let path = one(change).unwrap_err().path;
    path.strip_prefix("virtual_hosts[0].routes[0].").unwrap().to_owned()
}

fn action(change: impl FnOnce(&mut rds::RouteAction)) -> impl FnOnce(&mut rds::Route) {
    |route| match &mut route.action {
        Some(Specifier::Route(action)) => change(action),
        _ => panic!("made to forward"),
    }
}

fn matching(change: impl FnOnce(&mut rds::RouteMatch)) -> impl FnOnce(&mut rds::Route) {
    |route| change(route.r#match.as_mut().unwrap())
}

fn regex(pattern: &str) -> matcher::RegexMatcher {
    matcher::RegexMatcher { regex: pattern.into(), ..Default::default() }
}

fn duration(seconds: i64) -> Option<protobuf::Duration> {
    Some(protobuf::Duration { seconds, nanos: 0 })
}

fn first(table: &Table) -> &Action {
    &table.routes()[0].action
}

#[test]
fn paths_are_checked() {
    let with = |specifier| path(matching(|m| m.path_specifier = specifier));
    assert_eq!(path(|r| r.r#match = None), "match");
    assert_eq!(with(None), "match");
    assert_eq!(with(Some(PathSpecifier::SafeRegex(regex("(")))), "match.safe_regex");
    let separated = PathSpecifier::PathSeparatedPrefix("/a/".into());
    assert_eq!(with(Some(separated)), "match.path_separated_prefix");
    let connect = PathSpecifier::ConnectMatcher(Default::default());
    assert_eq!(with(Some(connect)), "match.connect_matcher");
    let policy = PathSpecifier::PathMatchPolicy(Default::default());
    assert_eq!(with(Some(policy)), "match.path_match_policy");
    assert_eq!(path(matching(|m| m.cookies = vec![Default::default()])), "match.cookies");
    let narrower = |change: fn(&mut rds::RouteMatch)| path(matching(change));
    assert_eq!(narrower(|m| m.tls_context = Some(Default::default())), "match.tls_context");
    assert_eq!(
        narrower(|m| m.dynamic_metadata = vec![Default::default()]),
        "match.dynamic_metadata"
    );
    assert_eq!(narrower(|m| m.filter_state = vec![Default::default()]), "match.filter_state");
    let mut message = routes("r", vec![route("/", to("c"))]);
    message.virtual_hosts[0].require_tls = 2;
    assert_eq!(&*parse(&message).unwrap_err().path, "virtual_hosts[0].require_tls");
    let mut message = routes("r", vec![route("/", to("c"))]);
    message.ignore_path_parameters_in_path_matching = true;
    assert_eq!(&*parse(&message).unwrap_err().path, "ignore_path_parameters_in_path_matching");
    one(matching(|m| m.path_specifier = Some(PathSpecifier::SafeRegex(regex("/a.*"))))).unwrap();
}

#[test]
#[expect(deprecated, reason = "control planes send the older specifiers")]
fn header_matchers_are_checked() {
    let with = |name: &str, specifier| {
        let message = rds::HeaderMatcher {
            name: name.into(),
            header_match_specifier: specifier,
            ..Default::default()
        };
        one(matching(|m| m.headers = vec![message]))
    };
    let why = |name, specifier| {
        let path = String::from(with(name, specifier).unwrap_err().path);
        path.strip_prefix("virtual_hosts[0].routes[0].match.headers[0]").unwrap().to_owned()
    };
    let string = |pattern| {
        Some(HeaderMatchSpecifier::StringMatch(matcher::StringMatcher {
            match_pattern: pattern,
            ignore_case: true,
        }))
    };
    assert_eq!(why("x", None), "");
    assert_eq!(why("x y", string(Some(MatchPattern::Exact("v".into())))), ".name");
    assert_eq!(
        why("x", Some(HeaderMatchSpecifier::SafeRegexMatch(regex("(")))),
        ".safe_regex_match"
    );
    assert_eq!(why("x", Some(HeaderMatchSpecifier::PrefixMatch("".into()))), ".prefix_match");
    assert_eq!(why("x", Some(HeaderMatchSpecifier::SuffixMatch("".into()))), ".suffix_match");
    assert_eq!(why("x", Some(HeaderMatchSpecifier::ContainsMatch("".into()))), ".contains_match");
    assert_eq!(why("x", string(None)), ".string_match");
    assert_eq!(why("x", string(Some(MatchPattern::Prefix("".into())))), ".string_match.prefix");
    assert_eq!(why("x", string(Some(MatchPattern::Suffix("".into())))), ".string_match.suffix");
    assert_eq!(why("x", string(Some(MatchPattern::Contains("".into())))), ".string_match.contains");
    let custom = MatchPattern::Custom(Default::default());
    assert_eq!(why("x", string(Some(custom))), ".string_match.custom");
    let bad = MatchPattern::SafeRegex(regex("("));
    assert_eq!(why("x", string(Some(bad))), ".string_match.safe_regex");
    with("x", Some(HeaderMatchSpecifier::PresentMatch(true))).unwrap();
    with("x", Some(HeaderMatchSpecifier::ExactMatch("v".into()))).unwrap();
}

#[test]
fn other_conditions_are_checked() {
    let query = |name: &str, specifier| {
        let message = rds::QueryParameterMatcher {
            name: name.into(),
            query_parameter_match_specifier: specifier,
        };
        one(matching(|m| m.query_parameters = vec![message])).map_err(|r| r.path)
    };
    let bare = query("q", None).unwrap();
    assert_eq!(bare.routes()[0].matcher.query.len(), 1);
    let at = "virtual_hosts[0].routes[0].match.query_parameters[0]";
    assert_eq!(&*query("", None).unwrap_err(), format!("{at}.name"));
    use rds::query_parameter_matcher::QueryParameterMatchSpecifier::StringMatch;
    let empty = query("q", Some(StringMatch(Default::default()))).unwrap_err();
    assert_eq!(&*empty, format!("{at}.string_match"));
    let fraction = |value| {
        let fraction =
            core::RuntimeFractionalPercent { default_value: value, ..Default::default() };
        one(matching(|m| m.runtime_fraction = Some(fraction))).map_err(|r| r.path)
    };
    let at = "virtual_hosts[0].routes[0].match.runtime_fraction.default_value";
    assert_eq!(&*fraction(None).unwrap_err(), at);
    let unknown = FractionalPercent { numerator: 1, denominator: 3 };
    assert_eq!(&*fraction(Some(unknown)).unwrap_err(), format!("{at}.denominator"));
    let half = fraction(Some(FractionalPercent { numerator: 50, denominator: 0 })).unwrap();
    assert_eq!(half.routes()[0].matcher.fraction.unwrap().numerator(), 500_000);
    let grpc = one(matching(|m| m.grpc = Some(Default::default()))).unwrap();
    assert!(grpc.routes()[0].matcher.grpc_only);
}

#[test]
fn clusters_are_checked() {
    let with = |specifier| one(action(|a| a.cluster_specifier = specifier));
    let why = |specifier| {
        let path = String::from(with(Some(specifier)).unwrap_err().path);
        path.strip_prefix("virtual_hosts[0].routes[0].route.").unwrap().to_owned()
    };
    assert_eq!(why(to("")), "cluster");
    assert_eq!(why(ClusterSpecifier::ClusterHeader("a b".into())), "cluster_header");
    let plugin = ClusterSpecifier::ClusterSpecifierPlugin("p".into());
    assert_eq!(why(plugin), "cluster_specifier_plugin");
    let weighted = |list: &[(&str, &str, u32)]| {
        let entry =
            |(name, header, weight): &(&str, &str, u32)| rds::weighted_cluster::ClusterWeight {
                name: (*name).into(),
                cluster_header: (*header).into(),
                weight: u32v(*weight),
                ..Default::default()
            };
        let clusters = list.iter().map(entry).collect();
        ClusterSpecifier::WeightedClusters(rds::WeightedCluster { clusters, ..Default::default() })
    };
    assert_eq!(why(weighted(&[])), "weighted_clusters");
    assert_eq!(why(weighted(&[("a", "", 0)])), "weighted_clusters");
    assert_eq!(why(weighted(&[("a", "", u32::MAX), ("b", "", 1)])), "weighted_clusters");
    assert_eq!(why(weighted(&[("", "", 1)])), "weighted_clusters.clusters[0].name");
    let header = weighted(&[("a", "", 1), ("", "h", 1)]);
    assert_eq!(why(header), "weighted_clusters.clusters[1].cluster_header");
    // Without weight it is not even looked at (gRFC A28).
    let table = with(Some(weighted(&[("", "", 0), ("b", "", 1)]))).unwrap();
    assert_eq!(table.clusters().iter().map(|c| &**c).collect::<Vec<_>>(), ["b"]);
    let table = with(Some(ClusterSpecifier::ClusterHeader("x-c".into()))).unwrap();
    let Action::Forward(forward) = first(&table) else { panic!("{table:?}") };
    assert!(matches!(&forward.cluster, ClusterChoice::Header(name) if name == "x-c"));
    // Without a cluster the route is left out, not refused.
    assert!(with(None).unwrap().routes().is_empty());
}

#[test]
fn optional_plugins_leave_their_routes_out() {
    let message = |is_optional| {
        let plugin = ClusterSpecifier::ClusterSpecifierPlugin("p".into());
        let mut message = routes("r", vec![route("/a", plugin), route("/", to("c"))]);
        let extension = core::TypedExtensionConfig { name: "p".into(), typed_config: None };
        message.cluster_specifier_plugins =
            vec![rds::ClusterSpecifierPlugin { extension: Some(extension), is_optional }];
        parse(&message)
    };
    assert_eq!(message(true).unwrap().routes().len(), 1);
    assert_eq!(&*message(false).unwrap_err().path, "cluster_specifier_plugins[0].extension");
}

#[test]
fn local_answers_are_read_and_checked() {
    use core::data_source::Specifier::{Filename, InlineString};
    let respond = |status, body| {
        let body = core::DataSource { specifier: body, ..Default::default() };
        one(|r| {
            r.action = Some(Specifier::DirectResponse(rds::DirectResponseAction {
                status,
                body: Some(body),
                ..Default::default()
            }));
        })
    };
    let table = respond(404, Some(InlineString("no".into()))).unwrap();
    let Action::DirectResponse { status, body } = first(&table) else { panic!("{table:?}") };
    assert_eq!((status.as_u16(), &**body), (404, &b"no"[..]));
    let why = |status, body| String::from(respond(status, body).unwrap_err().path);
    let at = "virtual_hosts[0].routes[0].direct_response";
    assert_eq!(why(199, None), format!("{at}.status"));
    assert_eq!(why(404, Some(Filename("/etc/passwd".into()))), format!("{at}.body"));
    assert_eq!(why(404, Some(InlineString("x".repeat(4097)))), format!("{at}.body"));

    let redirect = |change: fn(&mut rds::RedirectAction)| {
        let mut message = rds::RedirectAction::default();
        change(&mut message);
        one(|r| r.action = Some(Specifier::Redirect(message)))
    };
    assert!(matches!(first(&redirect(|r| r.port_redirect = 81).unwrap()), Action::Redirect(_)));
    let why = |change| String::from(redirect(change).unwrap_err().path);
    let at = "virtual_hosts[0].routes[0].redirect";
    assert_eq!(why(|r| r.port_redirect = 65_536), format!("{at}.port_redirect"));
    assert_eq!(why(|r| r.response_code = 9), format!("{at}.response_code"));
    let rewrite = why(|r| {
        let rewrite = matcher::RegexMatchAndSubstitute {
            pattern: Some(regex("a")),
            substitution: "\\7".into(),
        };
        r.path_rewrite_specifier =
            Some(rds::redirect_action::PathRewriteSpecifier::RegexRewrite(rewrite));
    });
    assert_eq!(rewrite, format!("{at}.regex_rewrite.substitution"));
    let server = one(|r| r.action = Some(Specifier::NonForwardingAction(Default::default())));
    assert!(matches!(first(&server.unwrap()), Action::NonForwarding));
    assert!(matches!(first(&one(|r| r.action = None).unwrap()), Action::Unsupported(_)));
}

#[test]
fn what_is_not_acted_on_is_still_checked() {
    let rewrite =
        || matcher::RegexMatchAndSubstitute { pattern: Some(regex("(")), ..Default::default() };
    assert_eq!(path(action(|a| a.regex_rewrite = Some(rewrite()))), "route.regex_rewrite.pattern");
    use rds::route_action::hash_policy::{Header, PolicySpecifier};
    let policy = rds::route_action::HashPolicy {
        policy_specifier: Some(PolicySpecifier::Header(Header {
            header_name: "x".into(),
            regex_rewrite: Some(rewrite()),
        })),
        ..Default::default()
    };
    assert_eq!(
        path(action(|a| a.hash_policy = vec![policy])),
        "route.hash_policy[0].header.regex_rewrite.pattern"
    );
}

#[test]
fn metadata_is_kept_in_bounds() {
    let metadata = |text: &str| {
        let kind = Some(protobuf::value::Kind::StringValue(text.into()));
        let fields = [("a".to_owned(), protobuf::Value { kind })].into();
        let filter_metadata = [("ns".to_owned(), protobuf::Struct { fields })].into();
        Some(core::Metadata { filter_metadata, ..Default::default() })
    };
    let table = one(|r| r.metadata = metadata("x")).unwrap();
    assert_eq!(table.routes()[0].metadata.find("ns", &["a"]), Some(&"x".into()));
    let large = "x".repeat(70_000);
    assert_eq!(path(|r| r.metadata = metadata(&large)), r#"metadata.filter_metadata["ns"]"#);
}

#[test]
fn virtual_hosts_are_checked() {
    let why = |change: fn(&mut rds::RouteConfiguration)| {
        let mut message = routes("r", vec![]);
        message.virtual_hosts.push(rds::VirtualHost {
            name: "second".into(),
            domains: vec!["b".into()],
            ..Default::default()
        });
        change(&mut message);
        String::from(parse(&message).unwrap_err().path)
    };
    let domains = "virtual_hosts[1].domains";
    assert_eq!(why(|m| m.virtual_hosts[1].domains.clear()), domains);
    assert_eq!(why(|m| m.virtual_hosts[1].domains[0] = "a*b".into()), domains);
    assert_eq!(why(|m| m.virtual_hosts[1].domains[0].clear()), domains);
    assert_eq!(why(|m| m.virtual_hosts[1].domains[0] = "*".into()), domains);
    let matcher = why(|m| m.virtual_hosts[1].matcher = Some(Default::default()));
    assert_eq!(matcher, "virtual_hosts[1].matcher");
    assert_eq!(&*super::parse(&[0xff], &Registry::default()).unwrap_err().path, "");
}

#[test]
fn overrides_of_all_levels_are_merged() {
    let text = |text: &str| any("test.Text", &protobuf::StringValue { value: text.into() });
    let wrapped = |config, is_optional, disabled| {
        let kind = "envoy.config.route.v3.FilterConfig";
        any(kind, &rds::FilterConfig { config, is_optional, disabled })
    };
    let unknown = || any("test.Unknown", &protobuf::StringValue::default());
    let mut inner = route("/", to("c"));
    inner.typed_per_filter_config = [
        ("a".to_owned(), text("route")),
        ("b".to_owned(), wrapped(None, false, true)),
        ("d".to_owned(), wrapped(Some(unknown()), true, false)),
    ]
    .into();
    let mut message = routes("r", vec![inner]);
    message.virtual_hosts[0].typed_per_filter_config =
        [("a".to_owned(), text("host")), ("c".to_owned(), text("host"))].into();
    let table = parse(&message).unwrap();
    let overrides = &table.routes()[0].overrides;
    let found: Vec<_> = overrides
        .iter()
        .map(|o| (&*o.filter, o.config.downcast_ref::<String>().cloned(), o.disabled))
        .collect();
    let settings = |text: &str| Some(text.to_owned());
    let expect = [
        ("a", settings("\n\u{5}route"), false),
        ("b", None, true),
        ("c", settings("\n\u{4}host"), false),
    ];
    assert_eq!(found, expect);
    let why = |config| path(|r| r.typed_per_filter_config = [("x".to_owned(), config)].into());
    let at = r#"typed_per_filter_config["x"]"#;
    assert_eq!(why(unknown()), at);
    assert_eq!(why(wrapped(Some(unknown()), false, false)), format!("{at}.config"));
    let broken = any("test.Text", &protobuf::StringValue { value: "broken".into() });
    assert_eq!(why(broken), at);
    let _: Arc<Table> = Arc::new(table);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_panic(
        bytes in prop::collection::vec(proptest::num::u8::ANY, 0..300),
    ) {
        let _ = super::parse(&bytes, &Registry::default());
    }
}

fn added(key: &str, value: &str) -> core::HeaderValueOption {
    let header = core::HeaderValue { key: key.into(), value: value.into(), ..Default::default() };
    core::HeaderValueOption { header: Some(header), ..Default::default() }
}

/// The table of one route that serves, all of whose levels change header fields.
fn served(change: impl FnOnce(&mut rds::RouteConfiguration)) -> rds::RouteConfiguration {
    let mut route = route("/", to("c"));
    route.action = Some(Specifier::NonForwardingAction(Default::default()));
    route.request_headers_to_add = vec![added("x-route", "a%%b")];
    let mut message = routes("r", vec![route]);
    message.virtual_hosts[0].request_headers_to_remove = vec!["X-Host".into()];
    message.response_headers_to_remove = vec!["x-whole".into()];
    message.request_headers_to_remove = vec!["x-whole".into()];
    change(&mut message);
    message
}

#[test]
fn routes_of_servers_change_header_fields() {
    let fields = |change: fn(&mut rds::RouteConfiguration)| {
        let table = parse(&served(change)).unwrap();
        table.routes()[0].fields.clone().unwrap()
    };
    let name = |name: &'static str| HeaderName::from_static(name);
    let removed = |field| FieldChanges { remove: vec![name(field)], add: Vec::new() };
    let of_route = |placing| FieldChanges {
        remove: Vec::new(),
        add: vec![NewField { name: name("x-route"), value: "a%b".parse().unwrap(), placing }],
    };
    let (host, whole) = (removed("x-host"), removed("x-whole"));
    let found = fields(|_| {});
    // The most specific level comes first, so that the others win.
    assert_eq!(found.request, [of_route(Placing::Append), host.clone(), whole.clone()]);
    assert_eq!(found.response, std::slice::from_ref(&whole));
    let found = fields(|m| m.most_specific_header_mutations_wins = true);
    assert_eq!(found.request, [whole, host, of_route(Placing::Append)]);
    for (action, expect) in
        [(1, Placing::IfAbsent), (2, Placing::Overwrite), (3, Placing::OverwriteIfPresent)]
    {
        let mut message = served(|_| {});
        message.virtual_hosts[0].routes[0].request_headers_to_add[0].append_action = action;
        let table = parse(&message).unwrap();
        let found = table.routes()[0].fields.clone().unwrap();
        assert_eq!(found.request[0], of_route(expect));
    }
    let without = |m: &mut rds::RouteConfiguration| {
        let add = &mut m.virtual_hosts[0].routes[0].request_headers_to_add[0];
        add.header.as_mut().unwrap().value.clear();
    };
    assert_eq!(fields(without).request.len(), 2);
}

#[test]
fn changes_of_header_fields_that_cannot_be_made_are_refused_of_servers_only() {
    type Change = fn(&mut rds::RouteConfiguration);
    let table: [(&str, Change); 7] = [
        ("internal_only_headers", |m| m.internal_only_headers = vec!["x-a".into()]),
        ("request_headers_to_remove[0]", |m| m.request_headers_to_remove[0] = ":path".into()),
        ("response_headers_to_remove[0]", |m| {
            m.response_headers_to_remove[0] = "Content-Length".into();
        }),
        ("virtual_hosts[0].request_headers_to_remove[0]", |m| {
            m.virtual_hosts[0].request_headers_to_remove[0] = "host".into();
        }),
        ("virtual_hosts[0].routes[0].response_headers_to_add[0].header.value", |m| {
            m.virtual_hosts[0].routes[0].response_headers_to_add =
                vec![added("x-peer", "%DOWNSTREAM_REMOTE_ADDRESS%")];
        }),
        ("virtual_hosts[0].routes[0].request_headers_to_add[0].header", |m| {
            m.virtual_hosts[0].routes[0].request_headers_to_add[0].header = None;
        }),
        ("virtual_hosts[0].routes[0].request_headers_to_add[0].append_action", |m| {
            m.virtual_hosts[0].routes[0].request_headers_to_add[0].append_action = 9;
        }),
    ];
    for (expect, change) in table {
        let mut message = served(change);
        assert_eq!(&*parse(&message).unwrap_err().path, expect);
        message.virtual_hosts[0].routes[0].action = route("/", to("c")).action;
        assert_eq!(parse(&message).unwrap().routes()[0].fields, None, "{expect}");
    }
}
