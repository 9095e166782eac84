use std::collections::BTreeMap;
use std::time::Duration;

use http::{Request, StatusCode};

use super::*;
use crate::{Client, Kind, Target};

const MS: Duration = Duration::from_millis(1);

/// `reviews` over HTTP/1.1 and `greeter` over HTTP/2, each in two versions.
const YAML: &str = "
version: mesh/v1
services:
  reviews:
    routes: [{ match: { header: { x-user: beta } }, to: v2 }, { to: { v1: 90, v2: 10 } }]
    versions:
      v1: [127.0.0.1:9081, 127.0.0.1:9082]
      v2: [127.0.0.1:9083]
  greeter:
    protocol: grpc
    routes: [{ to: { v1: 1, v2: 1 } }]
    versions: { v1: dns:greeter.example:50051, v2: unix:/greeter.sock }
";

fn mesh() -> Mesh {
    Mesh::from_yaml(YAML).unwrap()
}

fn counts<K: Ord + Copy>(expect: &[(K, usize)]) -> BTreeMap<K, usize> {
    expect.iter().copied().collect()
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_makes_the_same_choices_however_many_are_under_way() {
    let backends = |seen: &Seen| -> Vec<String> {
        seen.answers().iter().map(|answer| answer.backend().unwrap().to_owned()).collect()
    };
    let mesh = mesh();
    let one = mesh.get("http://reviews/1").times(300).seed(7).await;
    let again = mesh.get("http://reviews/1").times(300).seed(7).await;
    let many = mesh.get("http://reviews/1").times(300).seed(7).concurrency(50).await;
    let other = mesh.get("http://reviews/1").times(300).seed(8).await;
    assert_eq!((one.count("v1") + one.count("v2"), one.failures()), (300, 0));
    assert_eq!(backends(&one), backends(&again));
    assert_eq!(backends(&one), backends(&many));
    assert_ne!(backends(&one), backends(&other));
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_seed_differ_and_come_again_in_the_next_run() {
    async fn run() -> Vec<usize> {
        let mesh = mesh();
        let mut all = Vec::new();
        for _ in 0..4 {
            all.push(mesh.get("http://reviews/1").times(100).await.count("v2"));
        }
        all
    }
    let first = run().await;
    assert!(first.iter().any(|n| *n != first[0]), "{first:?}");
    assert_eq!(run().await, first);
}

#[tokio::test(start_paused = true)]
async fn the_routes_see_method_path_and_fields() {
    let seen = mesh().get("http://reviews/1").header("x-user", "beta").times(20).await;
    assert_eq!((seen.count("reviews/v2"), seen.count("127.0.0.1:9083")), (20, 20));
    assert_eq!(seen.answers()[0].text(), "reviews/v2");
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_a_cluster_are_one_backend_and_can_be_told_apart() {
    let mesh = mesh();
    mesh.backend("reviews/v2").fail_always(500);
    let v1 = mesh.backend("reviews/v1");
    v1.fail_every(4, 503);
    mesh.backend("127.0.0.1:9082").respond_with(|request: Request<_>| {
        format!("{} {}", request.method(), request.uri().path())
    });
    let seen = mesh.post("http://reviews/buy").body("milk").times(200).seed(1).await;
    let n = seen.count("v1");
    assert_eq!(v1.requests(), n as u64);
    let failed = n / 4;
    assert_eq!(seen.statuses(), counts(&[(200, n - failed), (500, 200 - n), (503, failed)]));
    assert_eq!(seen.failures(), failed + 200 - n);
    // A round goes to each of the two endpoints in turn.
    assert_eq!(seen.count("127.0.0.1:9081").abs_diff(seen.count("127.0.0.1:9082")), n % 2);
    let from = |text: &str| seen.answers().iter().filter(|it| it.text() == text).count();
    assert_eq!(from("reviews/v1") + from("POST /buy"), n - failed);

    v1.recover();
    assert!(!mesh.get("http://reviews/1").times(50).await.statuses().contains_key(&503));
}

#[tokio::test(start_paused = true)]
async fn grpc_calls_have_statuses_and_messages() {
    let mesh = mesh();
    let call = || mesh.grpc("http://greeter/pkg.Greeter/Say").times(30).seed(3);
    let seen = call().await;
    assert_eq!((seen.failures(), seen.grpc_statuses()), (0, counts(&[(0, 30)])));
    assert_eq!(seen.answers()[0].content(), reply::framed(b""));

    mesh.backend("greeter/v1").fail_every(2, Reply::grpc(14, "out of café"));
    mesh.backend("greeter/v2")
        .respond_with(|request: Request<bytes::Bytes>| Reply::message(&request.body()[5..]));
    let seen = call().body("hello").await;
    let failed = seen.count("v1") / 2;
    assert_eq!(seen.grpc_statuses(), counts(&[(0, 30 - failed), (14, failed)]));
    assert_eq!(seen.failures(), failed);
    let of = |name: &str| seen.answers().iter().filter(|it| it.backend() == Some(name)).last();
    assert_eq!(of("greeter/v2").unwrap().content(), reply::framed(b"hello"));
    assert_eq!(seen.count("[2001:db8::1]:50051"), seen.count("v1"));
    assert_eq!(seen.count("unix:/greeter.sock"), seen.count("v2"));
    let why = |answer: &Answer| answer.header("grpc-message").map(str::to_owned);
    let why = seen.answers().iter().find_map(why);
    assert_eq!(why.as_deref(), Some("out of caf%C3%A9"));
}

#[tokio::test(start_paused = true)]
async fn delays_take_time_of_the_tests_clock_alone() {
    let mesh = mesh();
    mesh.backend("reviews/v1").delay(20 * MS);
    mesh.backend("reviews/v2").delay(20 * MS);
    let real = std::time::Instant::now();
    let seen = mesh.get("http://reviews/1").times(500).await;
    assert_eq!((seen.elapsed(), seen.answers()[9].elapsed()), (10_000 * MS, 20 * MS));
    assert!(real.elapsed() < Duration::from_secs(10));
    let seen = mesh.get("http://reviews/1").times(10).concurrency(10).await;
    assert_eq!((seen.elapsed(), seen.failures()), (20 * MS, 0));
    let seen = mesh.get("http://reviews/1").timeout(5 * MS).await;
    assert_eq!((seen.elapsed(), seen.failures(), seen.statuses().len()), (5 * MS, 1, 0));
    assert!(seen.answers()[0].error().unwrap().is_deadline());
}

#[tokio::test(start_paused = true)]
async fn connections_are_refused_drained_and_broken() {
    let mesh = mesh();
    for (service, call) in [
        ("reviews", mesh.get("http://reviews/1").header("x-user", "beta")),
        ("greeter", mesh.grpc("http://greeter/pkg.Greeter/Say").seed(0)),
    ] {
        let first = call.await;
        let name = first.answers()[0].backend().unwrap().to_owned();
        let backend = mesh.backend(&name);
        let call = async || match service {
            "reviews" => mesh.get("http://reviews/1").header("x-user", "beta").await,
            _ => mesh.grpc("http://greeter/pkg.Greeter/Say").seed(0).await,
        };
        assert_eq!(backend.connections(), 1, "{name}");
        // The one that is open goes on.
        backend.refuse_connections();
        assert_eq!(call().await.failures(), 0);
        // Without it there is none.
        backend.break_connections();
        tokio::time::sleep(MS).await;
        let seen = call().await;
        let why = seen.errors().into_keys().next().unwrap();
        assert!(why.starts_with(&format!("cluster {name}: ")), "{why}");
        assert!(why.contains("refused"), "{why}");
        backend.accept_connections();
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert_eq!((call().await.failures(), backend.connections()), (0, 2));
        // A server that goes away costs a connection, and no request.
        backend.go_away();
        let seen = call().await;
        assert_eq!((seen.failures(), backend.connections()), (0, 3), "{:?}", seen.errors());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_is_sent_again_and_a_broken_one_is_not() {
    let mesh = mesh();
    let call = || mesh.grpc("http://greeter/pkg.Greeter/Say").seed(0);
    let name = call().await.answers()[0].backend().unwrap().to_owned();
    let backend = mesh.backend(&name);
    backend.fail_every(2, Reply::reset(7));
    let seen = call().times(4).concurrency(1).seed(0).await;
    assert_eq!(seen.failures(), 0, "{:?}", seen.errors());
    assert!(seen.answers().iter().any(|answer| answer.attempts() == 2));
    backend.fail_always(Reply::reset(2));
    let seen = call().await;
    assert_eq!((seen.failures(), seen.statuses().len()), (1, 0));
    assert_eq!(seen.answers()[0].error().unwrap().kind(), Kind::Transport);
}

#[tokio::test(start_paused = true)]
async fn a_push_changes_where_requests_go_and_a_bad_one_nothing() {
    let mesh = mesh();
    assert!(mesh.get("http://reviews/1").times(100).seed(1).await.count("v2") < 50);
    mesh.push(&YAML.replace("v1: 90, v2: 10", "v1: 0, v2: 10")).await.unwrap();
    assert_eq!(mesh.get("http://reviews/1").times(100).await.count("v2"), 100);
    let error = mesh.push(&YAML.replace("v1: 90, v2: 10", "v1: 90, v3: 10")).await.unwrap_err();
    assert!(error.to_string().starts_with("mesh.yaml:5:"), "{error}");
    assert_eq!(mesh.get("http://reviews/1").times(100).await.count("v2"), 100);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_in_the_configuration_is_not_reached() {
    let mesh = mesh();
    let seen = mesh.get("http://elsewhere/").await;
    assert_eq!(seen.answers()[0].error().unwrap().kind(), Kind::Outside);
    assert_eq!(seen.failures(), 1);
    let seen = mesh.get("http://reviews/1").header("x y", "z").times(2).await;
    assert_eq!(
        seen.errors(),
        BTreeMap::from([("the request is malformed: invalid HTTP header name".to_owned(), 2)])
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_in_memory_is_served_by_its_listener() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[derive(Clone)]
    struct Home;

    impl tower_service::Service<Request<crate::ServerBody>> for Home {
        type Response = http::Response<crate::Body>;
        type Error = crate::BoxError;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<crate::ServerBody>) -> Self::Future {
            std::future::ready(Ok(http::Response::new(crate::full("home"))))
        }
    }

    let mesh = Mesh::from_yaml(
        "{ version: mesh/v1, server: { 127.0.0.1:80: { tls: disable, deny: [{ paths: /admin }], allow: [{}] } } }",
    )
    .unwrap();
    let answer = async |port, path: &str| {
        let (mut client, server) = tokio::io::duplex(1024);
        let served = mesh.accept(([127, 0, 0, 1], port).into(), server, Home);
        let asked = async {
            let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
            client.write_all(head.as_bytes()).await.unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.map(|_| answer).unwrap_or_default()
        };
        let (served, answer) = tokio::join!(served, asked);
        served.unwrap();
        answer.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(answer(80, "/").await, "HTTP/1.1 200 OK");
    assert_eq!(answer(80, "/admin").await, "HTTP/1.1 403 Forbidden");
    assert_eq!(answer(81, "/").await, "");
}

#[tokio::test(start_paused = true)]
async fn a_backend_says_what_it_is_told_and_breaks_off() {
    let content = async |length: usize| {
        let mesh = Mesh::from_yaml(
            "{ version: mesh/v1, services: { shop: { versions: { v1: 127.0.0.1:80 } } } }",
        )
        .unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\na");
        mesh.backend("shop/v1").say([head, "bc".to_owned()]);
        let response = mesh.client().get("http://shop/").await.unwrap();
        response.text().await.map_err(|error| error.kind())
    };
    assert_eq!(content(3).await.unwrap(), "abc");
    assert_eq!(content(4).await.unwrap_err(), Kind::Transport);
}

#[tokio::test(start_paused = true)]
async fn code_under_test_takes_the_mesh_as_any_other() {
    async fn page(mesh: &crate::Mesh) -> String {
        let page = Client::new(mesh).get("http://reviews/1").await.unwrap();
        page.text().await.unwrap()
    }
    let mesh = mesh();
    mesh.backend("reviews/v1").serve(tower());
    mesh.backend("reviews/v2").serve(tower());
    assert_eq!(page(&mesh).await, "GET /1");
    assert!(Target::of(&mesh, "xds:///reviews").is_ok());
}

/// A service as users bring it.
fn tower() -> impl tower_service::Service<
    Request<crate::Body>,
    Response = http::Response<crate::Body>,
    Error = crate::BoxError,
    Future: Send,
> + Clone
+ Send
+ 'static {
    #[derive(Clone)]
    struct Echo;
    impl tower_service::Service<Request<crate::Body>> for Echo {
        type Response = http::Response<crate::Body>;
        type Error = crate::BoxError;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn call(&mut self, request: Request<crate::Body>) -> Self::Future {
            let text = format!("{} {}", request.method(), request.uri().path());
            std::future::ready(Ok(http::Response::new(crate::full(text))))
        }
    }
    Echo
}

#[tokio::test(start_paused = true)]
#[should_panic(
    expected = "there is no backend reviews/v3, only greeter/v1, greeter/v2, reviews/v1"
)]
async fn a_backend_that_is_not_there_fails_the_test() {
    mesh().backend("reviews/v3").fail_always(StatusCode::BAD_GATEWAY);
}
