use super::*;

fn hosts(table: &Table, authority: &'static str) -> Arc<str> {
    let request = request(authority, "/");
    let route = table.find(&request.head(), &mut certain());
    route.map_or("-".into(), |route| Arc::clone(route.virtual_host()))
}

fn served(names: &[&str]) -> Vec<VirtualHost> {
    let host = |name: &&str| VirtualHost::new(name, &[name]).route(named("r", all()));
    names.iter().map(host).collect()
}

//= A28 § Virtual host matching: exact, then suffix, then prefix, then any; the longest of a kind
#[test]
fn the_most_specific_domain_wins() {
    let names = [
        "*",
        "foo.bar.*",
        "*.bar.com",
        "foo.bar.com",
        "v2.foo.bar.com",
        "*.159",
        "314.*",
        "foo.*",
        "*-x.bar.com",
        "[::1]",
        "host:80",
    ];
    let table = table(served(&names));
    for (authority, expect) in [
        ("foo.bar.com", "foo.bar.com"),
        ("FOO.Bar.com", "foo.bar.com"),
        ("123.bar.com", "*.bar.com"),
        ("foo.bar.org", "foo.bar.*"),
        ("foo.baz.org", "foo.*"),
        ("abc.123", "*"),
        ("v2.foo.bar.com", "v2.foo.bar.com"),
        ("v3.foo.bar.com", "*.bar.com"),
        ("foo.bar.159", "*.159"),
        ("314.bar.com", "*.bar.com"),
        ("314.bar.org", "314.*"),
        ("a-x.bar.com", "*-x.bar.com"),
        (".bar.com", "*"),
        ("314.", "*"),
        ("foo.bar.com:80", "foo.bar.*"),
        ("host:80", "host:80"),
        ("host", "*"),
        ("[::1]", "[::1]"),
        ("", "*"),
        ("\u{e9}", "*"),
    ] {
        assert_eq!(&*hosts(&table, authority), expect, "{authority}");
    }
}

#[test]
fn the_port_is_ignored_only_on_demand() {
    let mut builder = Table::builder();
    for host in served(&["a.com", "b.com:80", "[::1]"]) {
        builder.virtual_host(host);
    }
    builder.ignore_port();
    let table = builder.build().unwrap();
    let cases =
        [("A.com:443", "a.com"), ("a.com", "a.com"), ("b.com:80", "-"), ("[::1]:8", "[::1]")];
    for (authority, expect) in cases {
        assert_eq!(&*hosts(&table, authority), expect, "{authority}");
    }
    assert_eq!(&*hosts(&table, "[::1]"), "[::1]");
}

#[test]
fn an_authority_without_virtual_host_has_no_route() {
    let table = table(served(&["a.com"]));
    let head = request("b.com", "/");
    assert_eq!(table.find(&head.head(), &mut certain()), Err(NoRoute::VirtualHost));
}

#[test]
fn unusable_domains_are_errors() {
    let build = |domains: &[&[&str]]| {
        let mut builder = Table::builder();
        for (at, domains) in domains.iter().enumerate() {
            builder.virtual_host(VirtualHost::new(&format!("v{at}"), domains));
        }
        builder.build().map(|_| ()).map_err(|error| error.to_string())
    };
    let invalid = |domain| Err(format!("virtual host \"v0\": invalid domain {domain:?}"));
    for domain in ["", "a*b", "*a*", "**", "a**"] {
        assert_eq!(build(&[&[domain]]), invalid(domain));
    }
    assert_eq!(build(&[&[]]), Err("virtual host \"v0\" has no domains".into()));
    let twice =
        |host, domain| Err(format!("virtual host {host:?}: domain {domain:?} is listed before"));
    assert_eq!(build(&[&["a.com"], &["b.com", "A.com"]]), twice("v1", "a.com"));
    assert_eq!(build(&[&["*.com", "*.com"]]), twice("v0", "*.com"));
    assert_eq!(build(&[&["a.*"], &["a.*"]]), twice("v1", "a.*"));
    assert_eq!(build(&[&["*"], &["*"]]), twice("v1", "*"));
    assert_eq!(build(&[&["a", "*a", "a*"], &["*"]]), Ok(()));
}
