//! A request of any kind, looked up in a table with every kind of matcher.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use mesh_core::request::RequestHead;
use mesh_core::rng::XorShift;
use mesh_core::route::Table;
use mesh_xds::parse::{self, Registry};

/// The input is a request in lines: method and target, then fields.
pub(crate) fn request(input: &[u8]) {
    static TABLE: OnceLock<Table> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let all = mesh_xds::file::parse(RESOURCES, std::path::Path::new("request.yaml"));
        let all = all.expect("the resources are good");
        parse::route::parse(&all[0].value, &Registry::default()).expect("the routes are good")
    });
    ask(table, input);
    let _ = mesh_core::deadline::parse(input);
}

/// Looks a request up, and explains it: both see the same route.
pub(crate) fn ask(table: &Table, input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let (method, target) = split(first, b' ');
    let Ok(method) = Method::from_bytes(method) else { return };
    let Ok(uri) = Uri::try_from(target) else { return };
    let headers = fields(lines);
    let authority = headers.get("host").cloned();
    let authority = authority.as_ref().and_then(|host| host.to_str().ok()).unwrap_or("greeter");
    let head = RequestHead::from_pieces(&method, &uri, &headers, authority);
    let found = table.find(&head, &mut XorShift::new(7)).map(|route| route.name.clone());
    let explained = table.explain(&head).to_string();
    drop((found, explained));
}

/// The fields in `lines`, as far as they are some.
pub(crate) fn fields<'i>(lines: impl Iterator<Item = &'i [u8]>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = split(line, b':');
        let name = HeaderName::from_bytes(name);
        let value = HeaderValue::from_bytes(value.trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            // More fields than fit into the map are no concern of whoever reads them.
            let _ = headers.try_append(name, value);
        }
    }
    headers
}

fn split(line: &[u8], at: u8) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == at) {
        Some(place) => (&line[..place], &line[place + 1..]),
        None => (line, b"/"),
    }
}

const RESOURCES: &str = r#"
"@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
name: all
virtual_hosts:
  - name: exact
    domains: [greeter, "greeter:80"]
    routes:
      - match: { path: /exact, headers: [{ name: x-a, string_match: { exact: "1" } }] }
        route: { cluster: a }
      - match: { path: /Case, case_sensitive: false }
        route: { cluster: a }
      - match: { safe_regex: { regex: "/r/[a-z]+/.*" } }
        route: { cluster: b }
      - match:
          path_separated_prefix: /sep
          query_parameters: [{ name: q, string_match: { suffix: z, ignore_case: true } }]
        route: { cluster: b }
      - match:
          prefix: /
          headers:
            - { name: x-n, range_match: { start: -5, end: 10 } }
            - { name: x-b, present_match: true, invert_match: true }
            - { name: x-c, string_match: { contains: c }, treat_missing_header_as_empty: true }
        route:
          weighted_clusters: { clusters: [{ name: a, weight: 1 }, { name: b, weight: 9 }] }
      - match: { prefix: /h }
        route: { cluster_header: x-cluster }
      - match: { prefix: / }
        redirect: { https_redirect: true, prefix_rewrite: /new }
  - name: suffix
    domains: ["*.example.com", "*-x.example.com"]
    routes: [{ match: { prefix: "" }, route: { cluster: a } }]
  - name: prefix
    domains: ["www.*"]
    routes: [{ match: { prefix: "" }, route: { cluster: b } }]
  - name: rest
    domains: ["*"]
    routes: [{ match: { prefix: "" }, direct_response: { status: 404 } }]
"#;
