//! What becomes of header fields by the rules of a listener and its routes.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use mesh_core::matcher::PathMatcher;
use mesh_core::route::{
    Action, FieldChanges, FieldRules, NewField, Placing, Route, RouteMatch, Table, VirtualHost,
};
use mesh_core::snapshot::{Connections, Routes, Underscores};

use super::kit::{App, Kit, ask, get, say};

/// Says which fields of a request that begin with `x` it has seen.
fn telling() -> App {
    App::new(|request: Request<_>| async move {
        let seen = request.headers().iter().filter(|(name, _)| name.as_str().starts_with('x'));
        let seen = seen.map(|(name, value)| format!("{name}={} ", value.to_str().unwrap()));
        let mut seen: Vec<_> = seen.collect();
        seen.sort_unstable();
        let mut response = Response::new(crate::full(seen.concat() + "end"));
        response.headers_mut().insert("x-server", HeaderValue::from_static("secret"));
        response
    })
}

fn with(fields: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = get("/");
    for (name, value) in fields {
        request.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    request
}

#[tokio::test]
async fn routes_change_what_the_application_and_the_client_see() {
    let remove = |name: &'static str| vec![HeaderName::from_static(name)];
    let add = vec![NewField {
        name: HeaderName::from_static("x-added"),
        value: HeaderValue::from_static("by-route"),
        placing: Placing::Overwrite,
    }];
    let rules = FieldRules {
        request: vec![FieldChanges { remove: remove("x-user"), add: add.clone() }],
        response: vec![FieldChanges { remove: remove("x-server"), add }],
    };
    let mut route = Route::new(RouteMatch::new(PathMatcher::prefix("")), Action::NonForwarding);
    route.fields = Some(Arc::new(rules));
    let mut table = Table::builder();
    table.virtual_host(VirtualHost::new("v", &["*"]).route(route));
    let kit = Kit::serving(telling());
    kit.publish(1, Routes::new(Arc::new(table.build().unwrap()), &[], None));
    let (sender, _) = kit.h2().await;
    let asked = with(&[("x-user", "root"), ("x-added", "forged"), ("x-other", "kept")]);
    let seen = ask(&sender, asked).await.unwrap();
    assert_eq!(seen.body, "x-added=by-route x-other=kept end");
    let fields =
        |headers: &HeaderMap| ["x-server", "x-added"].map(|name| headers.get(name).cloned());
    assert_eq!(fields(&seen.headers), [None, Some(HeaderValue::from_static("by-route"))]);
}

#[tokio::test]
async fn underscores_in_names_are_what_the_listener_says() {
    for (underscores, status, body) in [
        (Underscores::Allow, 200, "x-a=1 x_a=2 end"),
        (Underscores::Drop, 200, "x-a=1 end"),
        (Underscores::Refuse, 400, "the name of a header field has an underscore"),
    ] {
        let kit = Kit::serving(telling());
        kit.publish_bounded(2, Connections { underscores, ..Connections::default() });
        let (sender, _) = kit.h2().await;
        let seen = ask(&sender, with(&[("x-a", "1"), ("x_a", "2")])).await.unwrap();
        assert_eq!((seen.status.as_u16(), &*seen.body), (status, body.as_bytes()));
        let clean = ask(&sender, with(&[("x-a", "1")])).await.unwrap();
        assert_eq!(clean.body, "x-a=1 end");
    }
}

#[tokio::test]
async fn requests_with_too_many_fields_are_refused() {
    let kit = Kit::serving(telling());
    let max_header_fields = Some(3);
    kit.publish_bounded(2, Connections { max_header_fields, ..Connections::default() });
    let (sender, _) = kit.h2().await;
    let fields = [("x-a", "1"), ("x-a", "2"), ("x-b", "3"), ("x-c", "4")];
    assert_eq!(ask(&sender, with(&fields[..3])).await.unwrap().status, 200);
    assert_eq!(ask(&sender, with(&fields)).await.unwrap().status, 431);
    let (mut io, _) = kit.connect();
    let request = "GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\r\nx-a: 2\r\n\r\n";
    assert!(say(&mut io, request, "end").await.starts_with("HTTP/1.1 200"));
    let (mut io, _) = kit.connect();
    let request = "GET / HTTP/1.1\r\nhost: a\r\nx-a: 1\r\nx-a: 2\r\nx-b: 3\r\n\r\n";
    assert!(say(&mut io, request, "\r\n\r\n").await.starts_with("HTTP/1.1 431"));
}
