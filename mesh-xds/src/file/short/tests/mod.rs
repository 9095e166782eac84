mod errors;
mod servers;

use std::path::Path;
use std::time::Duration;

use mesh_core::backoff::Backoff;
use mesh_core::breaker::{self, Ratio};

use crate::file::print::{Secrets, yaml};
use crate::file::{FileResource, parse};
use crate::parse::listener::Listener;
use crate::parse::{Registry, cluster, listener, route};

/// What a service called `web`, with these lines, compiles to.
fn compile(service: &str) -> Vec<FileResource> {
    parse(&document(service), Path::new("mesh.yaml")).unwrap()
}

fn document(service: &str) -> String {
    let lines: String = service.lines().map(|line| format!("    {line}\n")).collect();
    format!("version: mesh/v1\nservices:\n  web:\n{lines}")
}

/// The resource of the type whose name ends with `kind`, as YAML without its first line.
fn text(resources: &[FileResource], kind: &str) -> String {
    let resource = resources.iter().find(|it| it.type_url.ends_with(kind)).unwrap();
    let text = yaml(&resource.type_url, &resource.value, Secrets::Show).unwrap();
    text.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn a_service_is_a_listener_its_routes_and_a_cluster_per_version() {
    let resources =
        compile("routes: [{ to: { v1: 90, v2: 10 } }]\nversions: { v1: [1.2.3.4:80], v2: [] }");
    let seen: Vec<String> = resources
        .iter()
        .map(|it| format!("{} {} {}", it.origin, it.type_url.rsplit('.').next().unwrap(), it.name))
        .collect();
    assert_eq!(
        seen,
        [
            "mesh.yaml:3 Listener web",
            "mesh.yaml:3 RouteConfiguration web",
            "mesh.yaml:5 Cluster web/v1",
            "mesh.yaml:5 Cluster web/v2",
        ]
    );
    let registry = Registry::default();
    for resource in &resources {
        let raw = &resource.value;
        match resource.type_url.rsplit('.').next().unwrap() {
            "Listener" => drop(listener::parse(raw, &registry).unwrap()),
            "RouteConfiguration" => drop(route::parse(raw, &registry).unwrap()),
            _ => drop(cluster::parse(raw, &registry).unwrap()),
        }
    }
    assert_eq!(
        text(&resources, "RouteConfiguration"),
        "name: web
virtual_hosts:
- name: web
  domains:
  - '*'
  routes:
  - match:
      prefix: /
    route:
      weighted_clusters:
        clusters:
        - name: web/v1
          weight: 90
        - name: web/v2
          weight: 10
"
    );
}

#[test]
fn timeouts_hold_for_http_and_grpc() {
    let resources = compile("timeout: 500ms\nversions: { v1: [1.2.3.4:80] }");
    let routes = text(&resources, "RouteConfiguration");
    assert!(
        routes.ends_with(
            "    route:
      cluster: web/v1
      timeout: 0.500s
      max_stream_duration:
        max_stream_duration: 0.500s
"
        ),
        "{routes}"
    );
}

#[test]
fn the_nearest_setting_counts() {
    let text_of = |defaults: &str, service: &str| {
        let document = document(service) + &format!("defaults: {defaults}\n");
        let resources = parse(&document, Path::new("mesh.yaml")).unwrap();
        (text(&resources, "RouteConfiguration"), text(&resources, "Cluster"))
    };
    let defaults = "{ timeout: 1s, balance: random }";
    let (routes, cluster) = text_of(defaults, "versions: { v1: [1.2.3.4:80] }");
    assert!(routes.contains("timeout: 1s") && cluster.contains("lb_policy: RANDOM"), "{cluster}");
    let service = "timeout: 2s\nbalance: least_request\nroutes: [{ to: v1, timeout: 3s }]\n\
                   versions: { v1: { endpoints: [1.2.3.4:80], balance: pick_first } }";
    let (routes, cluster) = text_of(defaults, service);
    assert!(routes.contains("timeout: 3s") && !routes.contains("2s"), "{routes}");
    assert!(cluster.contains("load_balancing_policies.pick_first.v3.PickFirst"), "{cluster}");
}

#[test]
fn matches_become_matchers() {
    let resources = compile(
        "versions: { v1: [1.2.3.4:80] }
routes:
- match: { path: /a, method: GET }
  to: v1
- match: { regex: '/b/.*', method: [PUT, POST], header: { x-a: one, x-b: { prefix: t } } }
  to: v1
- match: { prefix: /c, header: { x-c: { present: false } }, query: { q: { regex: 'a+' } } }
  to: v1",
    );
    assert_eq!(
        text(&resources, "RouteConfiguration").split_once("routes:\n").unwrap().1,
        r#"  - match:
      path: /a
      headers:
      - name: :method
        string_match:
          exact: GET
    route:
      cluster: web/v1
  - match:
      headers:
      - name: :method
        string_match:
          safe_regex:
            regex: PUT|POST
      - name: x-a
        string_match:
          exact: one
      - name: x-b
        string_match:
          prefix: t
      safe_regex:
        regex: /b/.*
    route:
      cluster: web/v1
  - match:
      prefix: /c
      headers:
      - name: x-c
        present_match: false
      query_parameters:
      - name: q
        string_match:
          safe_regex:
            regex: a+
    route:
      cluster: web/v1
"#
    );
}

#[test]
fn redirects_and_responses_need_no_version() {
    let resources = compile(
        "routes:
- match: { path: /old }
  to: { redirect: { path: /new, host: example.com, scheme: https, port: 8443, code: 308 } }
- to: { respond: { status: 404, body: gone } }",
    );
    assert_eq!(
        text(&resources, "RouteConfiguration").split_once("routes:\n").unwrap().1,
        "  - match:
      path: /old
    redirect:
      host_redirect: example.com
      path_redirect: /new
      response_code: PERMANENT_REDIRECT
      scheme_redirect: https
      port_redirect: 8443
  - match:
      prefix: /
    direct_response:
      status: 404
      body:
        inline_string: gone
"
    );
}

#[test]
fn endpoints_are_grouped_by_priority_and_locality() {
    let resources = compile(
        "protocol: grpc
versions:
  v1:
  - { address: '1.2.3.4:80', weight: 3, locality: eu/a }
  - { address: '[::1]:80', locality: eu/a }
  - { address: 'unix:/run/web', priority: 1 }",
    );
    let cluster = text(&resources, "Cluster");
    assert!(cluster.starts_with("name: web/v1\ntype: STATIC\nload_assignment:\n"), "{cluster}");
    let endpoints = "  endpoints:
  - locality:
      region: eu
      zone: a
    lb_endpoints:
    - endpoint:
        address:
          socket_address:
            address: 1.2.3.4
            port_value: 80
      load_balancing_weight: 3
    - endpoint:
        address:
          socket_address:
            address: ::1
            port_value: 80
    load_balancing_weight: 4
  - locality: {}
    lb_endpoints:
    - endpoint:
        address:
          pipe:
            path: /run/web
    load_balancing_weight: 1
    priority: 1
";
    assert!(cluster.contains(endpoints), "{cluster}");
    assert!(cluster.contains("http2_protocol_options: {}"), "{cluster}");
}

#[test]
fn a_name_makes_the_cluster_one_of_dns() {
    let resources = compile("versions: { v1: 'dns:web.default.svc:80' }");
    let cluster = text(&resources, "Cluster");
    assert!(cluster.contains("type: STRICT_DNS"), "{cluster}");
    assert!(cluster.contains("address: web.default.svc"), "{cluster}");
    assert!(
        cluster.contains("explicit_http_config:\n      http_protocol_options: {}"),
        "{cluster}"
    );
}

#[test]
fn both_forms_stand_side_by_side_and_names_are_unique() {
    let long = "---\n\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: ";
    let short = document("versions: { v1: [1.2.3.4:80] }");
    let names = |text: &str| {
        parse(text, Path::new("mesh.yaml")).map(|all| {
            let names: Vec<String> = all.into_iter().map(|it| it.name).collect();
            names
        })
    };
    let both = names(&format!("{short}{long}other\n")).unwrap();
    assert_eq!(both, ["web", "web", "web/v1", "other"]);
    let twice = names(&format!("{short}{long}web/v1\n")).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "mesh.yaml:6: envoy.config.cluster.v3.Cluster `web/v1` is already defined at mesh.yaml:4"
    );
}

#[test]
fn a_server_is_a_listener_that_serves_everything() {
    let text = "version: mesh/v1\nserver:\n  '[::]:8080': {}\n  unix:/run/a.sock: { idle_timeout: 5s, max_concurrent_streams: 7 }\n";
    let resources = parse(text, Path::new("mesh.yaml")).unwrap();
    let names: Vec<_> = resources.iter().map(|it| &*it.name).collect();
    assert_eq!(names, ["server/[::]:8080", "server//run/a.sock"]);
    let servers = resources.iter().map(|resource| {
        match listener::parse(&resource.value, &Registry::default()).unwrap() {
            Listener::Server(server) => server,
            Listener::Client(client) => panic!("{client:?}"),
        }
    });
    let servers: Vec<_> = servers.collect();
    let places: Vec<_> = servers.iter().map(|server| server.address.to_string()).collect();
    assert_eq!(places, ["[::]:8080", "unix:/run/a.sock"]);
    let bounds = &servers[1].default.as_ref().unwrap().connections;
    assert_eq!(bounds.idle_timeout, Some(std::time::Duration::from_secs(5)));
    assert_eq!(bounds.max_concurrent_streams, Some(7));
}

#[test]
fn breakers_are_metadata_of_clusters() {
    let resources = compile(
        "breaker: { consecutive: 5, failure_percent: 50, min_requests: 7, window: 2s, wait: 500ms, max_wait: 1m }
versions: { v1: 1.2.3.4:80 }",
    );
    let cluster = resources.iter().find(|resource| resource.type_url.ends_with("Cluster")).unwrap();
    let config = cluster::parse(&cluster.value, &Registry::default()).unwrap();
    let ratio = Ratio {
        failures: 0.5,
        requests: std::num::NonZeroU32::new(7).unwrap(),
        window: Duration::from_secs(2),
    };
    let waits = Backoff {
        initial: Duration::from_millis(500),
        max: Duration::from_secs(60),
        ..Backoff::CONNECTION
    };
    let expect = breaker::Config::consecutive(5).unwrap().or_ratio(ratio).unwrap();
    assert_eq!(*config.breaker.unwrap(), expect.backoff(waits).unwrap());
    let defaults = "version: mesh/v1\ndefaults: { breaker: { consecutive: 9 } }\nservices:\n  \
                    one: { versions: { v1: 1.2.3.4:80 } }\n  \
                    two: { breaker: { consecutive: 2 }, versions: { v1: 1.2.3.4:80 } }\n";
    let resources = parse(defaults, Path::new("mesh.yaml")).unwrap();
    let rows = ["one/v1", "two/v1"].map(|name| {
        let cluster = resources.iter().find(|resource| resource.name == name).unwrap();
        let config = cluster::parse(&cluster.value, &Registry::default()).unwrap();
        *config.breaker.unwrap()
    });
    assert_eq!(rows, [9, 2].map(|failures| breaker::Config::consecutive(failures).unwrap()));
}

#[test]
fn retries_are_a_policy_of_routes_and_a_budget_of_clusters() {
    let resources = compile(
        "retry: { on: [5xx, reset], times: 2, attempt_timeout: 1.5s, of_retries: once }
routes:
  - { match: { path: /a }, to: v1, retry: { on: unavailable, methods: all } }
  - { to: v1 }
versions: { v1: 1.2.3.4:80 }",
    );
    let routes = text(&resources, "RouteConfiguration");
    let (first, second) = routes.split_once("prefix").unwrap();
    for (part, lines) in [
        (first, &["retry_on: unavailable", "num_retries: 1"][..]),
        (
            second,
            &[
                "retry_on: 5xx,reset",
                "num_retries: 2",
                "per_try_timeout: 1.500s",
                "mesh.retry",
                "of_retries: once",
                "methods: idempotent",
            ],
        ),
    ] {
        for line in lines {
            assert!(part.contains(line), "{line}: {routes}");
        }
    }
    assert!(!first.contains("mesh.retry"), "{routes}");
    assert!(text(&resources, "Cluster").contains("retry_budget: {}"));
    for resource in compile("versions: { v1: 1.2.3.4:80 }") {
        let text = yaml(&resource.type_url, &resource.value, Secrets::Show).unwrap();
        assert!(!text.contains("retry"), "{text}");
    }
}
