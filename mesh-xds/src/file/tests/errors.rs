use std::path::Path;

use crate::file::parse;

/// The message for `text` in a file called `routes.yaml`.
fn error(text: &str) -> String {
    parse(text, Path::new("routes.yaml")).unwrap_err().to_string()
}

const ROUTES: &str = r#""@type": type.googleapis.com/envoy.config.route.v3.RouteConfiguration
name: routes
virtual_hosts:
  - name: all
    domains: ["*"]
    routes:
"#;

/// The message for a route, whose first line is line 7.
fn route_error(route: &str) -> String {
    error(&format!("{ROUTES}{route}\n"))
}

#[test]
fn field_errors_say_line_path_and_reason() {
    const AT: &str = "virtual_hosts[0].routes[0]";
    for (route, expected) in [
        (
            "      - match: {}\n      - match:\n          prefx: /",
            "9: virtual_hosts[0].routes[1].match: unrecognized field `prefx` \
             (did you mean `prefix`?)"
                .to_owned(),
        ),
        (
            "      - matching: {}",
            format!("7: {AT}: unrecognized field `matching` (did you mean `match`?)"),
        ),
        (
            "      - route: { timeOut: 1s }",
            format!("7: {AT}.route: unrecognized field `timeOut` (did you mean `timeout`?)"),
        ),
        (
            "      - route:\n          timeout: 5",
            format!(
                "8: {AT}.route.timeout: expected a duration such as `1.5s`, got the number `5`"
            ),
        ),
        (
            "      - route:\n          timeout: fast",
            format!(
                "8: {AT}.route.timeout: expected a duration such as `1.5s`, got the string `fast`"
            ),
        ),
        (
            "      - route:\n          cluster: 5",
            format!(
                "8: {AT}.route.cluster: expected a string, got the number `5`; put it in quotes"
            ),
        ),
        (
            "      - route:\n          weighted_clusters: { clusters: [{ name: a, weight: x }] }",
            format!(
                "8: {AT}.route.weighted_clusters.clusters[0].weight: \
                 expected an unsigned integer of 32 bits, got the string `x`"
            ),
        ),
        (
            "      - route:\n          weighted_clusters: { clusters: [{ name: a, weight: -1 }] }",
            format!(
                "8: {AT}.route.weighted_clusters.clusters[0].weight: \
                 expected an unsigned integer of 32 bits, got the number `-1`"
            ),
        ),
        (
            "      - route: { priority: HIHG }",
            format!("7: {AT}.route.priority: unrecognized value `HIHG` (did you mean `HIGH`?)"),
        ),
        (
            "      - route: { auto_host_rewrite: yes }",
            format!("7: {AT}.route.auto_host_rewrite: expected a boolean, got the string `yes`"),
        ),
        ("      - match: /", format!("7: {AT}.match: expected a mapping, got the string `/`")),
        (
            "      - match:\n          headers: { name: x }",
            format!("8: {AT}.match.headers: expected a list, got a mapping"),
        ),
        (
            "      - match:\n          prefix: /\n          path: /",
            format!("9: {AT}.match.path: multiple fields provided for oneof 'path_specifier'"),
        ),
        (
            "      - typed_per_filter_config: []",
            format!("7: {AT}.typed_per_filter_config: expected a mapping, got a list"),
        ),
        (
            "      - typed_per_filter_config:\n          envoy.filters.http.fault: {}",
            format!(
                "8: {AT}.typed_per_filter_config[\"envoy.filters.http.fault\"]: missing `@type`"
            ),
        ),
        (
            "      - typed_per_filter_config:\n          fault:\n            \"@type\": a/b.C",
            format!("9: {AT}.typed_per_filter_config.fault.@type: unknown type `a/b.C`"),
        ),
        (
            "      - typed_per_filter_config:\n          fault:\n            delay:\n              \
             fixedDelay: 1s\n              percentage: { numerator: 1, denominator: TEN }\n            \
             \"@type\": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            format!(
                "11: {AT}.typed_per_filter_config.fault.delay.percentage.denominator: \
                 unrecognized value `TEN`"
            ),
        ),
        (
            "      - typed_per_filter_config:\n          fault:\n            \
             \"@type\": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault\n            \
             abrt: {}",
            format!(
                "10: {AT}.typed_per_filter_config.fault: unrecognized field `abrt` \
                 (did you mean `abort`?)"
            ),
        ),
    ] {
        assert_eq!(route_error(route), format!("routes.yaml:{expected}"), "{route}");
    }
}

#[test]
fn documents_that_are_no_resources_are_refused() {
    const SHAPES: &str = "expected a resource with `@type`, a mapping with `resources`, a list of resources, or the \
         short form with `version: mesh/v1`";
    for (text, expected) in [
        ("name: x", format!("1: {SHAPES}")),
        ("---\n---\nhello", format!("3: {SHAPES}")),
        ("- name: x", "1: missing `@type`".to_owned()),
        ("- 5", "1: expected a resource, got the number `5`".to_owned()),
        ("resources: 5", "1: `resources` must be a list".to_owned()),
        ("version: 1\nresources: []", "1: unrecognized field `version`".to_owned()),
        (
            "version_inf: \"1\"\nresources: []",
            "1: unrecognized field `version_inf` (did you mean `version_info`?)".to_owned(),
        ),
        ("\"@type\": nonsense", "1: unknown type `nonsense`".to_owned()),
        ("\"@type\": [1]", "1: unknown type ``".to_owned()),
        (
            "\"@type\": type.googleapis.com/envoy.config.core.v3.Address",
            "1: envoy.config.core.v3.Address is not an xDS resource".to_owned(),
        ),
        ("a: 1\na: 2", "2:1: `a` is given twice, first on line 1".to_owned()),
        (
            "\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "1: `name` is missing or empty".to_owned(),
        ),
        (
            "\"@type\": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment\n\
             cluster_name: ''",
            "1: `cluster_name` is missing or empty".to_owned(),
        ),
    ] {
        assert_eq!(error(text), format!("routes.yaml:{expected}"), "{text}");
    }
}

#[test]
fn an_empty_file_is_one_that_is_being_written() {
    let empty = "routes.yaml: the file is empty; a file without resources says `[]`";
    assert_eq!(error(""), empty);
    assert_eq!(error("\u{feff}\r\n"), empty);
    let none = "routes.yaml: the file holds no document; a file without resources says `[]`";
    for begun in ["# A licence.\n", "---\n", "# A licence.\n---\n"] {
        assert_eq!(error(begun), none, "{begun}");
    }
    for none in ["[]", "resources: []"] {
        assert!(parse(none, Path::new("routes.yaml")).unwrap().is_empty(), "{none}");
    }
}

#[test]
fn a_name_given_twice_names_both_places() {
    let cluster = "\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: a\n";
    assert_eq!(
        error(&format!("{cluster}---\n{cluster}")),
        "routes.yaml:4: envoy.config.cluster.v3.Cluster `a` is already defined at routes.yaml:1"
    );
}
