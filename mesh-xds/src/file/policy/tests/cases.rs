//! What policies mean, case by case: what Istio documents of each field.

use super::{WORKLOAD, allows, policy};

/// The specification of a policy, and requests with whether it lets them pass.
type Case = (&'static str, &'static [(&'static str, bool)]);

#[test]
fn policies_mean_what_istio_documents() {
    let mut judged = 0;
    for (spec, requests) in CASES {
        let text = WORKLOAD.to_owned() + &policy(spec);
        for (request, expected) in *requests {
            assert_eq!(allows(&text, request), *expected, "{request}\n{spec}");
            judged += 1;
        }
    }
    assert!(judged >= 150, "{judged}");
}

const CASES: &[Case] = &[
    // Without rules nothing is allowed; a rule without anything allows everything.
    ("{}", &[("GET /", false), ("GET / as=td/ns/shop/sa/a", false)]),
    ("action: ALLOW", &[("GET /", false)]),
    ("rules: [{}]", &[("GET /", true), ("POST /x as=td/ns/a/sa/b", true)]),
    ("action: DENY\nrules: [{}]", &[("GET /", false)]),
    ("action: DENY", &[("GET /", true)]),
    ("action: AUDIT\nrules: [{}]", &[("GET /", true)]),
    // principals
    (
        "rules: [{ from: [{ source: { principals: [cluster.local/ns/shop/sa/cart] } }] }]",
        &[
            ("GET / as=td/ns/shop/sa/cart", true),
            ("GET / as=old/ns/shop/sa/cart", true),
            ("GET / as=cluster.local/ns/shop/sa/cart", false),
            ("GET / as=td/ns/shop/sa/cart2", false),
            ("GET /", false),
        ],
    ),
    (
        "rules: [{ from: [{ source: { principals: [td/ns/shop/sa/cart, other/ns/a/sa/b] } }] }]",
        &[
            ("GET / as=td/ns/shop/sa/cart", true),
            ("GET / as=old/ns/shop/sa/cart", true),
            ("GET / as=other/ns/a/sa/b", true),
            ("GET / as=td/ns/a/sa/b", false),
        ],
    ),
    (
        "rules: [{ from: [{ source: { principals: ['spiffe://td/ns/shop/sa/cart'] } }] }]",
        &[("GET / as=td/ns/shop/sa/cart", true), ("GET / as=td/ns/shop/sa/x", false)],
    ),
    (
        "rules: [{ from: [{ source: { principals: ['*'] } }] }]",
        &[("GET / as=td/ns/a/sa/b", true), ("GET /", false), ("GET / sni=a", false)],
    ),
    (
        "rules: [{ from: [{ source: { principals: ['cluster.local/ns/shop/*'] } }] }]",
        &[
            ("GET / as=td/ns/shop/sa/a", true),
            ("GET / as=old/ns/shop/sa/a", true),
            ("GET / as=td/ns/shopping/sa/a", false),
        ],
    ),
    (
        "rules: [{ from: [{ source: { principals: ['*/sa/cart'] } }] }]",
        &[("GET / as=x/ns/y/sa/cart", true), ("GET / as=x/ns/y/sa/cart2", false)],
    ),
    (
        "rules: [{ from: [{ source: { principals: ['*/sa/c.rt'] } }] }]",
        &[("GET / as=x/ns/y/sa/c.rt", true), ("GET / as=x/ns/y/sa/cart", false)],
    ),
    (
        "action: DENY\nrules: [{ from: [{ source: { notPrincipals: ['*'] } }] }]",
        &[("GET / as=td/ns/a/sa/b", true), ("GET /", false)],
    ),
    (
        "rules: [{ from: [{ source: { principals: ['*'], notPrincipals: [td/ns/a/sa/b] } }] }]",
        &[("GET / as=td/ns/a/sa/c", true), ("GET / as=td/ns/a/sa/b", false), ("GET /", false)],
    ),
    // namespaces
    (
        "rules: [{ from: [{ source: { namespaces: [shop] } }] }]",
        &[
            ("GET / as=any/ns/shop/sa/a", true),
            ("GET / as=any/ns/shops/sa/a", false),
            ("GET / as=any/ns/other/sa/shop", false),
            ("GET /", false),
        ],
    ),
    (
        "rules: [{ from: [{ source: { namespaces: ['shop*'] } }] }]",
        &[("GET / as=any/ns/shops/sa/a", true), ("GET / as=any/ns/ashop/sa/a", false)],
    ),
    (
        "rules: [{ from: [{ source: { namespaces: ['*-prod'] } }] }]",
        &[("GET / as=any/ns/shop-prod/sa/a", true), ("GET / as=any/ns/shop-test/sa/a", false)],
    ),
    (
        "action: DENY\nrules: [{ from: [{ source: { notNamespaces: [shop] } }] }]",
        &[
            ("GET / as=any/ns/shop/sa/a", true),
            ("GET / as=any/ns/other/sa/a", false),
            ("GET /", false),
        ],
    ),
    // service accounts
    (
        "rules: [{ from: [{ source: { serviceAccounts: [cart] } }] }]",
        &[
            ("GET / as=any/ns/shop/sa/cart", true),
            ("GET / as=any/ns/other/sa/cart", false),
            ("GET / as=any/ns/shop/sa/cart-2", false),
        ],
    ),
    (
        "rules: [{ from: [{ source: { serviceAccounts: [other/cart] } }] }]",
        &[("GET / as=any/ns/other/sa/cart", true), ("GET / as=any/ns/shop/sa/cart", false)],
    ),
    (
        "action: DENY\nrules: [{ from: [{ source: { notServiceAccounts: [cart] } }] }]",
        &[("GET / as=any/ns/shop/sa/cart", true), ("GET / as=any/ns/shop/sa/a", false)],
    ),
    // addresses
    (
        "rules: [{ from: [{ source: { ipBlocks: [10.0.0.0/24, 192.0.2.1] } }] }]",
        &[
            ("GET / ip=10.0.0.200", true),
            ("GET / ip=10.0.1.1", false),
            ("GET / ip=192.0.2.1", true),
            ("GET / ip=192.0.2.2", false),
        ],
    ),
    (
        "rules: [{ from: [{ source: { ipBlocks: ['2001:db8::/32'] } }] }]",
        &[("GET / ip=2001:db8::1", true), ("GET / ip=2001:db9::1", false), ("GET /", false)],
    ),
    (
        "action: DENY\nrules: [{ from: [{ source: { notIpBlocks: [10.0.0.0/8] } }] }]",
        &[("GET / ip=10.1.2.3", true), ("GET / ip=11.1.2.3", false)],
    ),
    (
        "rules: [{ from: [{ source: { remoteIpBlocks: [10.0.0.1] } }] }]",
        &[("GET / ip=10.0.0.1", true), ("GET / ip=10.0.0.2 h:x-forwarded-for=10.0.0.1", false)],
    ),
    (
        "action: DENY\nrules: [{ from: [{ source: { notRemoteIpBlocks: [10.0.0.1] } }] }]",
        &[("GET / ip=10.0.0.1", true), ("GET / ip=10.0.0.2", false)],
    ),
    // principals of tokens
    (
        "rules: [{ from: [{ source: { requestPrincipals: ['*'] } }] }]",
        &[("GET / c:iss=a c:sub=b", true), ("GET / c:iss=a", false), ("GET /", false)],
    ),
    (
        "rules: [{ from: [{ source: { requestPrincipals: ['https://idp/x/alice'] } }] }]",
        &[
            ("GET / c:iss=https://idp/x c:sub=alice", true),
            ("GET / c:iss=https://idp c:sub=x/alice", true),
            ("GET / c:iss=https://idp/ c:sub=x/alice", false),
            ("GET / c:iss=https://idp/x c:sub=bob", false),
        ],
    ),
    (
        "rules: [{ from: [{ source: { requestPrincipals: ['idp/*'] } }] }]",
        &[("GET / c:iss=idp c:sub=a", true), ("GET / c:iss=idp2 c:sub=a", false)],
    ),
    (
        "rules: [{ from: [{ source: { requestPrincipals: ['idp/al*'] } }] }]",
        &[("GET / c:iss=idp c:sub=alice", true), ("GET / c:iss=idp c:sub=bob", false)],
    ),
    (
        "rules: [{ from: [{ source: { requestPrincipals: ['*/alice'] } }] }]",
        &[("GET / c:iss=any c:sub=alice", true), ("GET / c:iss=any c:sub=malice", false)],
    ),
    (
        "rules: [{ from: [{ source: { requestPrincipals: ['*.test/alice'] } }] }]",
        &[("GET / c:iss=a.test c:sub=alice", true), ("GET / c:iss=a.tests c:sub=alice", false)],
    ),
    (
        "rules: [{ from: [{ source: { requestPrincipals: ['*ice'] } }] }]",
        &[("GET / c:iss=a c:sub=alice", true), ("GET / c:iss=a c:sub=bob", false)],
    ),
    (
        "rules: [{ from: [{ source: { requestPrincipals: ['idp*'] } }] }]",
        &[("GET / c:iss=idp.test c:sub=a", true), ("GET / c:iss=a c:sub=idp", false)],
    ),
    (
        "action: DENY\nrules: [{ from: [{ source: { notRequestPrincipals: ['*'] } }] }]",
        &[("GET / c:iss=a c:sub=b", true), ("GET /", false)],
    ),
    // all fields of a source must match, and one of the sources
    (
        "rules: [{ from: [{ source: { namespaces: [shop], ipBlocks: [10.0.0.1] } }] }]",
        &[
            ("GET / as=td/ns/shop/sa/a ip=10.0.0.1", true),
            ("GET / as=td/ns/shop/sa/a ip=10.0.0.2", false),
            ("GET / ip=10.0.0.1", false),
        ],
    ),
    (
        "rules: [{ from: [{ source: { namespaces: [a] } }, { source: { ipBlocks: [10.9.9.9] } }] }]",
        &[("GET / as=td/ns/a/sa/a", true), ("GET / ip=10.9.9.9", true), ("GET /", false)],
    ),
    // methods
    (
        "rules: [{ to: [{ operation: { methods: [GET, HEAD] } }] }]",
        &[("GET /", true), ("HEAD /", true), ("POST /", false)],
    ),
    (
        "rules: [{ to: [{ operation: { methods: ['P*'] } }] }]",
        &[("POST /", true), ("PUT /", true), ("GET /", false)],
    ),
    ("rules: [{ to: [{ operation: { methods: ['*'] } }] }]", &[("PURGE /", true)]),
    (
        "rules: [{ to: [{ operation: { notMethods: [DELETE] } }] }]",
        &[("GET /", true), ("DELETE /", false)],
    ),
    // paths
    (
        "rules: [{ to: [{ operation: { paths: [/info] } }] }]",
        &[
            ("GET /info", true),
            ("GET /info?a=b", true),
            ("GET /info/", false),
            ("GET /Info", false),
        ],
    ),
    (
        "rules: [{ to: [{ operation: { paths: ['/info*'] } }] }]",
        &[("GET /info", true), ("GET /information", true), ("GET /in", false)],
    ),
    (
        "rules: [{ to: [{ operation: { paths: ['*/info'] } }] }]",
        &[("GET /a/info", true), ("GET /a/info/b", false)],
    ),
    ("rules: [{ to: [{ operation: { paths: ['*'] } }] }]", &[("GET /", true)]),
    (
        "action: DENY\nrules: [{ to: [{ operation: { notPaths: [/public, '/static/*'] } }] }]",
        &[("GET /public", true), ("GET /static/a", true), ("GET /static", false)],
    ),
    (
        "rules: [{ to: [{ operation: { paths: ['/shops/{*}/carts'] } }] }]",
        &[
            ("GET /shops/1/carts", true),
            ("GET /shops/1/2/carts", false),
            ("GET /shops//carts", false),
            ("GET /shops/1/carts/2", false),
        ],
    ),
    (
        "rules: [{ to: [{ operation: { paths: ['/shops/{**}'] } }] }]",
        &[("GET /shops/1/carts", true), ("GET /shop", false)],
    ),
    (
        "rules: [{ to: [{ operation: { paths: ['/a/{*}/b/{**}'] } }] }]",
        &[("GET /a/1/b/2/3", true), ("GET /a/1/c/2", false)],
    ),
    // hosts: without regard to case, and with the port if there is one
    (
        "rules: [{ to: [{ operation: { hosts: [Shop.test] } }] }]",
        &[
            ("GET / host=shop.test", true),
            ("GET / host=SHOP.test", true),
            ("GET / host=shop.test:80", false),
            ("GET /", false),
        ],
    ),
    (
        "rules: [{ to: [{ operation: { hosts: ['*.test'] } }] }]",
        &[("GET / host=a.TEST", true), ("GET / host=test", false)],
    ),
    (
        "rules: [{ to: [{ operation: { hosts: ['shop.test*'] } }] }]",
        &[("GET / host=shop.test:8080", true), ("GET / host=ashop.test", false)],
    ),
    (
        "action: DENY\nrules: [{ to: [{ operation: { notHosts: [shop.test, '*.shop.test'] } }] }]",
        &[("GET / host=shop.test", true), ("GET / host=a.shop.test", true), ("GET /", false)],
    ),
    // ports
    (
        "rules: [{ to: [{ operation: { ports: ['8080', '8443'] } }] }]",
        &[("GET / port=8080", true), ("GET / port=8443", true), ("GET / port=80", false)],
    ),
    (
        "action: DENY\nrules: [{ to: [{ operation: { notPorts: ['8080'] } }] }]",
        &[("GET / port=8080", true), ("GET / port=80", false)],
    ),
    // all fields of an operation must match, and one of the operations
    (
        "rules: [{ to: [{ operation: { methods: [GET], paths: ['/a*'] } }, { operation: { methods: [POST], paths: [/b] } }] }]",
        &[("GET /a1", true), ("POST /b", true), ("POST /a1", false), ("GET /b", false)],
    ),
    // from, to and when of a rule must match, and one of the rules
    (
        "rules:\n- from: [{ source: { namespaces: [a] } }]\n  to: [{ operation: { methods: [GET] } }]\n- to: [{ operation: { paths: [/healthz] } }]",
        &[
            ("GET / as=td/ns/a/sa/b", true),
            ("POST / as=td/ns/a/sa/b", false),
            ("GET /", false),
            ("POST /healthz", true),
        ],
    ),
    (
        "rules: [{ from: [{ source: { namespaces: [a] } }], when: [{ key: 'request.headers[x-v]', values: [v1] }] }]",
        &[
            ("GET / as=td/ns/a/sa/b h:x-v=v1", true),
            ("GET / as=td/ns/a/sa/b", false),
            ("GET / h:x-v=v1", false),
        ],
    ),
    // when
    (
        "rules: [{ when: [{ key: 'request.headers[User-Agent]', values: ['Mozilla/*'] }] }]",
        &[
            ("GET / h:user-agent=Mozilla/5.0", true),
            ("GET / h:user-agent=curl", false),
            ("GET /", false),
        ],
    ),
    (
        "rules: [{ when: [{ key: 'request.headers[x]', values: ['*'] }] }]",
        &[("GET / h:x=1", true), ("GET /", false)],
    ),
    (
        "action: DENY\nrules: [{ when: [{ key: 'request.headers[x]', notValues: ['ok'] }] }]",
        &[("GET / h:x=ok", true), ("GET / h:x=no", false), ("GET /", false)],
    ),
    // Of two values one matches: what denies fires, what allows does not.
    (
        "rules: [{ when: [{ key: 'request.headers[x]', values: [a] }] }]",
        &[("GET / h:x=a h:x=b", false), ("GET / h:x=a", true)],
    ),
    (
        "action: DENY\nrules: [{ when: [{ key: 'request.headers[x]', values: [a] }] }]",
        &[("GET / h:x=b h:x=a", false), ("GET / h:x=b", true)],
    ),
    (
        "rules: [{ when: [{ key: source.ip, values: [10.0.0.0/24] }] }]",
        &[("GET / ip=10.0.0.9", true), ("GET / ip=10.0.1.9", false)],
    ),
    (
        "rules: [{ when: [{ key: remote.ip, notValues: [10.0.0.0/24] }] }]",
        &[("GET / ip=10.0.0.9", false), ("GET / ip=10.0.1.9", true)],
    ),
    (
        "rules: [{ when: [{ key: source.namespace, values: [a] }] }]",
        &[("GET / as=x/ns/a/sa/b", true), ("GET / as=x/ns/b/sa/a", false)],
    ),
    (
        "rules: [{ when: [{ key: source.principal, values: [cluster.local/ns/a/sa/b] }] }]",
        &[("GET / as=td/ns/a/sa/b", true), ("GET / as=td/ns/a/sa/c", false)],
    ),
    (
        "rules: [{ when: [{ key: request.auth.principal, values: [idp/alice] }] }]",
        &[("GET / c:iss=idp c:sub=alice", true), ("GET / c:iss=idp c:sub=bob", false)],
    ),
    (
        "rules: [{ when: [{ key: request.auth.audiences, values: [shop.test] }] }]",
        &[
            ("GET / c:aud=shop.test", true),
            ("GET / c:aud=x,shop.test", true),
            ("GET / c:aud=x,y", false),
            ("GET /", false),
        ],
    ),
    (
        "rules: [{ when: [{ key: request.auth.presenter, values: ['app-*'] }] }]",
        &[("GET / c:azp=app-1", true), ("GET / c:azp=bot", false)],
    ),
    (
        "rules: [{ when: [{ key: 'request.auth.claims[groups]', values: [admin] }] }]",
        &[
            ("GET / c:groups=admin", true),
            ("GET / c:groups=user,admin", true),
            ("GET / c:groups=user,other", false),
        ],
    ),
    (
        "rules: [{ when: [{ key: 'request.auth.claims[realm][role]', values: ['a*'] }] }]",
        &[("GET / c:realm.role=admin", true), ("GET / c:role=admin", false)],
    ),
    (
        "action: DENY\nrules: [{ when: [{ key: 'request.auth.claims[iss]', notValues: [idp] }] }]",
        &[("GET / c:iss=idp", true), ("GET / c:iss=other", false), ("GET /", false)],
    ),
    ("rules: [{ when: [{ key: destination.ip, values: [10.9.0.0/16] }] }]", &[("GET /", true)]),
    ("rules: [{ when: [{ key: destination.ip, notValues: [10.9.9.9] }] }]", &[("GET /", false)]),
    (
        "rules: [{ when: [{ key: destination.port, values: ['80', '443'] }] }]",
        &[("GET / port=443", true), ("GET / port=8080", false)],
    ),
    (
        "rules: [{ when: [{ key: connection.sni, values: ['*.test'] }] }]",
        &[("GET / sni=a.test", true), ("GET / sni=a.other", false), ("GET /", false)],
    ),
    (
        "rules: [{ when: [{ key: 'experimental.envoy.filters.http.jwt_authn[payload]', values: [x] }] }]",
        &[("GET /", false)],
    ),
    (
        "rules: [{ when: [{ key: source.ip, values: [10.0.0.1] }, { key: 'request.headers[x]', values: ['1'] }] }]",
        &[("GET / h:x=1", true), ("GET /", false), ("GET / h:x=1 ip=10.0.0.2", false)],
    ),
];
