//! Policies among the files of a mesh, and exceptions from policies.

use std::fs;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mesh_tests::{Control, service};
use mesh_tonic::{Mesh, Server};
use mesh_xds::audit::{AuditLog, verify};
use mesh_xds::break_glass::PublicKey;
use rcgen::{KeyPair, PKCS_ED25519, SigningKey};
use tonic::Code;

use crate::kit::{SERVED, Served, inline, listener, say};
use crate::lifecycle::eventually;
use crate::policies::write;

#[tokio::test]
async fn a_policy_among_the_files_of_a_mesh_flips_and_a_broken_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policies.yaml");
    write(&file, "DENY");
    let mesh = Mesh::from_file(directory.path()).unwrap();
    let server = Server::bind(&mesh, "127.0.0.1:0").await.unwrap();
    let mut served = Served::run(mesh, server, |server| tokio::spawn(server.serve(service("one"))));
    let resources = listener(served.port, served.port, &inline(SERVED));
    fs::write(directory.path().join("server.yaml"), resources).unwrap();
    served.serving().await;
    let mut client = served.client();
    assert_eq!(say(&mut client).await.unwrap_err().0, Code::PermissionDenied);
    write(&file, "ALLOW");
    assert_eq!(eventually(async || say(&mut client).await.ok()).await, "one");
    write(&file, "DENY");
    eventually(async || say(&mut client).await.err()).await;

    write(&file, "DENI");
    let expect = format!("{}:4:", file.display());
    let mesh = served.mesh.clone();
    let status = eventually(async || {
        let status = mesh.status().await.to_string();
        status.contains(&expect).then_some(status)
    });
    let status = status.await;
    assert!(status.contains(": spec.action: "), "{status}");
    assert_eq!(say(&mut client).await.unwrap_err().0, Code::PermissionDenied);
    write(&file, "ALLOW");
    assert_eq!(eventually(async || say(&mut client).await.ok()).await, "one");
}

/// Denies everything but the service that the tests call, and wants both told.
const AUDITED: &str = r#"        http_filters:
        - name: rbac
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
            rules:
              action: ALLOW
              policies:
                echo:
                  permissions: [{ url_path: { path: { prefix: /test.Echo/ } } }]
                  principals: [{ any: true }]
              audit_logging_options: { audit_condition: ON_DENY_AND_ALLOW }
"#;

#[tokio::test]
async fn what_a_listener_decides_is_in_the_audit_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let log = AuditLog::file(&path).open().unwrap();
    let control = Control::start().await.unwrap();
    let observer = std::sync::Arc::new(log.clone());
    let audited = |builder: mesh_xds::Builder| builder.audit(observer);
    let mut served = Served::start_with(&control, service("one"), audited).await;
    let resources = listener(served.port, served.port, &inline(SERVED));
    control.push(&resources.replacen("        http_filters:\n", AUDITED, 1)).unwrap();
    served.serving().await;
    let mut client = served.client();
    assert_eq!(say(&mut client).await.unwrap(), "one");
    let denied = client.call("/test.Other/Say", mesh_tests::Message::default()).await;
    assert_eq!(denied.unwrap_err().code(), Code::PermissionDenied);
    log.flush(Duration::from_secs(20)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(verify(text.as_bytes(), None).unwrap().decisions, 2, "{text}");
    let has = |method: &str, rest: &str| {
        text.lines().any(|line| line.contains(method) && line.contains(rest))
    };
    assert!(has("/test.Echo/Say", r#""matched_rule":"echo","authorized":true"#), "{text}");
    assert!(has("/test.Other/Say", r#""authorized":false"#), "{text}");
    // A line that somebody has changed is found.
    let forged = text.replacen("/test.Other/Say", "/test.Echo/Say/", 1);
    assert!(verify(forged.as_bytes(), None).is_err());
}

/// A token that lets in what the tests ask for, for an hour.
fn token(scope: &str, key: &KeyPair) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = format!(
        r#"{{ "aud": "{scope}", "sub": "ann", "reason": "fire", "nbf": {}, "exp": {},
        "rules": [{{ "methods": "POST", "paths": "/test.Echo/*" }}] }}"#,
        now - 60,
        now + 3600
    );
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(br#"{"alg":"EdDSA","typ":"JWT"}"#);
    let signed = format!("{header}.{}", encode(claims.as_bytes()));
    let signature = encode(&key.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn an_emergency_lets_in_what_policies_refuse_and_is_written_down() {
    let directory = tempfile::tempdir().unwrap();
    let (policies, path) = (directory.path().join("policies"), directory.path().join("audit.log"));
    fs::create_dir(&policies).unwrap();
    write(&policies.join("say.yaml"), "DENY");
    let log = AuditLog::file(&path).open().unwrap();
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let public = PublicKey::from_pem(key.public_key_pem().as_bytes()).unwrap();
    let observer = std::sync::Arc::new(log.clone());
    let control = Control::start().await.unwrap();
    let guarded = |builder: mesh_xds::Builder| {
        builder.authorization(&policies).break_glass("td/web", public).audit(observer)
    };
    let mut served = Served::start_with(&control, service("one"), guarded).await;
    control.push(&listener(served.port, served.port, &inline(SERVED))).unwrap();
    served.serving().await;
    let mut client = served.client();
    assert_eq!(say(&mut client).await.unwrap_err().0, Code::PermissionDenied);

    let document = |token: &str| {
        format!(
            "apiVersion: security.mesh.io/v1beta1\nkind: BreakGlass\nmetadata: {{ name: fire }}\nspec: {{ token: {token} }}\n"
        )
    };
    let file = policies.join("fire.yaml");
    // One for somebody else has no effect, and neither has its coming: the next one is seen.
    fs::write(&file, document(&token("td/other", &key))).unwrap();
    assert_eq!(say(&mut client).await.unwrap_err().0, Code::PermissionDenied);
    fs::write(&file, document(&token("td/web", &key))).unwrap();
    assert_eq!(eventually(async || say(&mut client).await.ok()).await, "one");
    fs::remove_file(&file).unwrap();
    let denied = eventually(async || say(&mut client).await.err()).await;
    assert_eq!(denied.0, Code::PermissionDenied);
    log.flush(Duration::from_secs(20)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    verify(text.as_bytes(), None).unwrap();
    assert!(text.contains("ann: fire"), "{text}");
}
