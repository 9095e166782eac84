//! The program `mesh`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use mesh_xds::audit::{AuditLog, Key};
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

/// Runs `mesh audit verify` with `arguments` in `folder`: its exit code, and what it says.
fn verify(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mesh"))
        .args(["audit", "verify"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes| text(bytes).to_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn audit_verify_says_whether_a_log_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let owner = fs::Permissions::from_mode(0o600);
            fs::set_permissions(folder.join(name), owner).unwrap();
        }
    };
    write("key", &[b'k'; 32]);
    write("other", &[b'o'; 32]);
    let key = Key::from_file(folder.join("key")).unwrap();
    let log = AuditLog::file(folder.join("audit.log")).key(key);
    drop(log.open().unwrap());
    let log = fs::read_to_string(folder.join("audit.log")).unwrap();
    let last = log.rsplit('"').nth(1).unwrap();
    let whole = "whole: records 0 to 1, 0 of them decisions\n";
    assert_eq!(
        verify(folder, &["audit.log", "--key", "key"]),
        (Some(0), format!("{whole}last: {last}\n"), String::new())
    );
    let unsigned =
        "note: 2 records at the end are not vouched for by a signature that was checked\n";
    assert_eq!(
        verify(folder, &["audit.log"]),
        (Some(0), format!("{whole}{unsigned}last: {last}\n"), String::new())
    );
    let broken = |why: &str| (Some(1), String::new(), format!("broken: {why}\n"));
    assert_eq!(
        verify(folder, &["audit.log", "--key", "other"]),
        broken("audit.log:1: the signature is not of this key")
    );
    write("changed.log", log.replacen("\"end\"", "\"gap\"", 1).as_bytes());
    assert_eq!(
        verify(folder, &["changed.log"]),
        broken("changed.log:2: this is no record, or not as it was written")
    );
    assert_eq!(
        verify(folder, &["audit.log", "audit.log"]),
        broken("audit.log:1: record 0 does not follow: record 2 should")
    );
    assert_eq!(verify(folder, &["absent.log"]).0, Some(2));
    assert_eq!(verify(folder, &["audit.log", "--key", "absent"]).0, Some(2));
    assert_eq!(verify(folder, &[]).0, Some(2));
}

const POLICY: &str = "version: mesh/v1
workload: { namespace: shop, labels: { app: web } }
server: { 127.0.0.1:8080: { deny: [{ paths: /admin* }], allow: [{}] } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: get, namespace: shop }
spec:
  rules:
  - to: [{ operation: { methods: [GET] } }]
";

#[test]
fn check_names_what_is_probably_not_meant() {
    let checked = mesh("check", POLICY);
    assert_eq!(
        text(&checked.stdout),
        "note: mesh.yaml:3: takes connections in plain text, whose clients nobody knows [plaintext-permitted]
note: mesh.yaml:3: allow[0] allows everything to everybody [allow-all]
mesh.yaml: 2 resources, nothing wrong
"
    );
}

#[test]
fn explain_names_the_rule_that_decides() {
    let explain = |arguments: &[&str]| {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("mesh.yaml"), POLICY).unwrap();
        Command::new(env!("CARGO_BIN_EXE_mesh"))
            .args(["explain", "authz", "--file", "mesh.yaml"])
            .args(arguments)
            .current_dir(directory.path())
            .output()
            .unwrap()
    };
    let allowed = explain(&["--principal", "cluster.local/ns/shop/sa/a"]);
    assert!(allowed.status.success());
    assert_eq!(
        text(&allowed.stdout),
        "authorization/allow: allowed: policy \"ns[shop]-policy[get]-rule[0]\", permission 0, principal 0 matches (mesh.yaml:10)
allowed
"
    );
    let denied = explain(&["--path", "/admin/x", "--server", "127.0.0.1:8080"]);
    assert_eq!(denied.status.code(), Some(1));
    assert!(text(&denied.stdout).ends_with("denied by server/127.0.0.1:8080 deny\n"));
    let posted = explain(&["--method", "POST"]);
    assert_eq!(
        text(&posted.stdout),
        "authorization/allow: denied: no policy matches\ndenied by authorization/allow\n"
    );
    assert_eq!(explain(&["--server", "127.0.0.1:1"]).status.code(), Some(2));
}
