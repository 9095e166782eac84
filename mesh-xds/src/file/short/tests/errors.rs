use std::path::Path;

use super::document;
use crate::file::parse;

#[test]
fn errors_say_where_and_what() {
    for (service, expected) in [
        (
            "vresions: {}",
            "4:5: services.web: unrecognized field `vresions` (did you mean `versions`?)",
        ),
        (
            "timeout: 5",
            "4:14: services.web.timeout: expected a duration such as `500ms`, `2s` or `1m`, got the number `5`",
        ),
        (
            "timeout: 1e3s",
            "4:14: services.web.timeout: expected a duration such as `500ms`, `2s` or `1m`, got the string `1e3s`",
        ),
        ("timeout: 9000h", "4:14: services.web.timeout: longer than a year"),
        (
            "protocol: grcp",
            "4:15: services.web.protocol: unrecognized value `grcp` (did you mean `grpc`?)",
        ),
        (
            "balance: maglev",
            "4:14: services.web.balance: expected one of round_robin, least_request, random, pick_first, got the string `maglev`",
        ),
        (
            "balance: 5",
            "4:14: services.web.balance: expected a string, which takes quotes here, got the number `5`",
        ),
        (
            "routes: []\ntimeout:\nroute: []",
            "6:5: services.web: unrecognized field `route` (did you mean `routes`?)",
        ),
        ("protocol: grpc", "3:3: services.web: `versions` is missing or empty"),
        (
            "versions: { a: [], b: [] }",
            "3:3: services.web: with several versions, `routes` must say who gets what",
        ),
        (
            "versions: { redirect: [] }",
            "4:17: services.web.versions.redirect: a version's name has letters, digits, `.`, `-` and `_`, and is neither `redirect` nor `respond`",
        ),
        (
            "versions: { a: true }",
            "4:20: services.web.versions.a: expected an address, a list of endpoints, or a mapping, got the boolean `true`",
        ),
        (
            "versions: { a: localhost:80 }",
            "4:20: services.web.versions.a: `localhost:80` is a name (did you mean `dns:localhost:80`?)",
        ),
        (
            "versions: { a: [1.2.3.4] }",
            "4:21: services.web.versions.a[0]: expected `ip:port`, `[ip]:port`, `dns:host:port` or `unix:path`, got the string `1.2.3.4`",
        ),
        (
            "versions: { a: [1.2.3.4:80, 1.2.3.4:80] }",
            "4:33: services.web.versions.a[1]: the address stands twice",
        ),
        (
            "versions: { a: [dns:b:80, unix:/c] }",
            "4:31: services.web.versions.a[1]: a version with DNS names cannot have Unix sockets",
        ),
        (
            "versions: { a: [{ address: 1.2.3.4:80, priority: 1 }] }",
            "4:21: services.web.versions.a[0]: priority 0 has no endpoints, and priority 1 has",
        ),
        (
            "versions: { a: [{ weight: 1 }] }",
            "4:21: services.web.versions.a[0]: `address` is missing or empty",
        ),
        (
            "versions: { a: [{ address: 1.2.3.4:80, weight: 0 }] }",
            "4:52: services.web.versions.a[0].weight: expected a number from 1 to 1000000, got the number `0`",
        ),
        (
            "versions: { a: [] }\nroutes:\n- to: b",
            "6:11: services.web.routes[0].to: unknown version `b` (did you mean `a`?)",
        ),
        (
            "versions: { a: [] }\nroutes:\n- to: { a: 0 }",
            "6:11: services.web.routes[0].to: the weights sum to 0",
        ),
        (
            "versions: { a: [] }\nroutes:\n- to: { a: 1, c: 1 }",
            "6:19: services.web.routes[0].to.c: unknown version `c` (did you mean `a`?)",
        ),
        (
            "versions: { a: [] }\nroutes:\n- match: {}",
            "6:7: services.web.routes[0]: `to` is missing or empty",
        ),
        (
            "routes:\n- match: { path: /a, prefix: /b }\n  to: {}",
            "5:26: services.web.routes[0].match.prefix: `prefix` and `path` exclude each other",
        ),
        (
            "routes:\n- match: { path: a }\n  to: {}",
            "5:22: services.web.routes[0].match.path: a path starts with `/`",
        ),
        (
            "routes:\n- match: { method: get }\n  to: {}",
            "5:24: services.web.routes[0].match.method: expected a method such as `GET`, got the string `get`",
        ),
        (
            "routes:\n- match: { header: { x: 5 } }\n  to: {}",
            "5:29: services.web.routes[0].match.header.x: expected a string, which takes quotes here, got the number `5`",
        ),
        (
            "routes:\n- match: { header: { x: {} } }\n  to: {}",
            "5:29: services.web.routes[0].match.header.x: names none of exact, prefix, suffix, contains, regex, present",
        ),
        (
            "routes:\n- to: { respond: { status: 99 } }",
            "5:32: services.web.routes[0].to.respond.status: expected a number from 200 to 599, got the number `99`",
        ),
        (
            "routes:\n- to: { redirect: { code: 304 } }",
            "5:31: services.web.routes[0].to.redirect.code: expected one of 301, 302, 303, 307, 308, got the number `304`",
        ),
    ] {
        let error = parse(&document(service), Path::new("mesh.yaml")).unwrap_err();
        assert_eq!(error.to_string(), format!("mesh.yaml:{expected}"), "{service}");
    }
    let error =
        parse(&document("routes:\n- match: { regex: '(' }\n  to: {}"), Path::new("mesh.yaml"));
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("mesh.yaml:5:23: services.web.routes[0].match.regex: "), "{error}");
}

#[test]
fn errors_outside_of_services_say_so_too() {
    for (text, expected) in [
        ("services: {}", "1:1: `version` is missing or empty"),
        ("version: mesh/v2", "1:10: version: the only version is `mesh/v1`"),
        (
            "version: mesh/v1\nservcies: {}",
            "2:1: unrecognized field `servcies` (did you mean `services`?)",
        ),
        (
            "version: mesh/v1\nserver: { localhost:80: {} }",
            "2:11: server[\"localhost:80\"]: a server listens at `ip:port`, `[ip]:port` or `unix:path`",
        ),
        (
            "version: mesh/v1\nserver: { 0.0.0.0:80: { tsl: strict } }",
            "2:25: server[\"0.0.0.0:80\"]: unrecognized field `tsl`",
        ),
        (
            "version: mesh/v1\nserver: { 0.0.0.0:80: { max_concurrent_streams: 0 } }",
            "2:49: server[\"0.0.0.0:80\"].max_concurrent_streams: at least 1",
        ),
        (
            "version: mesh/v1\ndefaults: { protocol: grpc }",
            "2:13: defaults: unrecognized field `protocol`",
        ),
        (
            "version: mesh/v1\nservices: { 'a b': {} }",
            "2:13: services[\"a b\"]: a service's name has letters, digits, `.`, `-`, `_` and `:`",
        ),
    ] {
        let error = parse(text, Path::new("mesh.yaml")).unwrap_err();
        assert_eq!(error.to_string(), format!("mesh.yaml:{expected}"), "{text}");
    }
}
