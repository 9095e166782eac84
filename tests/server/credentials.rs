//! Tokens, an authorization service and rules, one after the other, under a real control plane.

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_tests::{Control, EchoClient, Message, service};
use mesh_tonic::Channel;
use tokio::net::TcpListener;
use tonic::Code;

use crate::kit::{SERVED, Served, inline, listener};

/// The key with which the tokens here were signed once. They do not expire.
const KEYS: &str = r#"{"keys": [{"kty": "EC", "crv": "P-256", "kid": "k",
    "x": "BsIO8ya8LARl_2lV-0aNueCD-nl8cNePEUo-fSlppBo",
    "y": "uZxkN3yoX4nFZYmkEkZ63dBu-1JmKvoDOEnyKuuc8jQ"}]}"#;

/// `{"iss":"https://issuer.test","aud":"echo","sub":"alice"}`
const ALICE: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.",
    "eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0IiwiYXVkIjoiZWNobyIsInN1YiI6ImFsaWNlIn0.",
    "aJjg-LfdwQ3iMliKvTQJ-wz2Z9Un4HQkGDm1cZeCpDtnvtBRClI0vnmQmZ58CzQCkOdOYtRYu2VInOK-gvaLHA"
);

/// The same with the subject `mallory`.
const MALLORY: &str = concat!(
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.",
    "eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0IiwiYXVkIjoiZWNobyIsInN1YiI6Im1hbGxvcnkifQ.",
    "hVuz-aClRYhdgBdqXJEH5SFntD37axhM2olPc-tTQXwBByJABLmf7gVQZ4vh9Amgu7XGcMlTzJCkP2Tgsx--RA"
);

/// Filters that want a token, ask whether its subject may, and judge by its audience.
const FILTERS: &str = r#"        http_filters:
        - name: jwt
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
            providers:
              issuer:
                issuer: https://issuer.test
                audiences: [echo]
                payload_in_metadata: payload
                claim_to_headers: [{ header_name: x-subject, claim_name: sub }]
                remote_jwks: { http_uri: { uri: "http://issuer.test/keys", cluster: beside, timeout: 5s } }
            rules: [{ match: { prefix: / }, requires: { provider_name: issuer } }]
        - name: ask
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
            transport_api_version: V3
            allowed_headers: { patterns: [{ exact: x-subject }] }
            http_service:
              path_prefix: /check
              server_uri: { uri: "http://authz.test", cluster: beside, timeout: 5s }
        - name: rbac
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
            rules:
              action: ALLOW
              policies:
                echo:
                  permissions: [{ any: true }]
                  principals:
                  - metadata:
                      filter: envoy.filters.http.jwt_authn
                      path: [{ key: payload }, { key: aud }]
                      value: { string_match: { exact: echo } }
"#;

/// Serves keys, and lets Alice pass.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<bytes::Bytes>>, http::Error> {
    let subject = request.headers().get("x-subject").map(|value| value.as_bytes());
    match (request.uri().path(), subject) {
        ("/keys", None) => Response::builder().body(KEYS.into()),
        ("/check/test.Echo/Say", Some(b"alice")) => Response::builder().body("".into()),
        _ => Response::builder().status(StatusCode::FORBIDDEN).body("not you".into()),
    }
}

/// A cluster called `beside` of one server that gives [`answer`]s.
async fn beside() -> String {
    let sockets = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = sockets.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((io, _)) = sockets.accept().await {
            let connection = http2::Builder::new(TokioExecutor::new());
            tokio::spawn(connection.serve_connection(TokioIo::new(io), service_fn(answer)));
        }
    });
    cluster(&format!(
        "{{ lb_endpoints: [{{ endpoint: {{ address: {{ socket_address: \
         {{ address: 127.0.0.1, port_value: {port} }} }} }} }}] }}"
    ))
}

/// A cluster called `beside` with these endpoints.
fn cluster(endpoints: &str) -> String {
    format!(
        r#"
- "@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
  name: beside
  type: STATIC
  load_assignment: {{ cluster_name: beside, endpoints: [{endpoints}] }}
"#
    )
}

async fn say(
    client: &mut EchoClient<Channel>,
    token: Option<&str>,
) -> Result<String, (Code, String)> {
    let mut request = tonic::Request::new(Message::default());
    if let Some(token) = token {
        let token = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", token);
    }
    // Claims are what the token says, whatever the client does.
    request.metadata_mut().insert("x-subject", "alice".parse().unwrap());
    let answer = client.call("/test.Echo/Say", request).await;
    answer
        .map(|answer| answer.into_inner().text)
        .map_err(|status| (status.code(), status.message().to_owned()))
}

#[tokio::test]
async fn a_request_needs_its_token_the_service_and_the_rules() {
    let control = Control::start().await.unwrap();
    let mut served = Served::start(&control, service("one")).await;
    let listener = listener(served.port, served.port, &inline(SERVED));
    let listener = listener.replace("        http_filters:\n", FILTERS);
    control.push(&format!("{listener}{}", beside().await)).unwrap();
    served.serving().await;
    let mut client = served.client();
    let refused = |code, why: &str| Err((code, why.to_owned()));
    let missing = refused(Code::Unauthenticated, "Jwt is missing");
    assert_eq!(say(&mut client, None).await, missing);
    assert_eq!(say(&mut client, Some(ALICE)).await, Ok("one".to_owned()));
    let denied = refused(Code::PermissionDenied, "not you");
    assert_eq!(say(&mut client, Some(MALLORY)).await, denied);
    let forged = ALICE.replace("eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.", "eyJhbGciOiJub25lIn0.");
    let unsupported = refused(Code::Unauthenticated, "Jwt header [alg] is not supported");
    assert_eq!(say(&mut client, Some(&forged)).await, unsupported);
}

#[tokio::test]
async fn while_those_that_filters_ask_cannot_be_reached_nobody_passes() {
    let control = Control::start().await.unwrap();
    let mut served = Served::start(&control, service("one")).await;
    let listener = listener(served.port, served.port, &inline(SERVED));
    let listener = listener.replace("        http_filters:\n", FILTERS);
    control.push(&format!("{listener}{}", cluster(""))).unwrap();
    served.serving().await;
    let fetch = Err((Code::Unauthenticated, "Jwks remote fetch is failed".to_owned()));
    assert_eq!(say(&mut served.client(), Some(ALICE)).await, fetch);
}
