mod cases;
mod documents;
mod errors;

use std::path::PathBuf;

use http::HeaderMap;
use mesh_core::authz::Facts;
use mesh_core::identity::{Certificate, Peer, Session};
use mesh_core::metadata::{Fields, Metadata, Value};
use mesh_core::request::RequestHead;

use crate::file::FileResource;
use crate::file::resources::resources;
use crate::parse::{Registry, authorizer};

/// The workload that the tests are: `app: web` in the namespace `shop`.
const WORKLOAD: &str = "version: mesh/v1
workload: { namespace: shop, labels: { app: web }, trust_domain: td, trust_domain_aliases: [old] }
---
";

/// The resources in `text`, or the first thing that is wrong.
fn read(text: &str) -> Result<Vec<FileResource>, String> {
    let contents = [(PathBuf::from("p.yaml"), text.as_bytes().to_vec())];
    resources(&contents, Some(&Registry::default())).map_err(|error| error.to_string())
}

/// A policy `p` with this `spec`, for the workload of the tests.
fn policy(spec: &str) -> String {
    let lines: String = spec.lines().map(|line| format!("  {line}\n")).collect();
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{ name: p }}\nspec:\n{lines}"
    )
}

/// Whether all rules in `text` allow `request`.
fn allows(text: &str, request: &str) -> bool {
    let resources = read(text).unwrap();
    resources.iter().all(|resource| {
        let rules = authorizer(&resource.value).unwrap();
        asked(request, |facts| rules.judge(facts).is_allowed())
    })
}

/// What `judge` says of a request that is written as `GET /path key=value ...`: `as` is the SPIFFE
/// ID without its scheme of a client with mutual TLS, `ip` and `port` are where it comes from and
/// goes to, `host` and `sni` what it asks for, `h:NAME` a header field, `c:NAME` a claim of its
/// token (with `,` in it a list).
fn asked<T>(request: &str, judge: impl FnOnce(&Facts<'_>) -> T) -> T {
    let mut words = request.split(' ');
    let method = words.next().unwrap().parse().unwrap();
    let uri = words.next().unwrap().parse().unwrap();
    let (mut headers, mut claims, mut host) = (HeaderMap::new(), Fields::default(), "web.test");
    let (mut ip, mut port, mut session) = ("10.0.0.1", 8080, None::<Session>);
    for (key, value) in words.map(|word| word.split_once('=').unwrap()) {
        match key.split_once(':').unwrap_or((key, "")) {
            ("as", _) => {
                let uris = [format!("spiffe://{value}").into()].into();
                let certificate = Some(Certificate { uris, ..Certificate::default() });
                session.get_or_insert_default().certificate = certificate;
            }
            ("sni", _) => session.get_or_insert_default().server_name = Some(value.into()),
            ("ip", _) => ip = value,
            ("port", _) => port = value.parse().unwrap(),
            ("host", _) => host = value,
            ("h", name) => {
                let name: http::HeaderName = name.parse().unwrap();
                headers.append(name, value.parse().unwrap());
            }
            ("c", name) if value.contains(',') => {
                let list = value.split(',').map(Value::from).collect();
                claims.set(name, Value::List(list));
            }
            ("c", name) => match name.split_once('.') {
                Some((outer, inner)) => {
                    let inner = Fields::from_iter([(inner, value.into())]);
                    claims.set(outer, Value::Struct(inner));
                }
                None => claims.set(name, value),
            },
            _ => panic!("{key}"),
        }
    }
    let peer = Peer {
        remote: Some((ip.parse::<std::net::IpAddr>().unwrap(), 4711).into()),
        local: Some(([10, 9, 9, 9], port).into()),
        session,
    };
    let mut metadata = Metadata::default();
    let payload = Fields::from_iter([("payload", Value::Struct(claims))]);
    metadata.add("envoy.filters.http.jwt_authn", payload).unwrap();
    let head = RequestHead::from_pieces(&method, &uri, &headers, host);
    judge(&Facts::request(&head, &metadata, Some(&peer)))
}
