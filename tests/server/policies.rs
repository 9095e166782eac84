//! Policies in files, at servers whose listeners come from a control plane.

use std::fs;
use std::path::Path;

use mesh_tests::{Control, service};
use tonic::Code;

use crate::kit::{SERVED, Served, inline, listener, say};
use crate::lifecycle::eventually;

/// A policy that does `action` with all calls of the method that the tests make.
pub(crate) fn write(file: &Path, action: &str) {
    let text = format!(
        "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{ name: say }}
spec: {{ action: {action}, rules: [{{ to: [{{ operation: {{ paths: [/test.Echo/Say] }} }}] }}] }}
"
    );
    fs::write(file, text).unwrap();
}

#[tokio::test]
async fn a_file_flips_what_a_control_plane_allows() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policies.yaml");
    write(&file, "DENY");
    let control = Control::start().await.unwrap();
    let guarded = |builder: mesh_xds::Builder| builder.authorization(&file);
    let mut served = Served::start_with(&control, service("one"), guarded).await;
    control.push(&listener(served.port, served.port, &inline(SERVED))).unwrap();
    served.serving().await;
    let mut client = served.client();
    let denied = say(&mut client).await.unwrap_err();
    assert_eq!(denied, (Code::PermissionDenied, "RBAC: access denied".into()));

    write(&file, "ALLOW");
    assert_eq!(eventually(async || say(&mut client).await.ok()).await, "one");
    write(&file, "DENY");
    let denied = eventually(async || say(&mut client).await.err()).await;
    assert_eq!(denied.0, Code::PermissionDenied);

    // What is wrong is not taken.
    fs::write(&file, "kind: AuthorizationPolicy").unwrap();
    let denied = say(&mut client).await.unwrap_err();
    assert_eq!(denied.0, Code::PermissionDenied);
}
