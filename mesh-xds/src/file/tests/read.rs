use std::{fs, io, path::Path};

use envoy_types::pb::envoy::config::{
    cluster::v3::Cluster, listener::v3::Listener, route::v3::RouteConfiguration,
};
use prost::Message;

use crate::file::{FileResource, Why, parse, read};

const CLUSTER: &str = "\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\n";

fn names(resources: &[FileResource]) -> Vec<&str> {
    resources.iter().map(|resource| resource.name.as_str()).collect()
}

#[test]
fn all_shapes_of_documents_are_read() {
    let text = format!(
        "# nothing but a comment\n---\n{CLUSTER}name: a\n---\nversion_info: \"3\"\nresources:\n\
         - {{ \"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster, name: b }}\n---\n\
         - \"@type\": any.authority/envoy.config.listener.v3.Listener\n  name: c\n\
         - \"@type\": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment\n  \
         cluster_name: d\n---\n\
         \"@type\": type.googleapis.com/envoy.service.discovery.v3.DiscoveryResponse\n"
    ) + "resources: []\n";
    let resources = parse(&text, Path::new("all.yaml")).unwrap();
    let seen: Vec<String> = resources
        .iter()
        .map(|it| format!("{} {} {}", it.origin, it.name, it.type_url.rsplit('.').next().unwrap()))
        .collect();
    assert_eq!(
        seen,
        [
            "all.yaml:3 a Cluster",
            "all.yaml:8 b Cluster",
            "all.yaml:10 c Listener",
            "all.yaml:12 d ClusterLoadAssignment",
        ]
    );
    assert!(resources.iter().all(|it| it.type_url.starts_with("type.googleapis.com/envoy.")));
}

#[test]
fn messages_are_what_the_generated_types_decode() {
    let text = r#"
"@type": type.googleapis.com/envoy.config.listener.v3.Listener
name: greeter
api_listener:
  api_listener:
    # The type may come after what it types.
    route_config: { name: r, virtualHosts: [{ name: v, domains: ["*"] }] }
    "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
    http_filters:
      - name: router
        typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
"#;
    let resources = parse(text, Path::new("l.yaml")).unwrap();
    let listener = Listener::decode(resources[0].value.clone()).unwrap();
    let any = listener.api_listener.unwrap().api_listener.unwrap();
    let manager = envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager::decode(any.value.as_slice()).unwrap();
    assert_eq!(manager.http_filters[0].name, "router");
}

#[test]
fn typed_structs_and_metadata_are_read() {
    let text = r#"
"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster
name: a
connect_timeout: 0.25s
metadata: { filter_metadata: { x: { "@type": kept, deep: [1, { a: null }] } } }
load_balancing_policy:
  policies:
    - typed_extension_config:
        name: custom
        typed_config:
          "@type": type.googleapis.com/xds.type.v3.TypedStruct
          type_url: type.googleapis.com/my.Policy
          value: { choices: 2 }
"#;
    let resources = parse(text, Path::new("c.yaml")).unwrap();
    let cluster = Cluster::decode(resources[0].value.clone()).unwrap();
    assert_eq!(cluster.connect_timeout.unwrap().nanos, 250_000_000);
    let metadata = &cluster.metadata.unwrap().filter_metadata["x"];
    assert!(metadata.fields.contains_key("@type"));
    let policy = &cluster.load_balancing_policy.unwrap().policies[0];
    let any = policy.typed_extension_config.as_ref().unwrap().typed_config.as_ref().unwrap();
    assert_eq!(any.type_url, "type.googleapis.com/xds.type.v3.TypedStruct");
}

#[test]
fn json_files_are_read() {
    let text = "{\n\t\"resources\": [\n\t\t{\"@type\": \
                \"type.googleapis.com/envoy.config.route.v3.RouteConfiguration\", \
                \"name\": \"r\", \"virtualHosts\": [{\"name\": \"v\", \"domains\": [\"*\"]}]}\n\t]\n}";
    let resources = parse(text, Path::new("r.json")).unwrap();
    let routes = RouteConfiguration::decode(resources[0].value.clone()).unwrap();
    assert_eq!(routes.virtual_hosts[0].domains, ["*"]);
    assert_eq!(resources[0].origin.line, 3);
}

#[test]
fn a_directory_is_read_in_order_without_hidden_files() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("b.yml", &format!("{CLUSTER}name: second"));
    write("a.yaml", &format!("{CLUSTER}name: first"));
    write("c.JSON", "[]");
    write(".hidden.yaml", "not: read");
    write("notes.txt", "not read");
    fs::create_dir(directory.path().join("d.yaml")).unwrap();
    assert_eq!(names(&read(directory.path()).unwrap()), ["first", "second"]);
    assert_eq!(names(&read(&directory.path().join("b.yml")).unwrap()), ["second"]);
}

#[cfg(unix)]
#[test]
fn a_mounted_config_map_is_read_once() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("..2026_11_20");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("a.yaml"), format!("{CLUSTER}name: a")).unwrap();
    std::os::unix::fs::symlink("..2026_11_20", directory.path().join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/a.yaml", directory.path().join("a.yaml")).unwrap();
    assert_eq!(names(&read(directory.path()).unwrap()), ["a"]);
}

#[test]
fn problems_across_files_name_the_files() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a.yaml", "b.yaml"] {
        fs::write(directory.path().join(name), format!("{CLUSTER}name: same")).unwrap();
    }
    let error = read(directory.path()).unwrap_err();
    assert_eq!(error.file(), directory.path().join("b.yaml"));
    assert!(
        matches!(error.why(), Why::Duplicate { first, .. }
            if *first.file == *directory.path().join("a.yaml") && first.line == 1),
        "{error}"
    );

    fs::write(directory.path().join("b.yaml"), b"a: 1\nb: \xff\n").unwrap();
    let error = read(directory.path()).unwrap_err();
    assert_eq!((error.line(), error.why()), (Some(2), &Why::Syntax("not UTF-8".to_owned())));

    let missing = read(Path::new("no/such/place")).unwrap_err();
    assert!(matches!(missing.why(), Why::Io { kind: io::ErrorKind::NotFound, .. }), "{missing}");
}
