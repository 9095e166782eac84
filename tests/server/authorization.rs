//! Servers that ask an authorization service, in either of its forms, over real connections.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use http::{HeaderMap, Request};
use mesh_hyper::{Client, Mesh, Server};
use mesh_tests::Control;
use mesh_xds::testing::{Authorization, Permission};

use crate::kit::{SERVED, Served, bootstrap, inline, listener};

/// The forms, as the filter's configuration has them.
const GRPC: &str = "grpc_service: { envoy_grpc: { cluster_name: beside }, timeout: 5s }";
const HTTP: &str = r#"http_service:
              path_prefix: /check
              server_uri: { uri: "http://authz.test", cluster: beside, timeout: 5s }
              authorization_response:
                allowed_upstream_headers: { patterns: [{ exact: x-user }] }"#;

/// Says who has sent the request and what.
async fn echo(headers: HeaderMap, body: Bytes) -> String {
    let text = |name| headers.get(name).map_or("-", |value| value.to_str().unwrap());
    let body = String::from_utf8_lossy(&body);
    format!("{} {} {body}", text("x-user"), text("x-secret"))
}

/// A server whose filter is configured with `form` and `more`, and asks `address`.
async fn guarded(form: &str, more: &str, address: std::net::SocketAddr) -> (Control, Served) {
    let control = Control::start().await.unwrap();
    let mesh = Mesh::builder().bootstrap(bootstrap(&control)).build().unwrap();
    let server = Server::bind(&mesh, "127.0.0.1:0").await.unwrap();
    let app = Router::new().fallback(echo).with_state(());
    let mut served = Served::run(mesh, server, |server| tokio::spawn(server.serve(app)));
    let filter = format!(
        r#"        http_filters:
        - name: ask
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
            transport_api_version: V3
            {more}
            {form}
"#
    );
    let listener = listener(served.port, served.port, &inline(SERVED));
    let listener = listener.replace("        http_filters:\n", &filter);
    let (ip, port) = (address.ip(), address.port());
    control
        .push(&format!(
            r#"{listener}
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: beside
  type: STATIC
  load_assignment:
    cluster_name: beside
    endpoints:
    - lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: {{ address: {ip}, port_value: {port} }} }} }} }}]
"#
        ))
        .unwrap();
    served.serving().await;
    (control, served)
}

/// What comes of sending `body` in a request that says it is from `forged`, with a secret.
async fn posted(served: &Served, body: &'static str) -> (u16, HeaderMap, String) {
    let client = Client::new(&Mesh::disabled().unwrap());
    let request = Request::post(format!("http://127.0.0.1:{}/a?b=c", served.port))
        .header("x-user", "forged")
        .header("x-secret", "s")
        .body(mesh_hyper::full(body))
        .unwrap();
    let response = client.request(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, response.text().await.unwrap())
}

/// An address at which nobody listens.
async fn nobody() -> std::net::SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn the_service_lets_pass_changes_and_denies() {
    for (form, path) in [(GRPC, "/a?b=c"), (HTTP, "/check/a?b=c")] {
        let service = Authorization::new();
        let address = service.listen("127.0.0.1:0").await.unwrap();
        let (_control, served) = guarded(form, "", address).await;
        assert_eq!(posted(&served, "text").await.2, "forged s text");
        let asked = service.asked();
        assert_eq!((asked.len(), &*asked[0].method, &*asked[0].path), (1, "POST", path));
        assert!(asked[0].body.is_empty());

        service.answer(Permission::allowed().header("x-user", "me").without("x-secret"));
        assert_eq!(posted(&served, "text").await.2, "me - text");

        let challenge = Permission::denied(401).header("www-authenticate", "Basic").body("who?");
        service.answer(challenge);
        let (status, headers, body) = posted(&served, "text").await;
        assert_eq!(
            (status, &*body, &headers["www-authenticate"]),
            (401, "who?", &"Basic".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn without_an_answer_nobody_passes_unless_they_may() {
    for form in [GRPC, HTTP] {
        let form = &form.replace("timeout: 5s", "timeout: 0.1s");
        for (more, status) in
            [("", 403), ("status_on_error: { code: 503 }", 503), ("failure_mode_allow: true", 200)]
        {
            let (_control, served) = guarded(form, more, nobody().await).await;
            assert_eq!(posted(&served, "").await.0, status, "down: {more}");
            let service = Authorization::new();
            let address = service.listen("127.0.0.1:0").await.unwrap();
            let (_control, served) = guarded(form, more, address).await;
            service.answer(Permission::broken());
            assert_eq!(posted(&served, "").await.0, status, "broken: {more}");
            service.answer(Permission::allowed());
            service.delay(Duration::from_secs(3600));
            assert_eq!(posted(&served, "").await.0, status, "slow: {more}");
        }
    }
}

#[tokio::test]
async fn the_service_sees_bodies_and_the_application_gets_them_whole() {
    for form in [GRPC, HTTP] {
        let service = Authorization::new();
        let address = service.listen("127.0.0.1:0").await.unwrap();
        let cut = "with_request_body: { max_request_bytes: 4, allow_partial_message: true }";
        let (_control, served) = guarded(form, cut, address).await;
        for (body, seen, is_partial) in [("abc", "abc", "false"), ("abcdef", "abcd", "true")] {
            assert_eq!(posted(&served, body).await.2, format!("forged s {body}"));
            let asked = service.asked();
            assert_eq!(asked[0].body, seen);
            assert_eq!(asked[0].headers["x-envoy-auth-partial-body"], is_partial);
        }
        let whole = "with_request_body: { max_request_bytes: 4, pack_as_bytes: true }";
        let (_control, served) = guarded(form, whole, address).await;
        assert_eq!(posted(&served, "abcd").await.2, "forged s abcd");
        assert_eq!(service.asked()[0].body, "abcd");
        let (status, _, body) = posted(&served, "abcde").await;
        assert_eq!((status, &*body), (413, "Payload Too Large"));
        assert!(service.asked().is_empty());
    }
}
