//! The layers for limits and faults on the services of others: axum, clients and servers of tonic,
//! and whatever `ServiceBuilder` makes. That they fit is checked by the compiler.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::convert::Infallible;
use std::error::Error as StdError;

use axum::Router;
use http::{HeaderName, Request, Response, StatusCode};
use mesh_hyper::layer::{FaultLayer, RateLimitLayer};
use tonic::body::Body;
use tonic::client::GrpcService;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Whether generated clients run on the service.
fn grpc_client<T>(service: T)
where
    T: GrpcService<Body>,
    T::ResponseBody: Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<BoxError> + Send,
{
    drop(tonic::client::Grpc::new(service));
}

/// Whether a server of tonic takes the layer, without starting it.
macro_rules! tonic_server {
    ($layer:expr) => {
        let routes = tonic::service::Routes::default();
        let server = tonic::transport::Server::builder().layer($layer).add_routes(routes);
        drop(server.serve(([127, 0, 0, 1], 0).into()));
    };
}

/// A channel of tonic's to nowhere.
fn channel() -> tonic::transport::Channel {
    tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy()
}

/// A channel of the mesh to nowhere.
fn mesh_channel() -> mesh_tonic::Channel {
    let mesh = mesh_hyper::Mesh::disabled().unwrap();
    mesh_tonic::Channel::new(&mesh, "xds:///127.0.0.1:1").unwrap()
}

async fn asks(router: Router) -> StatusCode {
    let request = Request::get("/").body(axum::body::Body::empty()).unwrap();
    router.oneshot(request).await.unwrap().status()
}

fn router() -> Router {
    Router::new().route("/", axum::routing::get(async || "hi"))
}

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
    let home =
        service_fn(async |_: Request<String>| Ok::<_, BoxError>(Response::new(String::new())));
    let stack = ServiceBuilder::new().layer(keyed).service(home);
    assert_eq!(stack.oneshot(Request::new(String::new())).await.unwrap().status(), 200);
    // Services without responses.
    let text = service_fn(async |text: &'static str| Ok::<_, Infallible>(text.len()));
    let own = layer.by(|text: &&str| (*text).to_owned()).or_error();
    let stack = ServiceBuilder::new().layer(own).service(text);
    assert_eq!(stack.oneshot("four").await.unwrap(), 4);
}

#[tokio::test]
async fn faults_go_on_everything() {
    let layer = FaultLayer::new().abort(StatusCode::NOT_FOUND, 100);
    assert_eq!(asks(router().layer(layer.clone())).await, StatusCode::NOT_FOUND);
    grpc_client(layer.layer(channel()));
    grpc_client(layer.layer(mesh_channel()));
    tonic_server!(layer.clone());
    let home =
        service_fn(async |_: Request<String>| Ok::<_, BoxError>(Response::new(String::new())));
    let stack = ServiceBuilder::new().layer(layer.clone()).service(home);
    assert_eq!(stack.oneshot(Request::new(String::new())).await.unwrap().status(), 404);
    let text = service_fn(async |text: &'static str| Ok::<_, Infallible>(text.len()));
    let stack = ServiceBuilder::new().layer(layer.or_error()).service(text);
    stack.oneshot("four").await.unwrap_err();
}
