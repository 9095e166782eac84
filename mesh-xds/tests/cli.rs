//! The program `mesh`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use mesh_xds::file::parse;

const GOOD: &str = "version: mesh/v1\nservices: { web: { versions: { v1: [1.2.3.4:80] } } }\n";

/// Runs `mesh COMMAND mesh.yaml` in a directory where that is `text`.
fn mesh(command: &str, text: &str) -> Output {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mesh.yaml"), text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_mesh"))
        .args([command, "mesh.yaml"])
        .current_dir(directory.path())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn check_says_what_is_wrong_and_fails() {
    let good = mesh("check", GOOD);
    assert!(good.status.success());
    assert_eq!(text(&good.stdout), "mesh.yaml: 3 resources, nothing wrong\n");
    let bad = mesh("check", &(GOOD.to_owned() + "defaults: { balance: rnadom }\nserver: {}\n"));
    assert_eq!(bad.status.code(), Some(1));
    assert_eq!(
        text(&bad.stderr),
        "error: mesh.yaml:3:22: defaults.balance: unrecognized value `rnadom` (did you mean `random`?)
mesh.yaml: 1 error, 0 resources in order
"
    );
}

#[test]
fn expand_prints_what_can_be_read_again() {
    let expanded = mesh("expand", GOOD);
    assert!(expanded.status.success());
    let read = |text: &str| {
        let resources = parse(text, Path::new("mesh.yaml")).unwrap().into_iter();
        resources.map(|it| (it.type_url, it.name, it.value)).collect::<Vec<_>>()
    };
    assert_eq!(read(text(&expanded.stdout)), read(GOOD));
    let bad = mesh("expand", "version: 1");
    assert_eq!(bad.status.code(), Some(1));
    assert!(text(&bad.stderr).starts_with("error: mesh.yaml:1:10: version: "));
}
