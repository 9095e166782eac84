//! The tools work together as processes: a control plane, a backend and a client of the mesh.

use std::{fs, path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A process and what it prints. Killed when it is dropped.
struct Process {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, lines }
    }

    async fn line(&mut self) -> String {
        timeout(PATIENCE, self.lines.next_line()).await.unwrap().unwrap().unwrap()
    }
}

async fn meshcurl(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshcurl"));
    command.args(arguments).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_request_finds_its_backend_through_the_control_plane() {
    let echo = ["--listen", "127.0.0.1:0", "--name", "v1"];
    let mut echo = Process::start(env!("CARGO_BIN_EXE_mesh-echo"), &echo);
    let backend = echo.line().await;
    let port = backend.strip_prefix("127.0.0.1:").unwrap();

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("resources/greeter.yaml");
    let resources = fs::read_to_string(sample).unwrap().replace("50051", port);
    fs::write(path("greeter.yaml"), resources).unwrap();
    let greeter = path("greeter.yaml");
    let plane = ["--listen", "127.0.0.1:0", "--resources", &greeter];
    let mut plane = Process::start(env!("CARGO_BIN_EXE_control-plane"), &plane);
    plane.line().await;
    let listening = plane.line().await;

    let server = json!({
        "server_uri": listening.strip_prefix("listening on ").unwrap(),
        "channel_creds": [{ "type": "insecure" }],
        "server_features": ["xds_v3"],
    });
    let bootstrap = json!({ "xds_servers": [server], "node": { "id": "test" } });
    fs::write(path("bootstrap.json"), bootstrap.to_string()).unwrap();
    let file = path("bootstrap.json");

    let call = ["--bootstrap", &file, "--target", "xds:///greeter", "--timeout", "20s"];
    let grpc = ["--explain", "--grpc", "-d", "hi", "-n", "2", "/echo.Echo/Say"];
    let (code, results, notes) = meshcurl(&[&call[..], &grpc].concat()).await;
    assert_eq!(code, Some(0), "{notes}");
    assert_eq!(
        notes,
        "POST greeter /echo.Echo/Say\nvirtual host greeter: no other domain, it has *\n  \
         rule 0: yes, to cluster greeter-v1\n"
    );
    let results: Vec<Value> = results.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(results.len(), 2);
    for result in results {
        assert_eq!((&result["grpc_status"], &result["attempts"]), (&json!(0), &json!(1)));
        assert_eq!(result["upstream"], json!(backend));
    }
}

#[tokio::test]
async fn a_malformed_command_line_or_bootstrap_ends_the_tool() {
    let (code, results, _) = meshcurl(&["--target", "xds:///greeter", "--timeout", "2", "/"]).await;
    assert_eq!((code, &*results), (Some(2), ""));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bootstrap.json");
    fs::write(&file, "{}").unwrap();
    let file = file.to_str().unwrap();
    let (code, results, why) =
        meshcurl(&["--bootstrap", file, "--target", "xds:///greeter", "/"]).await;
    assert_eq!((code, &*results), (Some(1), ""));
    assert!(why.starts_with("meshcurl: "), "{why}");

    let arguments = ["--listen", "127.0.0.1:0", "--bootstrap", file];
    let mut echo = Command::new(env!("CARGO_BIN_EXE_mesh-echo"));
    let echo = timeout(PATIENCE, echo.args(arguments).kill_on_drop(true).output());
    assert_eq!(echo.await.unwrap().unwrap().status.code(), Some(1));
}
