//! An HTTP service.

use std::time::Duration;

use http::{Method, StatusCode};
use mesh_core::filter::Step;
use mesh_core::side::{Encoding, Reply};

use super::kit::{NAMESPACE, Way, filter, plain};

#[test]
fn an_http_service_is_asked_by_a_request_like_the_one_it_is_about() {
    let filter = filter(&plain());
    let mut way = Way::new(&[
        ("authorization", "A"),
        ("x-a", "1"),
        ("content-length", "5"),
        ("x-user", "forged"),
    ]);
    let call = way.call(&*filter);
    assert_eq!((&*call.authority, &*call.path), ("host", "/check/a/b?c=d"));
    assert_eq!(
        (call.encoding, call.timeout),
        (Encoding::Http(Method::PUT), Duration::from_secs(1))
    );
    assert_eq!((call.headers.len(), &call.headers["authorization"]), (2, &"A".parse().unwrap()));
    assert_eq!(call.headers["content-length"], "0");
    let answered = |status: u16, headers: &[(&'static str, &str)]| {
        let headers = Way::new(headers).headers;
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Reply { status, headers, message: "body".into() })
    };
    let all = [
        ("x-user", "me"),
        ("x-group", "g"),
        ("x-seen", "yes"),
        ("x-other", "o"),
        ("x-note", "n"),
        ("x-envoy-auth-headers-to-remove", "x-a, host"),
    ];
    let step = way.poll(&*filter, Some(answered(200, &all)));
    assert!(matches!(step, Step::Continue));
    assert_eq!(
        (&way.headers["x-user"], &way.headers["x-group"]),
        (&"me".parse().unwrap(), &"g".parse().unwrap())
    );
    assert!(!way.headers.contains_key("x-other") && !way.headers.contains_key("x-a"));
    assert_eq!(way.metadata.find(NAMESPACE, &["x-note"]), Some(&"n".into()));
    let challenge = [("www-authenticate", "Basic"), ("x-other", "o")];
    let denied = Way::new(&[]).after(&*filter, answered(401, &challenge)).unwrap();
    assert_eq!(
        (denied.status.as_u16(), &*denied.body, denied.headers.len()),
        (401, &b"body"[..], 1)
    );
    // A redirect is an answer like any other; a fault of the service's own is none.
    assert_eq!(Way::new(&[]).after(&*filter, answered(302, &[])).unwrap().status, 302);
    assert_eq!(Way::new(&[]).after(&*filter, answered(500, &[])).unwrap().status, 403);
    assert_eq!(Way::new(&[]).after(&*filter, answered(204, &[])).unwrap().status, 204);
}
