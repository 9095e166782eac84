//! What is decided by who the peer has proved to be.

use super::kit::{World, ask, chain, mutual};

/// A filter that does `action` for the workload `path`.
pub(super) fn rbac(action: &str, path: &str) -> String {
    format!(
        "{{ name: rbac, typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC, rules: {{ action: {action}, policies: {{ one: {{ permissions: [{{ any: true }}], principals: [{{ authenticated: {{ principal_name: {{ exact: 'spiffe://td{path}' }} }} }}] }} }} }} }} }},"
    )
}

#[tokio::test]
async fn rules_go_by_the_proven_principal() {
    let world = World::start(&[chain(&mutual(""), "", &rbac("ALLOW", "/friend"))]).await;
    let port = world.served.port;
    let (friend, other) = (world.client("/friend"), world.client("/other"));
    assert_eq!(friend.get(port).await.unwrap(), "spiffe://td/friend");
    assert_eq!(other.get(port).await.unwrap_err(), "403");
    let world = World::start(&[chain(&mutual(""), "", &rbac("DENY", "/friend"))]).await;
    let port = world.served.port;
    assert_eq!(world.client("/friend").get(port).await.unwrap_err(), "403");
    assert_eq!(world.client("/other").get(port).await.unwrap(), "spiffe://td/other");
    // What a header says of the peer is no proof.
    let mut io = world.client("/friend").connect(port).await.unwrap();
    let lie = "x-forwarded-client-cert: URI=spiffe://td/other\r\n";
    assert_eq!(ask(&mut io, lie).await.unwrap_err(), "403");
}

#[tokio::test]
async fn the_application_hears_of_clients_what_the_listener_says() {
    let said = "x-forwarded-client-cert: URI=spiffe://td/a\r\nx-forwarded-client-cert: URI=spiffe://td/b\r\n";
    let details = "set_current_client_cert_details: { uri: true },";
    for (mode, of_gateway, of_other) in [
        ("SANITIZE", "", ""),
        ("FORWARD_ONLY", " URI=spiffe://td/a|URI=spiffe://td/b", ""),
        ("ALWAYS_FORWARD_ONLY", " URI=spiffe://td/a|URI=spiffe://td/b", ""),
        (
            "APPEND_FORWARD",
            " URI=spiffe://td/a,URI=spiffe://td/b,By=spiffe://td/server;URI=spiffe://td/gateway",
            " By=spiffe://td/server;URI=spiffe://td/other",
        ),
        (
            "SANITIZE_SET",
            " By=spiffe://td/server;URI=spiffe://td/gateway",
            " By=spiffe://td/server;URI=spiffe://td/other",
        ),
    ] {
        let manager = format!("forward_client_cert_details: {mode}, {details}");
        let world = World::start(&[chain(&mutual(""), &manager, "")]).await;
        for (path, expect) in [("/gateway", of_gateway), ("/other", of_other)] {
            let mut io = world.client(path).connect(world.served.port).await.unwrap();
            let answer = ask(&mut io, said).await.unwrap();
            assert_eq!(without_hash(&answer), format!("spiffe://td{path}{expect}"), "{mode}");
        }
    }
}

#[tokio::test]
async fn the_application_may_have_the_certificates_themselves() {
    let manager = "forward_client_cert_details: SANITIZE_SET, \
                   set_current_client_cert_details: { cert: true, chain: true },";
    let world = World::start(&[chain(&mutual(""), manager, "")]).await;
    let mut io = world.client("/friend").connect(world.served.port).await.unwrap();
    let answer = ask(&mut io, "").await.unwrap();
    let (_, cert) = answer.split_once(";Cert=\"").unwrap();
    let (cert, chain) = cert.split_once("\";Chain=\"").unwrap();
    assert!(cert.starts_with("-----BEGIN%20CERTIFICATE-----%0AMII"), "{cert}");
    assert!(cert.ends_with("%0A-----END%20CERTIFICATE-----%0A"), "{cert}");
    assert!(chain.starts_with(cert) && chain.ends_with("-----%0A\""), "{chain}");
}

/// `text` without the 64 digits of a hash.
fn without_hash(text: &str) -> String {
    match text.split_once("Hash=") {
        None => text.to_owned(),
        Some((before, after)) => {
            assert!(after[..64].bytes().all(|byte| byte.is_ascii_hexdigit()));
            [before, &after[65..]].concat()
        }
    }
}
