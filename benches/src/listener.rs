//! The listener of a server: guarded by many policies, or by TLS.

use std::fmt::Write;

/// A listener of a server on loopback whose calls `count` policies allow: of several kinds, and
/// only the last one the calls that are made.
pub(crate) fn guarded(port: u16, count: usize) -> String {
    let mut policies = String::new();
    for at in 1..count {
        let (permission, principal) = never(at);
        policy(&mut policies, at, &permission, &principal);
    }
    policy(
        &mut policies,
        count,
        "and_rules: { rules: [{ url_path: { path: { prefix: /bench.Echo/ } } }, { header: { name: content-type, string_match: { exact: application/grpc } } }] }",
        "direct_remote_ip: { address_prefix: 127.0.0.0, prefix_len: 8 }",
    );
    let rbac = format!(
        r#"
      - name: rbac
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
          rules:
            action: ALLOW
            policies:
{policies}"#
    );
    resource(port, "", &rbac)
}

/// A listener of a server on loopback that speaks TLS with clients that prove who they are.
pub(crate) fn secured(port: u16) -> String {
    let socket = crate::tls::transport_socket("DownstreamTlsContext");
    resource(port, &format!("  transport_socket: {socket}"), "")
}

fn resource(port: u16, more: &str, filters: &str) -> String {
    format!(
        r#"
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: server/127.0.0.1:{port}
address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
filter_chains:
- filters:
  - name: manager
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: bench
      route_config: {{ virtual_hosts: [{{ name: v, domains: ['*'], routes: [{{ match: {{ prefix: '' }}, non_forwarding_action: {{}} }}] }}] }}
      http_filters:{filters}
      - name: router
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
{more}
"#
    )
}

fn policy(policies: &mut String, at: usize, permission: &str, principal: &str) {
    // Policies are asked in the order of their names.
    let written = writeln!(
        policies,
        "              p{at:05}: {{ permissions: [{{ {permission} }}], principals: [{{ {principal} }}] }}"
    );
    debug_assert!(written.is_ok());
}

/// What is true of no call that is made, in one of the ways that policies are written.
fn never(at: usize) -> (String, String) {
    let everyone = "any: true".to_owned();
    match at % 6 {
        0 => (format!("url_path: {{ path: {{ exact: /bench.Echo{at}/Unary }} }}"), everyone),
        1 => (format!("url_path: {{ path: {{ prefix: /bench.Echo{at}/ }} }}"), everyone),
        2 => (
            "any: true".to_owned(),
            format!(
                "authenticated: {{ principal_name: {{ exact: 'spiffe://cluster.local/ns/n/sa/s{at}' }} }}"
            ),
        ),
        3 => (format!("header: {{ name: x-team, string_match: {{ exact: t{at} }} }}"), everyone),
        4 => (
            "url_path: { path: { prefix: /bench.Echo/ } }".to_owned(),
            format!(
                "direct_remote_ip: {{ address_prefix: 10.{}.{}.0, prefix_len: 24 }}",
                at / 256 % 256,
                at % 256
            ),
        ),
        _ => (
            format!(
                "and_rules: {{ rules: [{{ header: {{ name: ':method', string_match: {{ exact: GET }} }} }}, {{ not_rule: {{ url_path: {{ path: {{ exact: /a{at} }} }} }} }}] }}"
            ),
            everyone,
        ),
    }
}
