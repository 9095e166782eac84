use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use mesh_tests::Backend;
use tonic::Code;

use crate::{Files, call, client, count, counts, status};

/// A service with `to` as its only route.
fn canary(to: &str, a: &Backend, b: &Backend) -> String {
    format!(
        "version: mesh/v1
services:
  greeter:
    protocol: grpc
    routes: [{{ to: {to} }}]
    versions: {{ v1: ['{}'], v2: ['{}'] }}
",
        a.address(),
        b.address()
    )
}

/// Calls until `is_done` says so of what was seen.
async fn call_until(
    client: &mut mesh_tests::EchoClient<mesh_tonic::Channel>,
    is_done: impl Fn(&BTreeMap<String, u32>) -> bool,
) -> BTreeMap<String, u32> {
    let mut seen = BTreeMap::new();
    let calls = async {
        while !is_done(&seen) {
            for (text, n) in count(client, 1).await {
                *seen.entry(text).or_default() += n;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), calls).await.unwrap();
    seen
}

#[tokio::test]
async fn weights_change_without_a_failure() {
    let (a, b) = (Backend::start("a").await.unwrap(), Backend::start("b").await.unwrap());
    let files = Files::new(&[("mesh.yaml", &canary("{ v1: 1, v2: 0 }", &a, &b))]);
    let mesh = files.mesh();
    let mut client = client(&mesh, "xds:///greeter");
    assert_eq!(count(&mut client, 20).await, counts(&[("a", 20)]));
    for (to, name, other) in
        [("{ v1: 0, v2: 1 }", "b", "a"), ("v1", "a", "b"), ("{ v2: 100, v1: 0 }", "b", "a")]
    {
        files.write("mesh.yaml", &canary(to, &a, &b));
        let seen = call_until(&mut client, |seen| seen.contains_key(name)).await;
        assert!(seen.keys().all(|key| key == name || key == other), "{seen:?}");
        assert_eq!(count(&mut client, 20).await, counts(&[(name, 20)]));
    }
}

#[tokio::test]
async fn a_version_goes_after_its_successor_is_there() {
    let (a, b) = (Backend::start("a").await.unwrap(), Backend::start("b").await.unwrap());
    let service = |version: &str| {
        format!(
            "version: mesh/v1\nservices:\n  greeter: {{ protocol: grpc, versions: {{ {version} }} }}\n"
        )
    };
    let files = Files::new(&[("mesh.yaml", &service(&format!("old: ['{}']", a.address())))]);
    let mesh = files.mesh();
    let mut client = client(&mesh, "xds:///greeter");
    assert_eq!(count(&mut client, 5).await, counts(&[("a", 5)]));
    // The new version has to be looked up first; until then calls go to the old one, which is not
    // in the file any more.
    let new = format!("new: 'dns:localhost:{}'", b.address().port());
    files.write("mesh.yaml", &service(&new));
    let seen = call_until(&mut client, |seen| seen.contains_key("b")).await;
    assert!(seen.keys().all(|key| key == "a" || key == "b"), "{seen:?}");
    let text = status(&mesh, |text| !text.contains("greeter/old")).await;
    assert!(text.contains("Cluster greeter/new: Acked, version 2"), "{text}");
}

#[tokio::test]
async fn a_bad_set_changes_nothing_and_is_reported() {
    let (a, b) = (Backend::start("a").await.unwrap(), Backend::start("b").await.unwrap());
    let files = Files::new(&[("mesh.yaml", &canary("v1", &a, &b))]);
    let mesh = files.mesh();
    let mut client = client(&mesh, "xds:///greeter");
    assert_eq!(count(&mut client, 5).await, counts(&[("a", 5)]));

    // One file spoils the whole; the other is good and says something else.
    files.write("other.yaml", "version: mesh/v1\nservices:\n  other: { timeuot: 1s }\n");
    files.write("mesh.yaml", &canary("v2", &a, &b));
    let text = status(&mesh, |text| text.contains("refused")).await;
    let expect = format!(
        "{}:3:12: services.other: unrecognized field `timeuot` (did you mean `timeout`?)",
        files.path("other.yaml").display()
    );
    assert!(text.contains(&expect), "{text}");
    assert_eq!(count(&mut client, 5).await, counts(&[("a", 5)]));

    files.write("other.yaml", "version: mesh/v1\n");
    let text = status(&mesh, |text| !text.contains("refused")).await;
    assert!(text.starts_with(&format!("files {}: set ", files.0.path().display())), "{text}");
    call_until(&mut client, |seen| seen.contains_key("b")).await;

    files.write(
        "other.yaml",
        "---
\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: odd
load_assignment: { cluster_name: odd }
circuit_breakers:
  per_host_thresholds:
    - max_connections: 0
",
    );
    let text = status(&mesh, |text| text.contains("refused")).await;
    let expect = format!(
        "{}:7: circuit_breakers.per_host_thresholds[0].max_connections: is 0",
        files.path("other.yaml").display()
    );
    assert!(text.contains(&expect), "{text}");
    assert_eq!(count(&mut client, 5).await, counts(&[("b", 5)]));
}

#[tokio::test]
async fn what_is_not_in_the_files_any_more_is_gone() {
    let (a, b) = (Backend::start("a").await.unwrap(), Backend::start("b").await.unwrap());
    let text = canary("v1", &a, &b);
    let files = Files::new(&[("mesh.yaml", &text), ("rest.yaml", "version: mesh/v1\n")]);
    let mesh = files.mesh();
    let mut client = client(&mesh, "xds:///greeter");
    assert_eq!(count(&mut client, 5).await, counts(&[("a", 5)]));
    fs::remove_file(files.path("mesh.yaml")).unwrap();
    status(&mesh, |text| text.contains("Listener greeter: DoesNotExist")).await;
    let error = call(&mut client).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    // And it comes back.
    files.write("mesh.yaml", &text);
    status(&mesh, |text| text.contains("Listener greeter: Acked")).await;
    assert_eq!(count(&mut client, 5).await, counts(&[("a", 5)]));
}
