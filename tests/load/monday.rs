//! A process with many targets that starts before its bootstrap file and its control plane exist.

use std::time::Duration;

use mesh_tests::yaml::{LISTENER, cluster, routes};
use mesh_tests::{Backend, Control, EchoClient, Message};
use mesh_tonic::{Channel, Mesh};
use tokio::task::JoinSet;

use crate::traffic::SAY;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) targets: usize,
    /// How long after the start the bootstrap file comes, and then the control plane.
    pub(crate) late: Duration,
}

/// The target that is broken later.
const BROKEN: usize = 7;

/// Backend and cluster of a target.
fn name(target: usize) -> &'static str {
    ["a", "b", "c"][target % 3]
}

/// One call to each target; all must be answered, by the right one.
async fn call_all(clients: &[EchoClient<Channel>]) {
    let mut calls = JoinSet::new();
    for (target, client) in clients.iter().enumerate() {
        let mut client = client.clone();
        calls.spawn(async move { (target, client.call(SAY, Message::default()).await) });
    }
    while let Some(call) = calls.join_next().await {
        let (target, answer) = call.unwrap();
        assert_eq!(answer.unwrap().into_inner().text, name(target), "t{target}");
    }
}

pub(crate) async fn run(size: Size) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bootstrap.json");
    let mesh = Mesh::builder().bootstrap_file(&file).wait_for_bootstrap().build().unwrap();
    let open = |target| {
        let channel = Channel::new(&mesh, &format!("xds:///t{target}")).unwrap();
        EchoClient::new(channel.wait_for_ready(true))
    };
    let clients: Vec<_> = (0..size.targets).map(open).collect();
    let waiting = clients.clone();
    let first = tokio::spawn(async move { call_all(&waiting).await });

    tokio::time::sleep(size.late / 2).await;
    let status = mesh.status().await.to_string();
    assert!(status.starts_with("waiting: the bootstrap is not there yet: "), "{status}");
    let mut control = Control::absent().await.unwrap();
    std::fs::write(&file, control.bootstrap_json(&[])).unwrap();
    tokio::time::sleep(size.late / 2).await;
    assert!(!first.is_finished());

    let mut backends = Vec::new();
    let mut clusters = String::new();
    for name in ["a", "b", "c"] {
        let backend = Backend::start(name).await.unwrap();
        clusters.push_str(&cluster(name, &[&[&backend]]));
        backends.push(backend);
    }
    let resources = |broken: Option<usize>| {
        let mut text = clusters.clone();
        for target in 0..size.targets {
            let path = match broken == Some(target) {
                true => r#"safe_regex: { regex: "(" }"#,
                false => r#"prefix: """#,
            };
            let route =
                format!("{{ match: {{ {path} }}, route: {{ cluster: {} }} }}", name(target));
            let both = [LISTENER, &routes(&[&route])].concat();
            text.push_str(&both.replace("greeter", &format!("t{target}")));
        }
        text
    };
    control.restart();
    control.push(&resources(None)).unwrap();
    first.await.unwrap();

    let pushed = control.push(&resources(Some(BROKEN))).unwrap();
    let rejection = control.plane().in_force(&pushed).await.unwrap_err().to_string();
    assert!(rejection.contains("virtual_hosts[0].routes[0].match.safe_regex"), "{rejection}");
    call_all(&clients).await;
    let status = mesh.status().await.to_string();
    let about = format!("RouteConfiguration t{BROKEN}-routes: Nacked");
    let line = status.lines().find(|line| line.contains(&about)).unwrap();
    assert!(line.contains("virtual_hosts[0].routes[0].match.safe_regex"), "{line}");
    let (_, refused) = line.split_once("; refused ").unwrap();
    let (seconds, _) = refused.split_once(" s ago: ").unwrap();
    assert!(seconds.parse::<f64>().unwrap() < 60.0, "{line}");
    assert_eq!(status.matches("Nacked").count(), 1);
    assert_eq!(status.matches(": ready, configuration ").count(), size.targets);
    drop(backends);
}
