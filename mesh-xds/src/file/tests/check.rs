use std::fs;
use std::path::Path;

use tokio::runtime::Handle;

use crate::file::{Report, WatchOptions, Watcher, check};
use crate::parse::Registry;

const BAD_ROUTES: &str = r#"---
"@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
name: routes
virtualHosts:
  - name: all
    domains: ["*"]
    routes:
      - match: { prefix: / }
        route: { cluster: a }
      - match:
          safe_regex:
            regex: "("
        route: { cluster: a }
"#;

/// What is found in a directory with these files.
fn report(files: &[(&str, &str)]) -> (Report, impl Fn(String) -> String + use<>) {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let report = check(directory.path(), &Registry::default());
    let place = format!("{}/", directory.path().display());
    (report, move |text: String| text.replace(&place, ""))
}

#[test]
fn everything_wrong_is_found_with_its_line() {
    let (report, local) = report(&[
        ("a.yaml", BAD_ROUTES),
        (
            "b.yaml",
            "version: mesh/v1\nservices:\n  web:\n    timeout: x\n  api: { versions: { a: 5, b: 6 } }\n",
        ),
        ("c.yaml", "]"),
        ("d.yaml", "version: mesh/v1\nservices: { good: { versions: { v1: [] } } }\n"),
    ]);
    let errors: Vec<String> = report.errors.iter().map(|it| local(it.to_string())).collect();
    assert_eq!(errors.len(), 6, "{errors:#?}");
    let start = "a.yaml:11: virtual_hosts[0].routes[1].match.safe_regex: ";
    assert!(errors[0].starts_with(start), "{errors:#?}");
    for (error, start) in errors[1..].iter().zip([
        "b.yaml:4:14: services.web.timeout: expected a duration",
        "b.yaml:5:25: services.api.versions.a: expected an address",
        "b.yaml:5:31: services.api.versions.b: expected an address",
        "b.yaml:5:3: services.api: with several versions",
        "c.yaml:1:1: ",
    ]) {
        assert!(error.starts_with(start), "{errors:#?}");
    }
    assert_eq!(report.resources.len(), 3);
}

#[test]
fn what_has_no_effect_or_leads_nowhere_is_noted() {
    let listener = r#"---
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: greeter
api_listener:
  api_listener:
    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
    route_config:
      virtual_hosts:
        - name: all
          domains: ["*"]
          routes:
            - match: { prefix: / }
              route: { cluster: a, retryPolicy: { num_retries: 1 } }
    http_filters:
      - name: router
        typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
---
"@type": type.googleapis.com/envoy.service.runtime.v3.Runtime
name: flags
"#;
    let (report, local) = report(&[("a.yaml", listener)]);
    assert_eq!(report.errors, []);
    let notes: Vec<String> = report.notes.iter().map(|it| it.to_string()).map(local).collect();
    assert_eq!(
        notes[..2],
        [
            "a.yaml:13: `retryPolicy` is accepted, but not acted on yet",
            "a.yaml:18: envoy.service.runtime.v3.Runtime is accepted, but nothing uses it yet",
        ]
    );
    let dangling = "envoy.config.cluster.v3.Cluster `a` is referred to, and in no file";
    assert!(notes[2].ends_with(dangling), "{notes:?}");
    assert_eq!(notes.len(), 3);
}

#[test]
fn changes_of_header_fields_are_noted_where_only_clients_are() {
    let routes = |action: &str| {
        format!(
            r#"---
"@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
name: r
request_headers_to_remove: [x-a]
virtual_hosts:
  - name: all
    domains: ["*"]
    requestHeadersToRemove: [x-a]
    routes:
      - match: {{ prefix: / }}
        {action}
        response_headers_to_remove: [x-a]
"#
        )
    };
    let notes = |action| {
        let (report, _) = report(&[("a.yaml", &routes(action))]);
        assert_eq!(report.errors, []);
        report.notes.iter().filter_map(|note| note.line).collect::<Vec<_>>()
    };
    assert_eq!(notes("route: { cluster: a }"), [4, 8, 12]);
    assert!(notes("non_forwarding_action: {}").is_empty());
}

#[test]
fn a_path_that_is_not_there_is_an_error() {
    let report = check(Path::new("/nowhere/mesh.yaml"), &Registry::default());
    assert_eq!(report.errors.len(), 1);
    assert!(report.errors[0].to_string().starts_with("/nowhere/mesh.yaml: "));
}

#[tokio::test]
async fn an_invalid_resource_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mesh.yaml");
    fs::write(&file, BAD_ROUTES).unwrap();
    let (options, registry) = (WatchOptions::default(), Registry::default());
    let error = Watcher::open(&file, options, registry, &Handle::current()).unwrap_err();
    assert_eq!(
        (error.line(), error.path()),
        (Some(11), "virtual_hosts[0].routes[1].match.safe_regex")
    );
}
