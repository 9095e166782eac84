//! The stand-alone layers on the services of others: axum, clients and servers of tonic, and
//! whatever `ServiceBuilder` makes. That they fit is checked by the compiler.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::convert::Infallible;
use std::error::Error as StdError;
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use mesh_core::classify::Class;
use mesh_hyper::layer::{
    AdaptiveConcurrencyLayer, AdmissionLayer, BreakerLayer, BulkheadLayer, HedgeLayer, Outliers,
    Replay, RetryLayer, TimeoutLayer,
};
use tonic::body::Body;
use tonic::client::GrpcService;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

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

mod limits;

/// A channel of tonic's to nowhere.
fn channel() -> tonic::transport::Channel {
    tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy()
}

/// A channel of the mesh to nowhere.
fn mesh_channel() -> mesh_tonic::Channel {
    let mesh = mesh_hyper::Mesh::disabled().unwrap();
    mesh_tonic::Channel::new(&mesh, "xds:///nowhere").unwrap()
}

/// The body that tonic's own channel takes.
fn boxed(request: Request<Replay<Body>>) -> Request<Body> {
    request.map(Body::new)
}

async fn asks(router: Router) -> StatusCode {
    let request = Request::get("/").body(axum::body::Body::empty()).unwrap();
    router.oneshot(request).await.unwrap().status()
}

fn router() -> Router {
    Router::new().route("/", axum::routing::get(async || "hi"))
}

/// A service of tower with an error of its own.
fn plain()
-> impl Service<Request<String>, Response = Response<String>, Error = BoxError, Future: Send> + Clone
{
    service_fn(async |_: Request<String>| Ok::<_, BoxError>(Response::new(String::new())))
}

#[tokio::test]
async fn time_limits_go_on_everything() {
    let layer = TimeoutLayer::new(Duration::from_secs(1));
    assert_eq!(asks(router().layer(layer)).await, StatusCode::OK);
    grpc_client(layer.layer(channel()));
    grpc_client(layer.layer(mesh_channel()));
    tonic_server!(layer);
    let stack = ServiceBuilder::new().layer(layer).service(plain());
    assert_eq!(stack.oneshot(Request::new(String::new())).await.unwrap().status(), 200);
    // Services without responses.
    let text = service_fn(async |text: &'static str| Ok::<_, Infallible>(text.len()));
    let stack = ServiceBuilder::new().layer(layer.or_error()).service(text);
    assert_eq!(stack.oneshot("four").await.unwrap(), 4);
}

#[tokio::test]
async fn retries_go_on_everything() {
    let layer = RetryLayer::http(2);
    assert_eq!(asks(router().layer(layer.clone())).await, StatusCode::OK);
    let grpc = RetryLayer::grpc(2);
    grpc_client(grpc.layer(mesh_channel()));
    let own = ServiceBuilder::new().layer(grpc.clone()).map_request(boxed).service(channel());
    grpc_client(own);
    tonic_server!(grpc);
    let limit = TimeoutLayer::new(Duration::from_secs(1));
    let stack = ServiceBuilder::new().layer(limit).layer(layer.or_error()).service(service_fn(
        async |request: Request<Replay<String>>| {
            assert_eq!(request.body().size_hint().exact(), Some(4));
            Ok::<_, Infallible>(Response::new(Bytes::new()))
        },
    ));
    assert_eq!(stack.oneshot(Request::new("four".to_owned())).await.unwrap().status(), 200);
}

#[tokio::test]
async fn outlier_detection_goes_on_everything() {
    let layer = Outliers::consecutive(5).endpoint("a");
    assert_eq!(asks(router().layer(layer.clone())).await, StatusCode::OK);
    grpc_client(layer.layer(channel()));
    grpc_client(layer.layer(mesh_channel()));
    tonic_server!(layer.clone());
    let stack = ServiceBuilder::new().layer(layer.clone()).service(plain());
    assert_eq!(stack.oneshot(Request::new(String::new())).await.unwrap().status(), 200);
    let text = service_fn(async |text: &'static str| Ok::<_, Infallible>(text.len()));
    let stack = ServiceBuilder::new().layer(layer.or_error().errors()).service(text);
    assert_eq!(stack.oneshot("four").await.unwrap(), 4);
}

#[tokio::test]
async fn hedging_goes_on_everything() {
    let layer = HedgeLayer::after(Duration::from_secs(1));
    assert_eq!(asks(router().layer(layer.clone())).await, StatusCode::OK);
    grpc_client(layer.layer(mesh_channel()));
    let own = ServiceBuilder::new().layer(layer.clone()).map_request(boxed).service(channel());
    grpc_client(own);
    tonic_server!(layer.clone());
    let answer =
        service_fn(async |_: Request<Replay<String>>| Ok::<_, Infallible>("hi".into_response()));
    let stack = ServiceBuilder::new().layer(layer).service(answer);
    assert_eq!(stack.oneshot(Request::new(String::new())).await.unwrap().status(), 200);
}

#[tokio::test]
async fn breakers_go_on_everything() {
    let http = BreakerLayer::http();
    assert_eq!(asks(router().layer(http.clone())).await, StatusCode::OK);
    let grpc = BreakerLayer::grpc();
    grpc_client(grpc.layer(channel()));
    grpc_client(grpc.layer(mesh_channel()));
    grpc_client(ServiceBuilder::new().layer(grpc.clone()).service(channel()));
    tonic_server!(grpc);
    let stack = ServiceBuilder::new().layer(http).service(plain());
    assert_eq!(stack.oneshot(Request::new(String::new())).await.unwrap().status(), 200);
    let length = service_fn(async |text: &'static str| Ok::<_, Infallible>(text.len()));
    let errors = BreakerLayer::errors().or_error();
    assert_eq!(
        ServiceBuilder::new().layer(errors).service(length).oneshot("four").await.unwrap(),
        4
    );
    let long = BreakerLayer::classify(|n: &usize| if *n > 9 { Class::Bad } else { Class::Good });
    let stack = ServiceBuilder::new().layer(long.or_error()).service(length);
    assert_eq!(stack.oneshot("four").await.unwrap(), 4);
}

#[tokio::test]
async fn admission_control_goes_on_everything() {
    let http = AdmissionLayer::http();
    assert_eq!(asks(router().layer(http.clone())).await, StatusCode::OK);
    let grpc = AdmissionLayer::grpc();
    grpc_client(grpc.layer(channel()));
    grpc_client(grpc.layer(mesh_channel()));
    tonic_server!(grpc);
    let stack = ServiceBuilder::new().layer(http).service(plain());
    assert_eq!(stack.oneshot(Request::new(String::new())).await.unwrap().status(), 200);
    let length = service_fn(async |text: &'static str| Ok::<_, Infallible>(text.len()));
    let errors = AdmissionLayer::errors().or_error();
    assert_eq!(
        ServiceBuilder::new().layer(errors).service(length).oneshot("four").await.unwrap(),
        4
    );
}

#[tokio::test]
async fn limits_of_concurrency_go_on_everything() {
    let layer = AdaptiveConcurrencyLayer::new();
    assert_eq!(asks(router().layer(layer.clone())).await, StatusCode::OK);
    grpc_client(layer.layer(channel()));
    grpc_client(layer.layer(mesh_channel()));
    tonic_server!(layer.clone());
    let stack = ServiceBuilder::new().layer(layer.clone()).service(plain());
    assert_eq!(stack.oneshot(Request::new(String::new())).await.unwrap().status(), 200);
    let length = service_fn(async |text: &'static str| Ok::<_, Infallible>(text.len()));
    let stack = ServiceBuilder::new().layer(layer.or_error()).service(length);
    assert_eq!(stack.oneshot("four").await.unwrap(), 4);
}

#[tokio::test]
async fn bulkheads_go_on_everything() {
    let layer = BulkheadLayer::new(10).queue(10, Duration::from_secs(1));
    assert_eq!(asks(router().layer(layer.clone())).await, StatusCode::OK);
    grpc_client(layer.layer(channel()));
    grpc_client(layer.layer(mesh_channel()));
    tonic_server!(layer.clone());
    let stack = ServiceBuilder::new().layer(layer.clone()).service(plain());
    assert_eq!(stack.oneshot(Request::new(String::new())).await.unwrap().status(), 200);
    let length = service_fn(async |text: &'static str| Ok::<_, Infallible>(text.len()));
    let stack = ServiceBuilder::new().layer(layer.or_error()).service(length);
    assert_eq!(stack.oneshot("four").await.unwrap(), 4);
}
