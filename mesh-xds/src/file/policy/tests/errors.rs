//! What is refused, and where.

use super::{policy, read};

/// The specification of a policy that starts on line 5, and what is said of it.
const REFUSED: &[(&str, &str)] = &[
    ("rulez: []", "p.yaml:5:3: spec: unrecognized field `rulez` (did you mean `rules`?)"),
    (
        "action: DENNY",
        "p.yaml:5:11: spec.action: unrecognized value `DENNY` (did you mean `DENY`?)",
    ),
    (
        "action: CUSTOM\nprovider: { name: x }",
        "p.yaml:5:11: spec.action: CUSTOM asks an external service, which policies in files cannot",
    ),
    ("provider: { name: x }", "p.yaml:5:3: spec.provider: goes with the action CUSTOM only"),
    (
        "targetRefs: []",
        "p.yaml:5:3: spec.targetRefs: is for gateways and waypoints: use `selector`",
    ),
    ("rules: 1", "p.yaml:5:10: spec.rules: expected a list, got the number `1`"),
    (
        "rules:\n- from: []",
        "p.yaml:6:11: spec.rules[0].from: is empty, which asks for nothing: leave it out",
    ),
    ("rules:\n- from:\n", "p.yaml:6:9: spec.rules[0].from: expected a list, got null"),
    (
        "rules:\n- from:\n  - source: {}",
        "p.yaml:7:15: spec.rules[0].from[0].source: says nothing: everybody is meant by no `from` at all",
    ),
    (
        "rules:\n- from:\n  - source:\n      principals: []",
        "p.yaml:8:21: spec.rules[0].from[0].source.principals: is empty, which asks for nothing: leave it out",
    ),
    (
        "rules:\n- from:\n  - source:\n      principals: ['']",
        "p.yaml:8:22: spec.rules[0].from[0].source.principals[0]: may not be empty",
    ),
    (
        "rules:\n- from:\n  - source:\n      principals: ['a*b']",
        "p.yaml:8:22: spec.rules[0].from[0].source.principals[0]: `*` may only stand alone, or at one end",
    ),
    (
        "rules:\n- from:\n  - source:\n      ipBlock: [10.0.0.1]",
        "p.yaml:8:9: spec.rules[0].from[0].source: unrecognized field `ipBlock` (did you mean `ipBlocks`?)",
    ),
    (
        "rules:\n- from:\n  - source:\n      ipBlocks: [10.0.0.1, 10.0.0.0/33]",
        "p.yaml:8:30: spec.rules[0].from[0].source.ipBlocks[1]: expected an IP address or a range such as `10.0.0.0/8`",
    ),
    (
        "rules:\n- from:\n  - source:\n      namespaces: [a]\n      serviceAccounts: [b]",
        "p.yaml:9:26: spec.rules[0].from[0].source.serviceAccounts: excludes `namespaces`, which is in the service account already",
    ),
    (
        "rules:\n- from:\n  - source:\n      serviceAccounts: [a/b/c]",
        "p.yaml:8:27: spec.rules[0].from[0].source.serviceAccounts[0]: a service account is `name` or `namespace/name`, without `*`",
    ),
    (
        "rules:\n- to:\n  - operation:\n      ports: ['http']",
        "p.yaml:8:17: spec.rules[0].to[0].operation.ports[0]: a port is a number from 1 to 65535",
    ),
    (
        "rules:\n- to:\n  - operation:\n      paths: ['/a/{**}/{*}']",
        "p.yaml:8:17: spec.rules[0].to[0].operation.paths[0]: the path template has an operator after **",
    ),
    (
        "rules:\n- to:\n  - operation:\n      paths: ['/a/{*}/*']",
        "p.yaml:8:17: spec.rules[0].to[0].operation.paths[0]: a template of a path has `{*}` and `{**}`, and no other `*`",
    ),
    ("rules:\n- to: [{}]", "p.yaml:6:10: spec.rules[0].to[0]: `operation` is missing or empty"),
    (
        "rules:\n- when: [{ key: source.ip }]",
        "p.yaml:6:12: spec.rules[0].when[0]: needs `values` or `notValues`",
    ),
    (
        "rules:\n- when: [{ key: source.pi, values: [a] }]",
        "p.yaml:6:19: spec.rules[0].when[0].key: unrecognized value `source.pi` (did you mean `source.ip`?)",
    ),
    (
        "rules:\n- when: [{ key: 'request.headers[', values: [a] }]",
        "p.yaml:6:19: spec.rules[0].when[0].key: expected a name in brackets",
    ),
    (
        "rules:\n- when: [{ key: 'request.headers[grpc-x]', values: [a] }]",
        "p.yaml:6:19: spec.rules[0].when[0].key: \"grpc-x\" may not be matched",
    ),
    (
        "selector: { matchLabels: { app: web } }",
        "p.yaml:5:35: spec.selector.matchLabels.app: the labels of this workload are not known: `workload` says them",
    ),
    (
        "selector: { matchLabels: { app: 'web*' } }",
        "p.yaml:5:35: spec.selector.matchLabels.app: labels are compared as they are, without `*`",
    ),
];

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let said = |spec: &str| read(&policy(spec)).unwrap_err();
    let wrong = REFUSED.iter().filter(|(spec, expected)| said(spec) != *expected);
    let wrong: Vec<String> = wrong.map(|(spec, _)| said(spec)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn heads_are_refused_with_their_place() {
    let cases = [
        (
            "apiVersion: security.istio.io/v2\nkind: AuthorizationPolicy",
            "p.yaml:1:13: apiVersion: unrecognized value `security.istio.io/v2` (did you mean `security.istio.io/v1`?)",
        ),
        (
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolice",
            "p.yaml:2:7: kind: unrecognized value `AuthorizationPolice` (did you mean `AuthorizationPolicy`?)",
        ),
        (
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nspec: {}",
            "p.yaml:1:1: `metadata` is missing or empty",
        ),
        (
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p }",
            "p.yaml:1:1: `spec` is missing or empty",
        ),
        (
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, namespace: a }\nspec: {}",
            "p.yaml:3:33: metadata.namespace: the namespace of this workload is not known: `workload` says it",
        ),
        (
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: p, annotations: { istio.io/dry-run: yes } }\nspec: {}",
            "p.yaml:3:55: metadata.annotations[\"istio.io/dry-run\"]: expected one of true, false, got the string `yes`",
        ),
    ];
    let wrong = cases.iter().map(|(text, expected)| (read(text).unwrap_err(), *expected));
    let wrong: Vec<_> = wrong.filter(|(said, expected)| said != expected).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let twice = format!("{}---\n{}", policy("{}"), policy("{}"));
    assert_eq!(
        read(&twice).unwrap_err(),
        "p.yaml:7:1: AuthorizationPolicy `default/p` is already defined at p.yaml:1"
    );
}
