//! Several tenants at one server.

use axum::Router;
use axum::routing::get;
use http::HeaderMap;
use mesh_hyper::{Mesh, Server, Tenancy, Tenant, TenantSource};
use mesh_tests::Control;
use mesh_xds::identity::DevCa;

use super::kit::{Caller, ask, feed, listener, strict};
use crate::kit::{Served, bootstrap};

/// Each tenant may ask for what is its own.
const POLICY: &str = "apiVersion: security.mesh.io/v1beta1
kind: AuthorizationPolicy
metadata: { name: own }
spec:
  action: ALLOW
  rules:
    - when:
        - { key: tenant, values: [red] }
        - { key: 'request.headers[x-data]', values: [red] }
    - when:
        - { key: tenant, values: [blue] }
        - { key: 'request.headers[x-data]', values: [blue] }
    - when:
        - { key: tenant, notValues: [red, blue] }
        - { key: 'request.headers[x-data]', values: [other] }
";

/// Whom the mesh says a request is of, and what it says itself.
async fn whose(tenant: Tenant, headers: HeaderMap) -> String {
    let said = headers.get("x-tenant").map_or("nothing", |value| value.to_str().unwrap());
    format!("{} says {said}", tenant.as_str())
}

/// The same in a file.
const SHORT: &str = "
---
version: mesh/v1
tenants:
  identity: 'spiffe://td/ns/{tenant}/**'
  header: { name: x-tenant, from: ['spiffe://td/gateway'] }
";

#[tokio::test]
async fn tenants_of_a_file_are_kept_apart_too() {
    kept_apart(&[POLICY, SHORT].concat(), None).await;
}

#[tokio::test]
async fn tenants_are_kept_apart_and_nobody_chooses_one() {
    let tenancy = Tenancy::new([
        TenantSource::identity("spiffe://td/ns/{tenant}/**").unwrap(),
        TenantSource::header("x-tenant", ["spiffe://td/gateway"]).unwrap(),
    ]);
    kept_apart(POLICY, Some(tenancy)).await;
}

async fn kept_apart(policies: &str, tenancy: Option<Tenancy>) {
    let (ca, control) = (DevCa::new("td").unwrap(), Control::start().await.unwrap());
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("policy.yaml"), policies).unwrap();
    let builder = Mesh::builder()
        .bootstrap(bootstrap(&control))
        .identity("default", feed(&ca, &ca.workload("/server")))
        .authorization(directory.path());
    let builder = tenancy.into_iter().fold(builder, mesh_xds::Builder::tenants);
    let mesh = builder.build().unwrap();
    let server = Server::bind(&mesh, "127.0.0.1:0").await.unwrap();
    let app = Router::new().route("/", get(whose));
    let mut served = Served::run(mesh, server, |server| tokio::spawn(server.serve(app)));
    control.push(&listener(served.port, &[strict()])).unwrap();
    served.serving().await;

    let refused = || Err("403".to_owned());
    let of = |tenant: &str, said: &str| Ok(format!("{tenant} says {said}"));
    for (who, headers, seen) in [
        ("/ns/red/sa/web", "x-data: red\r\n", of("red", "nothing")),
        ("/ns/blue/sa/web", "x-data: blue\r\n", of("blue", "nothing")),
        ("/ns/red/sa/web", "x-data: blue\r\n", refused()),
        ("/ns/blue/sa/web", "x-data: red\r\n", refused()),
        ("/ns/green/sa/web", "x-data: red\r\n", refused()),
        ("/ns/green/sa/web", "x-data: other\r\n", of("green", "nothing")),
        // What a workload says of itself counts for nothing, and nobody hears of it.
        ("/ns/red/sa/web", "x-tenant: blue\r\nx-data: blue\r\n", refused()),
        ("/ns/red/sa/web", "x-tenant: blue\r\nx-data: red\r\n", of("red", "nothing")),
        ("/ns/red/sa/web", "x-tenant: \r\nx-data: red\r\n", of("red", "nothing")),
        // A gateway speaks for others, whoever they are, but not for two.
        ("/gateway", "x-tenant: blue\r\nx-data: blue\r\n", of("blue", "blue")),
        ("/gateway", "x-tenant: blue\r\nx-data: red\r\n", refused()),
        ("/gateway", "x-tenant: red\r\nx-tenant: red\r\nx-data: red\r\n", refused()),
        ("/gateway", "x-data: other\r\n", refused()),
        ("/other", "x-data: other\r\n", refused()),
    ] {
        let client = Caller::new(feed(&ca, &ca.workload(who)));
        let mut io = client.connect(served.port).await.unwrap();
        assert_eq!(ask(&mut io, headers).await, seen, "{who} {headers}");
    }
}
