use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Mesh;
use http::StatusCode;
use mesh_core::cell::Cell;
use mesh_core::cluster::{Assignment, Cluster, Config, Discovery, Endpoint, Upstream, Version};
use mesh_core::matcher::PathMatcher;
use mesh_core::record::{Event, Outcome, Reason, Recorder};
use mesh_core::route::{Action, ClusterChoice, Forward, Route, RouteMatch, Table, VirtualHost};
use mesh_core::snapshot::{ClusterSlot, Presence, Root, Snapshot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::targets::{MAX, PATIENCE};
use super::*;
use crate::client::{Source, Target};
use crate::transport::connect::{Dialer, Sockets};
use crate::{Address, Body, runtime};

/// A target that answers each of its domains with the domain's name.
fn answering(name: &str, domains: &[&str]) -> Snapshot {
    let mut table = Table::builder();
    for domain in domains {
        let status = StatusCode::OK;
        let body = Bytes::copy_from_slice(domain.as_bytes());
        let matcher = RouteMatch::new(PathMatcher::prefix("/"));
        let route = Route::new(matcher, Action::DirectResponse { status, body });
        table.virtual_host(VirtualHost::new(domain, &[*domain]).route(route));
    }
    Snapshot::new(name.into(), Arc::new(table.build().unwrap()))
}

/// A target with one HTTP/1.1 endpoint.
fn forwarding(name: &str, address: Address) -> Snapshot {
    let mut table = Table::builder();
    let cluster = table.cluster("one").unwrap();
    let to = Action::Forward(Forward::new(ClusterChoice::One(cluster)));
    let route = Route::new(RouteMatch::new(PathMatcher::prefix("/")), to);
    table.virtual_host(VirtualHost::new("all", &["*"]).route(route));
    let assignment = Arc::new(Assignment::of([Endpoint::new(address)]));
    let mut config = Config::new("one", Discovery::Static(assignment.clone()));
    config.upstream = Upstream::Http1;
    let cluster = Cluster::new(Version { config: Arc::new(config), assignment, note: None });
    Snapshot::new(name.into(), Arc::new(table.build().unwrap()))
        .with_clusters([ClusterSlot::Ready(cluster)])
}

/// A client whose targets all have the configuration in `cell`, and how many it has made.
fn client(cell: &Arc<Cell<Root>>) -> (Client, Arc<AtomicUsize>) {
    client_with(cell, None)
}

fn client_with(
    cell: &Arc<Cell<Root>>,
    recorder: Option<Arc<dyn Recorder>>,
) -> (Client, Arc<AtomicUsize>) {
    let handle = tokio::runtime::Handle::current();
    let dialer = Dialer { connector: Arc::new(Sockets), secure: None };
    let context = crate::context::Context::new(handle, dialer, recorder);
    let (root, made) = (cell.clone(), Arc::new(AtomicUsize::new(0)));
    let count = made.clone();
    let open = move |authority: &str| {
        count.fetch_add(1, Ordering::Relaxed);
        let source = Source { root: root.clone(), demand: None, keep: None };
        Ok(Target::new(authority, authority.parse().unwrap(), source, context.clone()))
    };
    let outside = |_: &str| Err(Error::new(Kind::Outside, "nothing is dialed"));
    let client = Client::with(Box::new(open), Box::new(outside));
    (client, made)
}

fn request(uri: &str, host: Option<&str>) -> Request<Body> {
    let mut request = Request::get(uri);
    if let Some(host) = host {
        request = request.header(HOST, host);
    }
    request.body(empty()).unwrap()
}

#[tokio::test]
async fn the_authority_as_written_names_the_target() {
    let targets = [answering("a", &["*"]), answering("a:81", &["a:81"])];
    let client = Client::new(&Mesh::fixed(targets).unwrap());
    assert_eq!(client.get("http://a/x").await.unwrap().text().await.unwrap(), "*");
    assert_eq!(client.get("http://a:81").await.unwrap().text().await.unwrap(), "a:81");
    let text = client.get("http://a/x").await.unwrap();
    assert_eq!(text.headers()["content-type"], "text/plain");
    let head = Request::head("http://a/x").body(empty()).unwrap();
    assert_eq!(client.request(head).await.unwrap().bytes().await.unwrap(), "");
    let outside = client.get("http://b/").await.unwrap_err();
    assert_eq!((outside.kind(), outside.status()), (Kind::Outside, StatusCode::BAD_GATEWAY));
    assert_eq!(
        outside.to_string(),
        "b has no configuration in the mesh: xds:///b: \
         target xds:///b is not among those that the mesh was made with"
    );
}

#[tokio::test]
async fn a_host_field_decides_about_virtual_hosts() {
    let targets = [answering("a", &["a", "b"])];
    let client = Client::new(&Mesh::fixed(targets).unwrap());
    let answer = async |host| {
        let response = client.request(request("http://a", host)).await.unwrap();
        response.text().await.unwrap()
    };
    assert_eq!(answer(None).await, "a");
    assert_eq!(answer(Some("b")).await, "b");
}

#[tokio::test]
async fn only_absolute_http_uris_without_user_information_are_sent() {
    let client = Client::new(&Mesh::fixed([answering("a", &["*"])]).unwrap());
    let refusal = async |uri| {
        let error = client.request(request(uri, None)).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Request);
        error.to_string()
    };
    assert_eq!(refusal("/x").await, "the URI is not absolute");
    assert_eq!(refusal("ftp://a/x").await, "the scheme ftp is not HTTP");
    assert_eq!(refusal("http://me:secret@a/x").await, "the URI has user information");
    let malformed = client.request(request("http://a", Some("a b"))).await.unwrap_err();
    assert_eq!(malformed.to_string(), "the host field is malformed");
    let named = client.request(request("http://a", Some("me@a"))).await.unwrap_err();
    assert_eq!(named.to_string(), "the host field has user information");
}

#[tokio::test(start_paused = true)]
async fn an_authority_without_configuration_is_answered_a_second_after_its_first_use() {
    let cell = Arc::new(Cell::empty());
    let (client, _) = client(&cell);
    let ask = async |options| {
        let start = runtime::now();
        let answer = client.send(request("http://a", None), options).await;
        (answer.map(|_| ()).map_err(|error| error.kind()), runtime::now() - start)
    };
    let default = Options::default();
    assert_eq!(ask(default).await, (Err(Kind::Outside), PATIENCE));
    assert_eq!(ask(default).await, (Err(Kind::Outside), Duration::ZERO));
    let patient = default.wait_for_ready(true).timeout(Duration::from_secs(9));
    assert_eq!(ask(patient).await, (Err(Kind::Deadline), Duration::from_secs(9)));
    cell.publish(Arc::new(Root::Ready(answering("a", &["*"]))));
    assert_eq!(ask(default).await, (Ok(()), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn what_may_be_in_the_mesh_is_not_let_out() {
    let why = || Arc::<str>::from("no");
    let since = std::time::SystemTime::UNIX_EPOCH;
    let failed = |presence| Root::Failed { why: why(), presence, since };
    let waiting = |presence| Root::Waiting { why: why(), presence, since };
    let (only, any) = (OutboundPolicy::RegistryOnly, OutboundPolicy::AllowAny);
    let (at_once, later) = (Duration::ZERO, Duration::from_secs(30));
    for (root, policy, outcome, after) in [
        (failed(Presence::Present), any, Kind::NoConfig, at_once),
        (failed(Presence::Present), only, Kind::NoConfig, at_once),
        (waiting(Presence::Present), any, Kind::NoConfig, later),
        (waiting(Presence::Unknown), any, Kind::NoConfig, later),
        (waiting(Presence::Unknown), only, Kind::Outside, PATIENCE),
        // `Outside` is what the fixture's dialing comes to, too.
        (waiting(Presence::Absent), any, Kind::Outside, PATIENCE),
        (failed(Presence::Absent), any, Kind::Outside, at_once),
        (failed(Presence::Unreachable), any, Kind::Outside, at_once),
    ] {
        let case = format!("{root:?} {policy:?}");
        let (client, _) = client(&Arc::new(Cell::new(Arc::new(root))));
        let start = runtime::now();
        let error = client.outbound_policy(policy).get("http://a/").await.unwrap_err();
        assert_eq!((error.kind(), runtime::now() - start), (outcome, after), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mesh_that_is_slow_to_say_so_still_decides() {
    let cell = Arc::new(Cell::empty());
    let (client, _) = client(&cell);
    let client = client.outbound_policy(OutboundPolicy::AllowAny);
    let asked = tokio::spawn(async move { client.get("http://a/").await });
    tokio::time::sleep(Duration::from_secs(5)).await;
    cell.publish(Arc::new(Root::Ready(answering("a", &["*"]))));
    assert_eq!(asked.await.unwrap().unwrap().status(), StatusCode::OK);
}

/// How calls ended, in their order.
#[derive(Default)]
struct Outcomes(Mutex<Vec<Outcome>>);

impl Recorder for Outcomes {
    fn record(&self, event: &Event<'_>) {
        if let Event::Call { outcome, .. } = event {
            self.0.lock().unwrap().push(*outcome);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_not_sent_are_recorded_too() {
    let (outcomes, cell) = (Arc::new(Outcomes::default()), Arc::new(Cell::empty()));
    let (client, _) = client_with(&cell, Some(outcomes.clone()));
    let ask = || {
        let patient = Options::default().wait_for_ready(true);
        client.send(request("http://a", None), patient)
    };
    // Given up while it waits; answered after having waited, and at once; without a route.
    assert!(tokio::time::timeout(PATIENCE, ask()).await.is_err());
    let waiting = tokio::spawn(ask());
    tokio::time::sleep(PATIENCE).await;
    cell.publish(Arc::new(Root::Ready(answering("a", &["*"]))));
    waiting.await.unwrap().unwrap();
    ask().await.unwrap();
    cell.publish(Arc::new(Root::Ready(answering("a", &["b"]))));
    ask().await.unwrap_err();
    let answered = Outcome::Response { http: 200, grpc: None };
    let expect = [Outcome::Cancelled, answered, answered, Outcome::Failed(Reason::NoRoute)];
    assert_eq!(*outcomes.0.lock().unwrap(), expect);
}

#[tokio::test]
async fn used_authorities_outlive_others_when_there_are_too_many() {
    let ready = Arc::new(Cell::new(Arc::new(Root::Ready(answering("a", &["*"])))));
    let (client, made) = client(&ready);
    let ask = async |name: &str| {
        let response = client.get(format!("http://{name}/")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        made.load(Ordering::Relaxed)
    };
    ask("kept").await;
    ask("kept").await;
    for n in 1..MAX {
        assert_eq!(ask(&format!("once{n}")).await, n + 1);
    }
    assert_eq!(ask("one-too-many").await, MAX + 1);
    assert_eq!(ask("kept").await, MAX + 1);
    assert_eq!(ask("once1").await, MAX + 2);
}

#[tokio::test]
async fn http1_is_spoken_where_the_cluster_says_so() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::Socket(server.local_addr().unwrap());
    let client = Client::new(&Mesh::fixed([forwarding("shop", address.clone())]).unwrap());
    let served = tokio::spawn(async move {
        let (mut stream, _) = server.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"milk") {
            stream.read_buf(&mut seen).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        String::from_utf8(seen).unwrap()
    });
    let response = client.post("http://shop/buy?n=1", "milk").await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.upstream(), Some(&address));
    assert_eq!(response.bytes().await.unwrap(), "ok");
    let seen = served.await.unwrap();
    assert!(seen.starts_with("POST /buy?n=1 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("\r\nhost: shop\r\n"), "{seen}");
}

#[cfg(feature = "xds")]
#[tokio::test]
async fn any_authority_is_dialed_where_the_policy_says_so() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let client = Client::new(&Mesh::fixed([answering("a", &["*"])]).unwrap());
    let client = client.outbound_policy(OutboundPolicy::AllowAny);
    assert_eq!(client.get("http://a/").await.unwrap().text().await.unwrap(), "*");

    let served = tokio::spawn(async move {
        let (mut stream, _) = server.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut seen).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    });
    let response = client.get(format!("http://{address}/x")).await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.upstream(), Some(&Address::Socket(address)));
    served.await.unwrap();
    let https = client.get(format!("https://{address}/x")).await.unwrap_err();
    assert_eq!(https.kind(), Kind::Outside);
}

#[test]
fn bodies_and_clients_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Client>();
    shared::<Response>();
    shared::<ResponseBody>();
}
