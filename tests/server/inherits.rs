//! What calls made in the service of a request get from it.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::{HeaderMap, Request};
use mesh_core::cluster::Address;
use mesh_hyper::{Client, InRequest, Kind, Mesh, Server, empty};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server of `app`, and where it is.
async fn serve(mesh: &Mesh, app: Router) -> (String, JoinHandle<std::io::Result<()>>) {
    let server = Server::bind(mesh, "127.0.0.1:0").await.unwrap();
    let Address::Socket(address) = server.local_addr().clone() else { panic!("not TCP") };
    (format!("http://{address}"), tokio::spawn(server.serve(app)))
}

/// What a request had in its header, one field a line.
async fn told(headers: HeaderMap) -> String {
    let told = ["x-request-id", "traceparent", "cookie", "x-mesh-criticality"];
    let told = told.into_iter().filter_map(|name| Some((name, headers.get(name)?)));
    told.map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect()
}

#[tokio::test]
async fn calls_belong_to_the_request_they_are_made_for() {
    let mesh = Mesh::disabled().unwrap();
    let (back, _back) = serve(&mesh, Router::new().route("/", get(told))).await;
    let client = Client::new(&mesh);
    let (http, place) = (client.clone(), back.clone());
    let front = get(async move || {
        let ask = |client: Client, place: String| async move {
            client.get(place).await.unwrap().text().await.unwrap()
        };
        let inside = ask(http.clone(), place.clone()).await;
        let spawned = tokio::spawn(ask(http.clone(), place.clone()).in_request()).await.unwrap();
        let alone = tokio::spawn(ask(http.clone(), place.clone())).await.unwrap();
        let outside = ask(http.clone(), place.clone()).outside_request().await;
        [inside, spawned, alone, outside].join("-\n")
    });
    let (front, _front) = serve(&mesh, Router::new().route("/", front)).await;
    let request = Request::get(front)
        .header("x-request-id", "7")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header("cookie", "a=1")
        // Nobody has proved who says so.
        .header("x-mesh-criticality", "critical_plus");
    let page = client.request(request.body(empty()).unwrap()).await.unwrap();
    let inherited =
        "x-request-id: 7\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n";
    assert_eq!(page.text().await.unwrap(), format!("{inherited}-\n{inherited}-\n-\n"));
}

#[tokio::test]
async fn a_deadline_ends_the_services_of_the_whole_chain() {
    /// Tells when the handler it is in ends.
    struct Ended(Option<oneshot::Sender<()>>);
    impl Drop for Ended {
        fn drop(&mut self) {
            _ = self.0.take().map(|ended| ended.send(()));
        }
    }
    let mesh = Mesh::builder().disabled().runtime(Handle::current()).build().unwrap();
    let client = Client::new(&mesh);
    let (begin, begun) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let tell = Arc::new(std::sync::Mutex::new(Some((begin, end))));
    let back = get(async move || {
        let (begin, end) = tell.lock().unwrap().take().unwrap();
        let _ended = Ended(Some(end));
        begin.send(()).unwrap();
        std::future::pending::<()>().await;
    });
    let (back, _back) = serve(&mesh, Router::new().route("/", back)).await;
    let http = client.clone();
    let middle = get(async move || {
        // Both sides of the call have a deadline, and they are less than a millisecond apart.
        match http.get(back.clone()).await {
            Ok(page) => assert_eq!(page.status(), 504),
            Err(error) => assert_eq!(error.kind(), Kind::Deadline),
        }
        // Its own deadline passes in the same moment, and ends it.
        std::future::pending::<()>().await;
    });
    let (middle, _middle) = serve(&mesh, Router::new().route("/", middle)).await;
    let request = Request::get(middle).header("x-envoy-expected-rq-timeout-ms", "30000");
    let request = request.body(empty()).unwrap();
    let page = tokio::spawn(async move { client.request(request).await });
    begun.await.unwrap();
    // From here on time passes when nothing else is left to do.
    tokio::time::pause();
    assert_eq!(page.await.unwrap().unwrap().status(), 504);
    ended.await.unwrap();
}
