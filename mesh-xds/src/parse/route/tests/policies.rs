//! How long requests may take, and when they are sent again.

use super::*;

#[test]
fn timeouts_are_read_and_checked() {
    let seconds = |s| Some(Duration::from_secs(s));
    let table = one(action(|a| {
        a.idle_timeout = duration(3);
        a.max_stream_duration = Some(rds::route_action::MaxStreamDuration {
            max_stream_duration: duration(4),
            grpc_timeout_header_max: duration(5),
            grpc_timeout_header_offset: duration(6),
        });
    }))
    .unwrap();
    let found = &table.routes()[0].timeouts;
    assert_eq!((found.route, found.idle), (seconds(15), seconds(3)));
    assert_eq!(
        (found.max_stream_duration, found.grpc_timeout_header_max),
        (seconds(4), seconds(5))
    );
    assert_eq!(found.grpc_timeout_header_offset, seconds(6));
    assert_eq!(path(action(|a| a.timeout = duration(-1))), "route.timeout");
    assert_eq!(path(action(|a| a.idle_timeout = duration(-1))), "route.idle_timeout");
    let stream = |change: fn(&mut rds::route_action::MaxStreamDuration)| {
        let mut message = rds::route_action::MaxStreamDuration::default();
        change(&mut message);
        path(action(|a| a.max_stream_duration = Some(message)))
    };
    let at = "route.max_stream_duration";
    assert_eq!(
        stream(|m| m.max_stream_duration = duration(-1)),
        format!("{at}.max_stream_duration")
    );
    assert_eq!(
        stream(|m| m.grpc_timeout_header_max = duration(-1)),
        format!("{at}.grpc_timeout_header_max")
    );
    assert_eq!(
        stream(|m| m.grpc_timeout_header_offset = duration(-1)),
        format!("{at}.grpc_timeout_header_offset")
    );
}

#[test]
fn retry_policies_are_checked() {
    let why = |num, backoff: Option<(Option<_>, Option<_>)>| {
        let retry = |(base_interval, max_interval)| rds::retry_policy::RetryBackOff {
            base_interval,
            max_interval,
        };
        let policy = rds::RetryPolicy {
            num_retries: u32v(num),
            retry_back_off: backoff.map(retry),
            ..Default::default()
        };
        path(action(|a| a.retry_policy = Some(policy)))
    };
    assert_eq!(why(0, None), "route.retry_policy.num_retries");
    let at = "route.retry_policy.retry_back_off";
    assert_eq!(why(1, Some((None, None))), format!("{at}.base_interval"));
    assert_eq!(why(1, Some((duration(0), None))), format!("{at}.base_interval"));
    assert_eq!(why(1, Some((duration(2), duration(0)))), format!("{at}.max_interval"));
    assert_eq!(why(1, Some((duration(2), duration(1)))), format!("{at}.max_interval"));
    let mut message = routes("r", vec![]);
    let policy = rds::RetryPolicy { num_retries: u32v(0), ..Default::default() };
    message.virtual_hosts[0].retry_policy = Some(policy);
    assert_eq!(&*parse(&message).unwrap_err().path, "virtual_hosts[0].retry_policy.num_retries");
}

#[test]
fn metadata_of_a_route_says_what_xds_has_no_field_for() {
    let text = |text: &str| protobuf::value::Kind::StringValue(text.into());
    let with = |name: &str, kind, has_policy: bool| {
        let value = protobuf::Value { kind: Some(kind) };
        let fields = protobuf::Struct { fields: [(name.to_owned(), value)].into() };
        one(|route| {
            let filter_metadata = [("mesh.retry".to_owned(), fields)].into();
            route.metadata = Some(core::Metadata { filter_metadata, ..Default::default() });
            let policy = has_policy.then(rds::RetryPolicy::default);
            action(|a| a.retry_policy = policy)(route);
        })
    };
    let policy = |name, word| {
        let table = with(name, text(word), true).unwrap();
        let Action::Forward(forward) = first(&table) else { panic!("{table:?}") };
        let policy = forward.retry.clone().unwrap();
        (policy.of_retries, policy.methods)
    };
    assert_eq!(policy("of_retries", "once"), (OfRetries::Once, Methods::All));
    assert_eq!(policy("of_retries", "retry"), (OfRetries::Retry, Methods::All));
    assert_eq!(policy("methods", "idempotent"), (OfRetries::Retry, Methods::Idempotent));
    let refused = |name, kind, has_policy| {
        let path = with(name, kind, has_policy).unwrap_err().path;
        path.split_once("metadata").unwrap().1.to_owned()
    };
    let at = "[\"mesh.retry\"]";
    assert!(refused("of_retries", text("once"), false).ends_with(at));
    for (name, kind) in [
        ("of_retries", text("twice")),
        ("of_retries", protobuf::value::Kind::BoolValue(true)),
        ("of_retry", text("once")),
    ] {
        let path = refused(name, kind, true);
        assert!(path.ends_with(&format!("fields[\"{name}\"]")), "{path}");
    }
}

#[test]
fn policies_of_routes_come_before_those_of_virtual_hosts() {
    let policy =
        |retry_on: &str| Some(rds::RetryPolicy { retry_on: retry_on.into(), ..Default::default() });
    let table = |host: Option<rds::RetryPolicy>, own: Option<rds::RetryPolicy>| {
        let mut message = routes("r", vec![route("/", to("c"))]);
        let virtual_host = &mut message.virtual_hosts[0];
        virtual_host.retry_policy = host;
        virtual_host.hedge_policy =
            Some(rds::HedgePolicy { hedge_on_per_try_timeout: true, ..Default::default() });
        virtual_host.include_request_attempt_count = true;
        virtual_host.include_attempt_count_in_response = own.is_some();
        action(|a| a.retry_policy = own)(&mut virtual_host.routes[0]);
        parse(&message).unwrap()
    };
    let forward = |table: &Table| {
        let Action::Forward(forward) = first(table) else { panic!("{table:?}") };
        forward.clone()
    };
    let retry_on = |host, own| {
        let retry = forward(&table(host, own)).retry;
        retry.map(|policy| policy.conditions.to_string())
    };
    assert_eq!(retry_on(None, None), None);
    assert_eq!(retry_on(policy("5xx"), None).as_deref(), Some("5xx"));
    assert_eq!(retry_on(policy("5xx"), policy("reset")).as_deref(), Some("reset"));
    // One that allows nothing is one all the same (gRFC A44).
    assert_eq!(retry_on(policy("5xx"), policy("")).as_deref(), Some(""));
    let found = forward(&table(None, None));
    assert_eq!(found.counted, Counted::Included);
    assert_eq!(found.counted_in_response, Counted::Plain);
    let found = forward(&table(None, policy("5xx")));
    assert_eq!(found.counted_in_response, Counted::Included);
    assert_eq!(found.hedge.map(|hedge| hedge.delay), Some(mesh_core::hedge::Delay::PerTryTimeout));
    let none = rds::HedgePolicy { initial_requests: u32v(0), ..Default::default() };
    let at = "route.hedge_policy.initial_requests";
    assert_eq!(path(action(|a| a.hedge_policy = Some(none))), at);
}

#[test]
fn priorities_of_routes_are_read() {
    use mesh_core::request::RoutingPriority;
    let found = |priority| {
        let table = one(action(|a| a.priority = priority)).unwrap();
        let Action::Forward(forward) = first(&table) else { panic!("{table:?}") };
        forward.priority
    };
    assert_eq!((found(0), found(1)), (RoutingPriority::Default, RoutingPriority::High));
    assert_eq!(path(action(|a| a.priority = 2)), "route.priority");
}
