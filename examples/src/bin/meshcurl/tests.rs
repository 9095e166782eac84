use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser;
use http::StatusCode;
use mesh_core::cluster::{
    Address, Assignment, Cluster, Config, Discovery, Endpoint, Upstream, Version,
};
use mesh_core::matcher::PathMatcher;
use mesh_core::route::{
    Action, ClusterChoice, Forward, PathRedirect, Redirect, Route, RouteMatch, Table, VirtualHost,
};
use mesh_core::snapshot::{ClusterSlot, Snapshot};
use mesh_hyper::Mesh;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::args::Arguments;
use super::ask::Ask;
use super::caller::Caller;
use super::run::Lines;

fn cluster(name: &str, upstream: Upstream, endpoints: &[SocketAddr]) -> Arc<Cluster> {
    let endpoints = endpoints.iter().map(|address| Endpoint::new(Address::Socket(*address)));
    let assignment = Arc::new(Assignment::of(endpoints));
    let mut config = Config::new(name, Discovery::Static(assignment.clone()));
    config.upstream = upstream;
    Cluster::new(Version { config: Arc::new(config), assignment, note: None })
}

/// Closes each connection at its first request.
async fn hang_up(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut request).await.unwrap();
        }
    }
}

/// A mesh with one backend, `v1`, and its address.
struct Fixture {
    caller: Caller,
    backend: String,
    /// The address of the one that hangs up on every request.
    rude: String,
    /// Accepts connections, and never says anything.
    _silent: TcpListener,
    _mesh: Mesh,
}

impl Fixture {
    async fn new() -> Self {
        let loopback = || TcpListener::bind("127.0.0.1:0");
        let (backend, silent) = (loopback().await.unwrap(), loopback().await.unwrap());
        let rude = loopback().await.unwrap();
        let rude_at = rude.local_addr().unwrap();
        tokio::spawn(hang_up(rude));
        let at = backend.local_addr().unwrap();
        tokio::spawn(async move { mesh_examples::echo::serve(backend, "v1").await });

        let clusters = [
            ("/one", cluster("one", Upstream::Http1, &[at])),
            ("/silent", cluster("silent", Upstream::Http2, &[silent.local_addr().unwrap()])),
            ("/rude", cluster("rude", Upstream::Http1, &[rude_at])),
            ("/empty", cluster("empty", Upstream::Http2, &[])),
            ("/echo.", cluster("echo", Upstream::Http2, &[at])),
        ];
        let mut table = Table::builder();
        let mut host = VirtualHost::new("all", &["*"]);
        for (prefix, cluster) in &clusters {
            let index = table.cluster(cluster.name()).unwrap();
            let to = Action::Forward(Forward::new(ClusterChoice::One(index)));
            host = host.route(Route::new(RouteMatch::new(PathMatcher::prefix(prefix)), to));
        }
        let (status, body) = (StatusCode::IM_A_TEAPOT, "short and stout".into());
        let teapot = RouteMatch::new(PathMatcher::exact("/teapot"));
        host = host.route(Route::new(teapot, Action::DirectResponse { status, body }));
        let mut redirect = Redirect::default();
        redirect.path = PathRedirect::Replace("/new".into());
        let old = RouteMatch::new(PathMatcher::exact("/old"));
        host = host.route(Route::new(old, Action::Redirect(redirect)));
        table.virtual_host(host);
        let slots = clusters.map(|(_, cluster)| ClusterSlot::Ready(cluster));
        let snapshot = Snapshot::new("greeter".into(), Arc::new(table.build().unwrap()));
        let mesh = Mesh::fixed([snapshot.with_clusters(slots)]).unwrap();
        let caller = Caller::new(&mesh, "xds:///greeter").unwrap();
        let (backend, rude) = (at.to_string(), rude_at.to_string());
        Self { caller, backend, rude, _silent: silent, _mesh: mesh }
    }

    /// What is printed for a command line.
    async fn run(&self, command_line: &[&str]) -> Vec<Value> {
        let lines = Lines { results: Vec::new(), notes: None::<Vec<u8>> };
        self.run_with(lines, command_line).await.0
    }

    async fn run_with(
        &self,
        mut lines: Lines<Vec<u8>, Vec<u8>>,
        command_line: &[&str],
    ) -> (Vec<Value>, String) {
        let ask = Ask::from_arguments(parse(command_line).unwrap()).unwrap();
        lines.run(&self.caller, ask).await.unwrap();
        let notes = String::from_utf8(lines.notes.unwrap_or_default()).unwrap();
        (values(&lines.results), notes)
    }
}

fn parse(command_line: &[&str]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(["meshcurl", "--target", "xds:///greeter"].iter().chain(command_line))
}

/// The lines, without the times they took.
fn values(lines: &[u8]) -> Vec<Value> {
    let lines = std::str::from_utf8(lines).unwrap().lines();
    let mut values: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    for value in &mut values {
        let elapsed = value.as_object_mut().unwrap().remove("elapsed_ms");
        assert!(elapsed.is_none_or(|elapsed| elapsed.as_f64().unwrap() >= 0.0));
    }
    values
}

/// The JSON that the backend has answered with.
fn echoed(line: &Value) -> Value {
    serde_json::from_str(line["body"].as_str().unwrap()).unwrap()
}

/// What becomes of a request that the mesh has not sent.
fn unsent(http: u16, grpc: Option<(i32, &str)>, why: &str) -> Value {
    json!({
        "n": 0, "http_status": http, "grpc_status": grpc.map(|grpc| grpc.0),
        "grpc_message": grpc.map(|grpc| grpc.1), "upstream": null, "attempts": 0,
        "headers": {}, "trailers": {}, "body": "", "error": null, "why": why,
    })
}

#[tokio::test]
async fn http1_and_its_headers_arrive() {
    let mesh = Fixture::new().await;
    let command_line = ["-H", "x-a: 1", "-H", "x-a:2", "-H", "host: other", "-d", "hi", "/one?q=1"];
    let [line] = &mesh.run(&command_line).await[..] else { panic!("not one line") };
    assert_eq!((&line["http_status"], &line["attempts"]), (&json!(200), &json!(1)));
    assert_eq!((&line["upstream"], &line["why"]), (&json!(mesh.backend), &json!(null)));
    assert_eq!(line["headers"]["x-backend"], json!(["v1"]));
    assert_eq!(
        echoed(line),
        json!({
            "name": "v1", "method": "POST", "path": "/one?q=1", "authority": "other", "body": "hi",
            "headers": { "x-a": ["1", "2"], "host": ["other"], "content-length": ["2"] },
        })
    );
}

#[tokio::test]
async fn a_grpc_call_brings_message_metadata_and_trailers() {
    let mesh = Fixture::new().await;
    let command_line = ["--grpc", "-d", "hi", "--timeout", "20s", "/echo.Echo/Say"];
    let [line] = &mesh.run(&command_line).await[..] else { panic!("not one line") };
    let echo = echoed(line);
    // What is left of the timeout when it is sent.
    let left = echo["headers"]["grpc-timeout"][0].as_str().unwrap();
    let left = mesh_core::deadline::parse(left.as_bytes()).unwrap().as_secs_f64();
    assert!((1.0..=20.0).contains(&left), "{left}");
    assert_eq!((&echo["authority"], &echo["body"]), (&json!("greeter"), &json!("hi")));
    assert_eq!(line["headers"]["x-backend"], json!(["v1"]));
    assert_eq!(line["trailers"], json!({ "grpc-status": ["0"] }));
    assert_eq!((&line["grpc_status"], &line["grpc_message"]), (&json!(0), &json!("")));
    assert_eq!((&line["http_status"], &line["upstream"]), (&json!(200), &json!(mesh.backend)));
}

#[tokio::test]
async fn what_the_mesh_decides_is_a_status_with_a_reason() {
    let mesh = Fixture::new().await;
    let no_route = "xds:///greeter: no route of virtual host \"all\" matches";
    assert_eq!(mesh.run(&["/nowhere"]).await, [unsent(404, None, no_route)]);
    let grpc = unsent(200, Some((14, no_route)), no_route);
    assert_eq!(mesh.run(&["--grpc", "/no.Where/At"]).await, [grpc]);
    let empty = "cluster empty: it has no usable endpoint";
    assert_eq!(mesh.run(&["/empty"]).await, [unsent(503, None, empty)]);

    let mut teapot = unsent(418, None, "answered by the mesh itself");
    teapot["headers"] = json!({ "content-type": ["text/plain"] });
    assert_eq!(mesh.run(&["-X", "HEAD", "/teapot"]).await, [teapot.clone()]);
    teapot["body"] = json!("short and stout");
    assert_eq!(mesh.run(&["/teapot"]).await, [teapot]);
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_named() {
    let mesh = Fixture::new().await;
    let [line] = &mesh.run(&["/rude"]).await[..] else { panic!("not one line") };
    assert_eq!((&line["http_status"], &line["error"]), (&json!(503), &json!(null)));
    assert_eq!((&line["upstream"], &line["attempts"]), (&json!(mesh.rude), &json!(1)));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let mesh = Fixture::new().await;
    let [line] = &mesh.run(&["/old"]).await[..] else { panic!("not one line") };
    assert_eq!((&line["http_status"], &line["upstream"]), (&json!(301), &json!(null)));
    assert_eq!(line["headers"], json!({ "location": ["http://greeter/new"] }));
}

#[tokio::test]
async fn a_deadline_is_a_gateway_timeout() {
    let mesh = Fixture::new().await;
    let [http] = &mesh.run(&["--timeout", "50ms", "/silent"]).await[..] else { panic!("one") };
    assert_eq!((&http["http_status"], &http["error"]), (&json!(504), &json!(null)));
    let grpc = mesh.run(&["--timeout", "50ms", "--grpc", "/silent"]).await;
    assert_eq!((&grpc[0]["http_status"], &grpc[0]["grpc_status"]), (&json!(200), &json!(4)));
}

#[tokio::test]
async fn head_brings_no_body_over_either_protocol() {
    let mesh = Fixture::new().await;
    for path in ["/one", "/echo."] {
        let [line] = &mesh.run(&["-X", "HEAD", path]).await[..] else { panic!("not one line") };
        assert_eq!((&line["http_status"], &line["why"]), (&json!(200), &json!(null)), "{path}");
        assert_eq!((&line["body"], &line["headers"]["x-backend"]), (&json!(""), &json!(["v1"])));
    }
}

#[tokio::test]
async fn every_request_of_many_has_one_line() {
    let mesh = Fixture::new().await;
    let lines = mesh.run(&["-n", "20", "-c", "5", "/echo."]).await;
    let mut numbers: Vec<_> = lines.iter().map(|line| line["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    assert!(lines.iter().all(|line| line["http_status"] == 200));
}

#[tokio::test]
async fn an_explanation_names_the_rule_that_decides() {
    let mesh = Fixture::new().await;
    let lines = Lines { results: Vec::new(), notes: Some(Vec::new()) };
    let (results, notes) = mesh.run_with(lines, &["/silence", "--timeout", "50ms"]).await;
    assert_eq!(results.len(), 1);
    let want = "GET greeter /silence\n\
                virtual host all: no other domain, it has *\n  \
                rule 0: no, the path does not start with /one\n  \
                rule 1: no, the path does not start with /silent\n  \
                rule 2: no, the path does not start with /rude\n  \
                rule 3: no, the path does not start with /empty\n  \
                rule 4: no, the path does not start with /echo.\n  \
                rule 5: no, the path is not /teapot\n  \
                rule 6: no, the path is not /old\n\
                no rule is left: no route\n";
    assert_eq!(notes, want);
}

#[tokio::test]
async fn interactive_lines_are_answered_in_turn() {
    let mesh = Fixture::new().await;
    let input = b"\n{\"path\":\"/echo.\",\"headers\":{\"x-a\":[\"1\",\"2\"]},\"n\":2}\n\
                  {\"path\":\"/echo.Echo/Say\",\"grpc\":true,\"body\":\"hi\"}\r\n\
                  {\"path\":\"/teapot\",\"colour\":\"red\"}\n{\"path\":\"/\xff\"}\n{\"path\":\"x\"}";
    let mut lines = Lines { results: Vec::new(), notes: None::<Vec<u8>> };
    lines.interact(&mesh.caller, &input[..], None).await.unwrap();
    let lines = values(&lines.results);
    let done = json!({ "done": true });
    assert_eq!(lines.len(), 11);
    assert_eq!(echoed(&lines[0])["headers"]["x-a"], json!(["1", "2"]));
    assert_eq!((&lines[1]["n"], &lines[2]), (&json!(1), &done));
    assert_eq!((&lines[3]["grpc_status"], &lines[4]), (&json!(0), &done));
    let unknown = lines[5]["error"].as_str().unwrap();
    assert!(unknown.starts_with("unknown field `colour`, expected one of `path`"), "{unknown}");
    assert_eq!(lines[7]["error"], "invalid unicode code point at line 1 column 11");
    assert_eq!(lines[9]["error"], "the path \"x\" does not start with /");
    assert_eq!((&lines[6], &lines[8], &lines[10]), (&done, &done, &done));
}

#[test]
fn malformed_command_lines_say_what_is_wrong() {
    let refusal = |command_line: &[&str]| {
        let error = parse(command_line).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string().lines().next().unwrap().to_owned()
    };
    let value = |option: &str, why: &str| format!("error: invalid value {option}: {why}");
    let timeout = "for '--timeout <DURATION>'";
    assert_eq!(
        refusal(&["--timeout", "2", "/"]),
        value(&format!("'2' {timeout}"), "it needs a unit: 500ms, 2s, 1m or 1h")
    );
    assert_eq!(
        refusal(&["--timeout", "0s", "/"]),
        value(&format!("'0s' {timeout}"), "a timeout is more than zero and at most 24 hours")
    );
    assert_eq!(refusal(&["-H", "x", "/"]), value("'x' for '-H <FIELD>'", "there is no colon"));
    assert_eq!(refusal(&["x"]), value("'x' for '[PATH]'", "the path \"x\" does not start with /"));
    let missing = "error: the following required arguments were not provided:";
    assert_eq!(refusal(&[]), missing);
    assert_eq!(
        refusal(&["--interactive", "/"]),
        "error: the argument '--interactive' cannot be used with '[PATH]'"
    );
}
