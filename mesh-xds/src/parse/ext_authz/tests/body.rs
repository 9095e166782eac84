//! Requests whose body the service sees.

use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::ext_authz_per_route::Override;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::{
    BufferSettings, CheckSettings, ExtAuthz, ExtAuthzPerRoute,
};
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use mesh_core::filter::{Beginning, Factory, Filter, Step};
use mesh_core::side::Call;
use prost::Message;

use super::kit::{Way, filter, grpc, plain};
use crate::parse::ext_authz::ExtAuthzFactory;

/// At most four bytes.
fn buffered(message: ExtAuthz, allow_partial_message: bool, pack_as_bytes: bool) -> ExtAuthz {
    let body = BufferSettings { max_request_bytes: 4, allow_partial_message, pack_as_bytes };
    ExtAuthz { with_request_body: Some(body), ..message }
}

fn start(bytes: &'static [u8], is_whole: bool) -> Option<Beginning> {
    Some(Beginning { bytes: Bytes::from_static(bytes), is_whole })
}

/// How many bytes `filter` waits for, and what it asks when there is `body`.
fn asked(filter: &dyn Filter, body: Option<Beginning>) -> (usize, Call) {
    let mut way = Way::new(&[("x-envoy-auth-partial-body", "forged")]);
    let step = way.poll(filter, None);
    let Step::Body { up_to } = step else { panic!("waits for the body: {step:?}") };
    let step = way.poll_with(filter, None, body);
    let Step::Ask(call) = step else { panic!("asks: {step:?}") };
    (up_to, *call)
}

fn seen(call: Call) -> HttpRequest {
    let attributes = CheckRequest::decode(call.message).unwrap().attributes.unwrap();
    attributes.request.unwrap().http.unwrap()
}

#[test]
fn a_grpc_service_sees_the_body_as_text_or_as_bytes() {
    const PARTIAL: &str = "x-envoy-auth-partial-body";
    for (is_cut, as_bytes, up_to) in
        [(false, false, 5), (false, true, 5), (true, false, 4), (true, true, 4)]
    {
        let filter = filter(&buffered(grpc(), is_cut, as_bytes));
        let (waits, call) = asked(&*filter, start(b"a\xffb", true));
        let http = seen(call);
        let (text, raw): (&str, &[u8]) = if as_bytes { ("", b"a\xffb") } else { ("a!b", b"") };
        assert_eq!((waits, &*http.body, &*http.raw_body), (up_to, text, raw));
        assert_eq!(http.headers[PARTIAL], "false");
        let http = seen(asked(&*filter, start(b"", true)).1);
        assert!(http.body.is_empty() && !http.headers.contains_key(PARTIAL));
    }
    // Cut, and said to be; also where nobody knows yet whether there is more.
    let filter = filter(&buffered(grpc(), true, false));
    for (body, is_whole) in [(&b"abcdef"[..], true), (b"abcdef", false), (b"abcd", false)] {
        let http = seen(asked(&*filter, start(body, is_whole)).1);
        assert_eq!((&*http.body, &*http.headers[PARTIAL]), ("abcd", "true"));
    }
}

#[test]
fn an_http_service_gets_the_body() {
    let filter = filter(&buffered(plain(), true, false));
    for (body, sent, is_partial) in [
        (&b"\xff\n"[..], &b"\xff\n"[..], Some("false")),
        (b"abcdef", b"abcd", Some("true")),
        (b"", b"", None),
    ] {
        let (_, call) = asked(&*filter, start(body, true));
        assert_eq!(&*call.message, sent);
        assert_eq!(call.headers["content-length"], sent.len().to_string());
        let said = call.headers.get("x-envoy-auth-partial-body");
        assert_eq!(said.map(|value| value.to_str().unwrap()), is_partial);
    }
}

#[test]
fn longer_bodies_are_refused_whatever_passes_without_an_answer() {
    let mut message = buffered(grpc(), false, false);
    message.failure_mode_allow = true;
    let filter = filter(&message);
    assert_eq!(seen(asked(&*filter, start(b"abcd", true)).1).body, "abcd");
    let mut way = Way::new(&[]);
    way.poll(&*filter, None);
    let step = way.poll_with(&*filter, None, start(b"abcde", false));
    let Step::Respond(response) = step else { panic!("answers: {step:?}") };
    assert_eq!((response.status.as_u16(), &*response.body), (413, &b"Payload Too Large"[..]));
}

#[test]
fn tunnels_have_no_body_to_wait_for() {
    let filter = filter(&buffered(grpc(), false, false));
    let step = Way::new(&[("upgrade", "websocket")]).poll(&*filter, None);
    assert!(matches!(step, Step::Ask(_)), "{step:?}");
}

#[test]
fn routes_have_the_last_word_and_add_to_what_is_said() {
    let factory = ExtAuthzFactory;
    let base = factory.parse(&buffered(grpc(), false, false).encode_to_vec()).unwrap();
    let own = |extension: &str, change: fn(&mut CheckSettings)| {
        let mut settings = CheckSettings::default();
        settings.context_extensions.insert("all".into(), extension.into());
        settings.context_extensions.insert(extension.into(), String::new());
        change(&mut settings);
        let own = ExtAuthzPerRoute { r#override: Some(Override::CheckSettings(settings)) };
        factory.parse_override(&own.encode_to_vec()).unwrap()
    };
    let more = own("more", |settings| {
        let body = BufferSettings { max_request_bytes: 9, ..BufferSettings::default() };
        settings.with_request_body = Some(body);
    });
    let none = own("none", |settings| settings.disable_request_body_buffering = true);
    let built = |overrides: &[Arc<_>]| factory.build(&base, overrides);
    assert_eq!(asked(&*built(&[none.clone(), more.clone()]), start(b"", true)).0, 10);
    assert_eq!(asked(&*built(&[own("same", |_| {})]), start(b"", true)).0, 5);
    let call = Way::new(&[]).call(&*built(&[more, none]));
    let extensions = CheckRequest::decode(call.message).unwrap().attributes.unwrap();
    let mut said: Vec<_> = extensions.context_extensions.into_iter().collect();
    said.sort();
    let said: Vec<_> = said.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(said, [("all", "none"), ("more", ""), ("none", "")]);
}
