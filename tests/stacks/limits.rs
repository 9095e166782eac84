//! The layers for limits and faults.

use std::convert::Infallible;
use std::net::SocketAddr;

use http::{HeaderName, Request, StatusCode};
use mesh_hyper::layer::{FaultLayer, RateLimitLayer};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::{asks, channel, grpc_client, mesh_channel, plain, router};

#[tokio::test]
async fn limits_on_rates_go_on_everything() {
    let layer = RateLimitLayer::per_second(1).burst(2);
    let routes = router().route("/other", axum::routing::get(async || "hi")).layer(layer.clone());
    let statuses = [asks(routes.clone()).await, asks(routes.clone()).await, asks(routes).await];
    assert_eq!(statuses.map(|status| status.as_u16()), [200, 200, 429]);
    grpc_client(layer.layer(channel()));
    grpc_client(layer.layer(mesh_channel()));
    tonic_server!(layer.clone());
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        let keyed = RateLimitLayer::per_second(u32::from(status == 200)).by_peer();
        assert_eq!(asks(router().layer(keyed.clone())).await, status);
        tonic_server!(keyed);
    }
    let keyed = layer.clone().by_header(HeaderName::from_static("x-tenant")).keys(100);
    grpc_client(keyed.layer(channel()));
    tonic_server!(keyed.clone());
    let stack = ServiceBuilder::new().layer(keyed).service(plain());
    assert_eq!(stack.oneshot(Request::new(String::new())).await.unwrap().status(), 200);
    // Services without responses.
    let text = service_fn(async |text: &'static str| Ok::<_, Infallible>(text.len()));
    let own = layer.by(|text: &&str| (*text).to_owned()).or_error();
    let stack = ServiceBuilder::new().layer(own).service(text);
    assert_eq!(stack.oneshot("four").await.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn each_caller_of_a_server_of_axum_has_a_limit_of_its_own() {
    let app = router().layer(RateLimitLayer::per_second(1).by_peer());
    let mut app = app.into_make_service_with_connect_info::<SocketAddr>();
    let mut statuses = Vec::new();
    for caller in ["192.0.2.1:1000", "192.0.2.1:2000", "192.0.2.2:1000", "[::ffff:192.0.2.2]:1000"]
    {
        let served = app.call(caller.parse::<SocketAddr>().unwrap()).await.unwrap();
        let request = Request::get("/").body(axum::body::Body::empty()).unwrap();
        statuses.push(served.oneshot(request).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 429, 200, 429]);
}

#[tokio::test]
async fn faults_go_on_everything() {
    let layer = FaultLayer::new().abort(StatusCode::NOT_FOUND, 100);
    assert_eq!(asks(router().layer(layer.clone())).await, StatusCode::NOT_FOUND);
    grpc_client(layer.layer(channel()));
    grpc_client(layer.layer(mesh_channel()));
    tonic_server!(layer.clone());
    let stack = ServiceBuilder::new().layer(layer.clone()).service(plain());
    assert_eq!(stack.oneshot(Request::new(String::new())).await.unwrap().status(), 404);
    let text = service_fn(async |text: &'static str| Ok::<_, Infallible>(text.len()));
    let stack = ServiceBuilder::new().layer(layer.or_error()).service(text);
    stack.oneshot("four").await.unwrap_err();
}
