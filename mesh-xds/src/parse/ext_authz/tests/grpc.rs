//! A gRPC service.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{RuntimeFeatureFlag, RuntimeFractionalPercent};
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::ext_authz_per_route::Override;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::{
    CheckSettings, ExtAuthzPerRoute,
};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::r#type::v3::{FractionalPercent, HttpStatus};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{BoolValue, Struct, Value};
use http::{HeaderMap, StatusCode};
use mesh_core::filter::{Factory, Step};
use mesh_core::metadata::Fields;
use mesh_core::side::{Encoding, Failure, Reply};
use prost::Message;

use super::kit::{NAMESPACE, Way, filter, grpc, names, option, reply, said};
use crate::parse::ext_authz::ExtAuthzFactory;

#[test]
fn the_service_is_told_what_envoy_tells_it() {
    let mut message = grpc();
    message.metadata_context_namespaces = vec!["jwt".into(), "none".into()];
    message.disallowed_headers = Some(names(&["x-secret"]));
    let factory = ExtAuthzFactory;
    let base = factory.parse(&message.encode_to_vec()).unwrap();
    let extensions = HashMap::from([("k".to_owned(), "v".to_owned())]);
    let settings = CheckSettings { context_extensions: extensions, ..CheckSettings::default() };
    let own = ExtAuthzPerRoute { r#override: Some(Override::CheckSettings(settings)) };
    let own = factory.parse_override(&own.encode_to_vec()).unwrap();
    let filter = factory.build(&base, &[own]);
    assert_eq!(factory.clusters(&base), ["authz".into()]);
    let mut way = Way::new(&[("x-a", "1"), ("x-secret", "s"), ("x-request-id", "id")]);
    way.headers.append("x-a", "2".parse().unwrap());
    way.metadata.add("jwt", Fields::from_iter([("sub", "me".into())])).unwrap();
    let call = way.call(&*filter);
    assert_eq!(
        (&*call.cluster, &*call.path),
        ("authz", "/envoy.service.auth.v3.Authorization/Check")
    );
    assert_eq!((call.encoding, call.timeout), (Encoding::Grpc, Duration::from_millis(200)));
    let attributes = CheckRequest::decode(call.message).unwrap().attributes.unwrap();
    assert_eq!(attributes.context_extensions["k"], "v");
    assert_eq!(attributes.source.unwrap().principal, "spiffe://td/a");
    let context = attributes.metadata_context.unwrap().filter_metadata;
    assert_eq!(context.keys().collect::<Vec<_>>(), ["jwt"]);
    let request = attributes.request.unwrap();
    assert_eq!(request.time.unwrap().seconds, 1_000);
    let http = request.http.unwrap();
    let seen = (&*http.method, &*http.path, &*http.host, &*http.id, http.size);
    assert_eq!(seen, ("PUT", "/a/b?c=d", "host", "id", -1));
    assert_eq!((&*http.headers["x-a"], &*http.headers[":path"]), ("1,2", "/a/b?c=d"));
    assert!(!http.headers.contains_key("x-secret"));
}

#[test]
fn allowed_requests_are_changed_as_the_service_says() {
    let filter = filter(&grpc());
    let ok = OkHttpResponse {
        headers: vec![
            option("x-user", "me", None, 0),
            option("x-more", "2", Some(true), 0),
            option("x-absent", "new", None, 1),
            option("x-there", "no", None, 1),
            option("host", "evil", None, 0),
            option(":path", "/evil", None, 0),
            option("x-bad", "a\nb", None, 0),
        ],
        headers_to_remove: vec!["x-gone".into(), "host".into(), ":method".into()],
        response_headers_to_add: vec![option("x-seen", "yes", None, 0)],
        ..OkHttpResponse::default()
    };
    let mut answer = said(0, Some(HttpResponse::OkResponse(ok)));
    let value = Value { kind: Some(Kind::StringValue("gold".into())) };
    answer.dynamic_metadata = Some(Struct { fields: HashMap::from([("tier".into(), value)]) });
    let sent =
        [("x-user", "forged"), ("x-more", "1"), ("x-there", "t"), ("x-gone", "g"), ("host", "h")];
    let mut way = Way::new(&sent);
    assert_eq!(way.after(&*filter, reply(&answer)), None);
    let all = |name: &str| {
        way.headers.get_all(name).iter().map(|it| it.to_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((all("x-user"), all("x-more")), (vec!["me"], vec!["1", "2"]));
    assert_eq!((all("x-absent"), all("x-there")), (vec!["new"], vec!["t"]));
    assert_eq!((all("x-gone").len(), all("host"), all("x-bad").len()), (0, vec!["h"], 0));
    assert_eq!(way.metadata.find(NAMESPACE, &["tier"]), Some(&"gold".into()));
    let mut headers = HeaderMap::new();
    filter.on_response(&mut way.slot, StatusCode::OK, &mut headers);
    assert_eq!(headers["x-seen"], "yes");
}

#[test]
fn changes_that_cannot_be_are_errors_where_they_are_looked_at() {
    let mut message = grpc();
    message.validate_mutations = true;
    let filter = filter(&message);
    for name in [":path", "host", "a b", "transfer-encoding"] {
        let ok = OkHttpResponse {
            headers: vec![option(name, "x", None, 0)],
            ..OkHttpResponse::default()
        };
        let answer = reply(&said(0, Some(HttpResponse::OkResponse(ok))));
        let response = Way::new(&[]).after(&*filter, answer).unwrap();
        assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR, "{name}");
    }
}

#[test]
fn denied_requests_are_answered_as_the_service_says() {
    let mut message = grpc();
    message.max_denied_response_body_bytes = 4;
    let filter = filter(&message);
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: 401 }),
        headers: vec![
            option("www-authenticate", "Basic", None, 0),
            option("content-length", "9", None, 0),
        ],
        body: "go away".into(),
    };
    let answer = reply(&said(7, Some(HttpResponse::DeniedResponse(denied.clone()))));
    let response = Way::new(&[]).after(&*filter, answer).unwrap();
    assert_eq!((response.status.as_u16(), response.grpc, &*response.body), (401, 16, &b"go a"[..]));
    assert_eq!(response.headers.len(), 1);
    // Whatever else it says beside it.
    for answer in [said(0, Some(HttpResponse::DeniedResponse(denied))), said(7, None)] {
        assert!(Way::new(&[]).after(&*filter, reply(&answer)).is_some());
    }
    let ok = HttpResponse::OkResponse(OkHttpResponse::default());
    let response = Way::new(&[]).after(&*filter, reply(&said(16, Some(ok)))).unwrap();
    assert_eq!((response.status.as_u16(), response.grpc), (403, 7));
    for code in [0, 100, 600, -1] {
        let status = Some(HttpStatus { code });
        let denied = DeniedHttpResponse { status, ..DeniedHttpResponse::default() };
        let answer = reply(&said(7, Some(HttpResponse::DeniedResponse(denied))));
        assert_eq!(Way::new(&[]).after(&*filter, answer).unwrap().status, 403, "{code}");
    }
}

#[test]
fn without_an_answer_requests_fail_unless_they_may_pass() {
    let failures = || {
        let query = OkHttpResponse {
            query_parameters_to_remove: vec!["c".into()],
            ..OkHttpResponse::default()
        };
        [
            Err(Failure::Timeout(Duration::from_millis(200))),
            Err(Failure::NoCluster("authz".into())),
            Err(Failure::Status { code: 14, message: String::new() }),
            reply(&CheckResponse::default()),
            reply(&said(0, Some(HttpResponse::OkResponse(query)))),
            reply(&said(0, Some(HttpResponse::ErrorResponse(DeniedHttpResponse::default())))),
            Ok(Reply {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
                message: "\u{1}x".into(),
            }),
        ]
    };
    let mut message = grpc();
    let closed = filter(&message);
    message.status_on_error = Some(HttpStatus { code: 503 });
    let chosen = filter(&message);
    message.failure_mode_allow = true;
    message.failure_mode_allow_header_add = true;
    let open = filter(&message);
    for failure in failures() {
        assert_eq!(Way::new(&[]).after(&*closed, failure.clone()).unwrap().status, 403);
        assert_eq!(Way::new(&[]).after(&*chosen, failure.clone()).unwrap().status, 503);
        let mut way = Way::new(&[]);
        assert_eq!(way.after(&*open, failure), None);
        assert_eq!(way.headers["x-envoy-auth-failure-mode-allowed"], "true");
    }
    // Nobody else may say so.
    let mut way = Way::new(&[("x-envoy-auth-failure-mode-allowed", "true")]);
    assert_eq!(way.after(&*open, reply(&said(0, None))), None);
    assert!(way.headers.is_empty());
}

#[test]
fn a_share_of_the_requests_may_be_asked_about() {
    let mut message = grpc();
    let none = FractionalPercent { numerator: 0, denominator: 0 };
    message.filter_enabled =
        Some(RuntimeFractionalPercent { default_value: Some(none), runtime_key: String::new() });
    assert!(matches!(Way::new(&[]).poll(&*filter(&message), None), Step::Continue));
    let flag = RuntimeFeatureFlag {
        default_value: Some(BoolValue { value: true }),
        runtime_key: "k".into(),
    };
    message.deny_at_disable = Some(flag);
    assert!(matches!(Way::new(&[]).poll(&*filter(&message), None), Step::Respond(_)));
    let off = ExtAuthzPerRoute { r#override: Some(Override::Disabled(true)) };
    let factory = ExtAuthzFactory;
    let off = factory.parse_override(&off.encode_to_vec()).unwrap();
    let base = factory.parse(&message.encode_to_vec()).unwrap();
    let filter = factory.build(&base, &[off]);
    assert!(matches!(Way::new(&[]).poll(&*filter, None), Step::Continue));
    // What is not its own configuration lets nothing through.
    for closed in [factory.build(&base, &[Arc::new(())]), factory.build(&(Arc::new(()) as _), &[])]
    {
        assert!(matches!(Way::new(&[]).poll(&*closed, None), Step::Respond(_)));
    }
}

#[test]
fn a_service_may_say_itself_what_its_errors_are_answered_with() {
    let error = DeniedHttpResponse {
        status: Some(HttpStatus { code: 502 }),
        headers: vec![option("x-why", "broken", None, 0)],
        body: "later".into(),
    };
    let own = || reply(&said(13, Some(HttpResponse::ErrorResponse(error.clone()))));
    let mut message = grpc();
    message.status_on_error = Some(HttpStatus { code: 503 });
    let response = Way::new(&[]).after(&*filter(&message), own()).unwrap();
    assert_eq!((response.status.as_u16(), &*response.body), (502, &b"later"[..]));
    assert_eq!(response.headers["x-why"], "broken");
    let bare = HttpResponse::ErrorResponse(DeniedHttpResponse::default());
    let response = Way::new(&[]).after(&*filter(&message), reply(&said(13, Some(bare)))).unwrap();
    assert_eq!(response.status, 503);
    message.failure_mode_allow = true;
    assert_eq!(Way::new(&[]).after(&*filter(&message), own()), None);
}

#[test]
fn what_is_removed_stays_away_and_what_cannot_be_is_no_error() {
    let mut message = grpc();
    message.validate_mutations = true;
    let removed = ["x-user", "host", ":path", "a b"].map(Into::into).to_vec();
    let ok = OkHttpResponse {
        headers: vec![option("x-user", "me", None, 0)],
        headers_to_remove: removed,
        ..OkHttpResponse::default()
    };
    let answer = reply(&said(0, Some(HttpResponse::OkResponse(ok))));
    let mut way = Way::new(&[("x-user", "forged"), ("host", "h")]);
    assert_eq!(way.after(&*filter(&message), answer), None);
    assert!(!way.headers.contains_key("x-user") && way.headers.contains_key("host"));
}
