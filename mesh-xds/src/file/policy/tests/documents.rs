//! Documents: which policies are for whom, and how several work together.

use super::{WORKLOAD, allows, policy, read};
use crate::file::print::{Secrets, yaml};

/// A document with this head, and rules that allow `GET`.
fn headed(head: &str, spec: &str) -> String {
    format!("{head}\nspec: {{ {spec} }}\n---\n")
}

const ISTIO: &str = "apiVersion: security.istio.io/v1beta1\nkind: AuthorizationPolicy";
const GET: &str = "rules: [{ to: [{ operation: { methods: [GET] } }] }]";

#[test]
fn the_seed_group_means_the_same() {
    let text = "apiVersion: security.mesh.io/v1beta1
kind: AuthorizationPolicy
metadata:
  name: orders
spec:
  rules:
  - from:
    - source:
        principals: [cluster.local/ns/default/sa/backend]
    to:
    - operation:
        methods: [GET, POST]
";
    let backend = "as=cluster.local/ns/default/sa/backend";
    assert!(allows(text, &format!("GET / {backend}")));
    assert!(allows(text, &format!("POST / {backend}")));
    assert!(!allows(text, &format!("DELETE / {backend}")));
    assert!(!allows(text, "GET / as=cluster.local/ns/default/sa/frontend"));
}

#[test]
fn what_denies_goes_before_what_allows_and_one_that_allows_shuts_out_the_rest() {
    let deny = headed(
        &format!("{ISTIO}\nmetadata: {{ name: d }}"),
        "action: DENY, rules: [{ to: [{ operation: { paths: [/admin] } }] }]",
    );
    let allow = headed(&format!("{ISTIO}\nmetadata: {{ name: a }}"), GET);
    let more = headed(
        &format!("{ISTIO}\nmetadata: {{ name: b }}"),
        "rules: [{ to: [{ operation: { methods: [PUT] } }] }]",
    );
    assert!(allows(&deny, "POST /x") && !allows(&deny, "POST /admin"));
    let both = format!("{deny}{allow}");
    assert!(allows(&both, "GET /x") && !allows(&both, "GET /admin") && !allows(&both, "POST /x"));
    let all = format!("{allow}{deny}{more}");
    assert!(allows(&all, "PUT /x") && allows(&all, "GET /x") && !allows(&all, "PUT /admin"));
    let nothing = headed(&format!("{ISTIO}\nmetadata: {{ name: n }}"), "");
    assert!(!allows(&nothing, "GET /") && allows(&format!("{nothing}{allow}"), "GET /"));
}

#[test]
fn a_policy_is_for_its_namespace_and_for_those_it_selects() {
    // A policy that does not apply leaves everything open.
    for (head, applies) in [
        ("metadata: { name: p, namespace: shop }", true),
        ("metadata: { name: p, namespace: other }", false),
        ("metadata: { name: p, namespace: istio-system }", true),
    ] {
        let text = format!("{WORKLOAD}{}", headed(&format!("{ISTIO}\n{head}"), GET));
        assert_eq!(!allows(&text, "POST /"), applies, "{head}");
    }
    for (selector, applies) in [
        ("{}", true),
        ("{ matchLabels: {} }", true),
        ("{ matchLabels: { app: web } }", true),
        ("{ matchLabels: { app: cart } }", false),
        ("{ matchLabels: { app: web, version: v1 } }", false),
    ] {
        let spec = format!("selector: {selector}, {GET}");
        let text =
            format!("{WORKLOAD}{}", headed(&format!("{ISTIO}\nmetadata: {{ name: p }}"), &spec));
        assert_eq!(!allows(&text, "POST /"), applies, "{selector}");
    }
}

#[test]
fn a_dry_run_is_evaluated_and_not_enforced() {
    let head =
        format!("{ISTIO}\nmetadata: {{ name: p, annotations: {{ istio.io/dry-run: 'true' }} }}");
    let text = headed(&head, GET);
    assert!(allows(&text, "POST /"));
    let resources = read(&text).unwrap();
    let rules = crate::parse::authorizer(&resources[0].value).unwrap();
    assert_eq!(&*rules.shadow_prefix, "istio_dry_run_allow_");
    let shadow = super::asked("POST /", |facts| rules.judge(facts).shadow.unwrap().is_allowed());
    assert!(!shadow && rules.enforced.is_none());
}

#[test]
fn lists_hold_policies_as_kubectl_prints_them() {
    let item = "{ apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: { name: p, uid: x }, spec: { rules: [] }, status: {} }";
    assert!(!allows(&format!("apiVersion: v1\nkind: List\nitems: [{item}]"), "GET /"));
    assert!(!allows(&format!("- {item}"), "GET /"));
}

#[test]
fn policies_print_as_the_filter_that_they_stand_for() {
    let spec = "action: DENY\nrules: [{ from: [{ source: { notNamespaces: [shop] } }], to: [{ operation: { methods: [GET], paths: ['/a*'] } }] }]";
    let resources = read(&policy(spec)).unwrap();
    let [resource] = &*resources else { panic!("{resources:?}") };
    assert_eq!(resource.origin.to_string(), "p.yaml:1");
    let text = yaml(&resource.type_url, &resource.value, Secrets::Show).unwrap();
    assert_eq!(
        text,
        "'@type': type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig
name: authorization/deny
typed_config:
  '@type': type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
  rules:
    action: DENY
    policies:
      ns[default]-policy[p]-rule[0]:
        permissions:
        - and_rules:
            rules:
            - header:
                name: :method
                string_match:
                  exact: GET
            - url_path:
                path:
                  prefix: /a
        principals:
        - not_id:
            authenticated:
              principal_name:
                safe_regex:
                  regex: .*/ns/shop/.*
"
    );
    // What is printed can be read again, as the long form.
    let again = read(&text).unwrap();
    assert_eq!(again[0].value, resource.value);
}

#[test]
fn a_token_is_kept_for_whoever_verifies_it() {
    let text = "apiVersion: security.mesh.io/v1beta1
kind: BreakGlass
metadata: { name: fire }
spec: { token: a.b.c }
";
    let resources = read(text).unwrap();
    let [resource] = &*resources else { panic!("{resources:?}") };
    assert!(resource.is_break_glass() && !resource.is_authorization());
    assert_eq!(crate::file::policy::token(resource).as_deref(), Some("a.b.c"));
    let printed = yaml(&resource.type_url, &resource.value, Secrets::Show).unwrap();
    assert_eq!(read(&printed).unwrap()[0].value, resource.value);
    assert_eq!(
        read(&text.replace("mesh.io", "istio.io")).unwrap_err(),
        "p.yaml:1:13: apiVersion: a BreakGlass is of the group `security.mesh.io/v1beta1`"
    );
    assert_eq!(
        read(&text.replace("a.b.c", "''")).unwrap_err(),
        "p.yaml:4:16: spec.token: may not be empty"
    );
}

/// What is to be said of policies with these rules, each a document: lint, line and text.
fn lints(policies: &[(&str, &str)]) -> Vec<String> {
    let document = |(at, (action, rule)): (usize, &(&str, &str))| {
        let head = format!("{ISTIO}\nmetadata: {{ name: p{at} }}");
        headed(&head, &format!("action: {action}, rules: [{rule}]"))
    };
    let text: String = policies.iter().enumerate().map(document).collect();
    let contents = [(std::path::PathBuf::from("p.yaml"), text.into_bytes())];
    let registry = crate::parse::Registry::default();
    let set = crate::file::set::Set::of(&contents, Some(&registry));
    set.notes.iter().map(ToString::to_string).collect()
}

#[test]
fn rules_that_open_everything_or_decide_nothing_are_found() {
    let (get, admin) = (
        "{ to: [{ operation: { methods: [GET] } }] }",
        "{ to: [{ operation: { methods: [GET] } }], from: [{ source: { namespaces: [a] } }] }",
    );
    assert_eq!(lints(&[("ALLOW", get), ("DENY", admin)]), [""; 0]);
    assert_eq!(
        lints(&[("ALLOW", "{}")]),
        ["p.yaml:4: ns[default]-policy[p0]-rule[0] allows everything to everybody [allow-all]"]
    );
    assert_eq!(
        lints(&[("ALLOW", get), ("ALLOW", admin)]),
        [
            "p.yaml:9: ns[default]-policy[p1]-rule[0] allows only what ns[default]-policy[p0]-rule[0] at p.yaml:4 allows [unreachable-rule]"
        ]
    );
    assert_eq!(
        lints(&[("ALLOW", admin), ("DENY", get)]),
        [
            "p.yaml:4: ns[default]-policy[p0]-rule[0] allows only what ns[default]-policy[p1]-rule[0] at p.yaml:9 denies [unreachable-rule]"
        ]
    );
    assert_eq!(
        lints(&[("DENY", get), ("DENY", get)]),
        [
            "p.yaml:9: ns[default]-policy[p1]-rule[0] denies only what ns[default]-policy[p0]-rule[0] at p.yaml:4 denies [unreachable-rule]"
        ]
    );
    assert_eq!(
        lints(&[("DENY", "")]),
        ["p.yaml:1: without `rules` it matches nothing [unreachable-rule]"]
    );
}

/// A policy that asks for mutual TLS, of the mode that `spec` has.
fn peer(spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{ name: q }}\nspec: {spec}\n---\n"
    )
}

#[test]
fn strict_also_denies_requests_of_clients_without_a_certificate() {
    let (known, unknown) = ("GET / as=td/ns/a/sa/b port=80", "GET / port=80");
    let strict = peer("{ mtls: { mode: STRICT } }");
    assert!(allows(&strict, known) && !allows(&strict, unknown) && !allows(&strict, "GET / sni=a"));
    for lax in ["PERMISSIVE", "DISABLE", "UNSET"] {
        let policy = peer(&format!("{{ mtls: {{ mode: {lax} }} }}"));
        assert!(allows(&policy, known) && allows(&policy, unknown));
    }
    let selector = "selector: { matchLabels: { app: web } }";
    let ports = |mode: &str, port: &str| {
        let spec = format!(
            "{{ {selector}, mtls: {{ mode: {mode} }}, portLevelMtls: {{ 81: {{ mode: {port} }} }} }}"
        );
        WORKLOAD.to_owned() + &peer(&spec)
    };
    let open = ports("STRICT", "PERMISSIVE");
    assert!(!allows(&open, unknown) && allows(&open, "GET / port=81"));
    let shut = ports("UNSET", "STRICT");
    assert!(allows(&shut, unknown) && !allows(&shut, "GET / port=81"));
    assert!(allows(&shut, "GET / port=81 as=td/ns/a/sa/b"));
    let twice = strict.clone() + &strict.replace("name: q", "name: r");
    assert_eq!(
        read(&twice).unwrap_err(),
        "p.yaml:6:1: is for the same workloads as the one at p.yaml:1"
    );
}
