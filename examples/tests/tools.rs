//! The tools work together as processes: a control plane, a backend and a client of the mesh.

#![expect(clippy::unwrap_used, reason = "what is not there ends the test")]

mod process;

use std::{fs, path::Path};

use serde_json::{Value, json};
use tokio::{process::Command, time::timeout};

use process::{PATIENCE, Process, meshcurl};

/// A control plane with the sample resources, for a backend at `address`.
struct Plane {
    folder: tempfile::TempDir,
    _process: Process,
}

impl Plane {
    async fn start(address: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = address.strip_prefix("127.0.0.1:").unwrap();
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("resources/greeter.yaml");
        let resources = fs::read_to_string(sample).unwrap().replace("50051", port);
        let file = folder.path().join("greeter.yaml");
        fs::write(&file, resources).unwrap();
        let arguments = ["--listen", "127.0.0.1:0", "--resources", file.to_str().unwrap()];
        let mut process = Process::start(env!("CARGO_BIN_EXE_control-plane"), &arguments);
        process.line().await;
        let listening = process.line().await;
        let server = json!({
            "server_uri": listening.strip_prefix("listening on ").unwrap(),
            "channel_creds": [{ "type": "insecure" }],
            "server_features": ["xds_v3"],
        });
        let bootstrap = json!({ "xds_servers": [server], "node": { "id": "test" } });
        fs::write(folder.path().join("bootstrap.json"), bootstrap.to_string()).unwrap();
        Self { folder, _process: process }
    }

    /// The path of a bootstrap file.
    fn bootstrap(&self) -> String {
        self.folder.path().join("bootstrap.json").to_str().unwrap().to_owned()
    }

    /// What an example prints, with that bootstrap in its environment.
    async fn example(&self, program: &str) -> String {
        let mut command = Command::new(program);
        command.env("GRPC_XDS_BOOTSTRAP", self.bootstrap()).kill_on_drop(true);
        let output = timeout(PATIENCE, command.output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test]
async fn a_request_finds_its_backend_through_the_control_plane() {
    let echo = ["--listen", "127.0.0.1:0", "--name", "v1"];
    let mut echo = Process::start(env!("CARGO_BIN_EXE_mesh-echo"), &echo);
    let backend = echo.line().await;
    let plane = Plane::start(&backend).await;
    let file = plane.bootstrap();

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
async fn the_greeter_greets() {
    let mut server = Process::start(env!("CARGO_BIN_EXE_greeter-server"), &["127.0.0.1:0"]);
    let plane = Plane::start(&server.line().await).await;
    assert_eq!(plane.example(env!("CARGO_BIN_EXE_greeter")).await, "Hello mesh!\n");
}

#[tokio::test]
async fn http_clients_are_answered_by_the_backend() {
    let echo = ["--listen", "127.0.0.1:0", "--name", "v1"];
    let mut echo = Process::start(env!("CARGO_BIN_EXE_mesh-echo"), &echo);
    let plane = Plane::start(&echo.line().await).await;
    for client in [env!("CARGO_BIN_EXE_http-client"), env!("CARGO_BIN_EXE_reqwest-client")] {
        let answer: Value = serde_json::from_str(&plane.example(client).await).unwrap();
        assert_eq!((&answer["name"], &answer["path"]), (&json!("v1"), &json!("/hello")));
        assert_eq!(answer["authority"], json!("greeter"));
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
