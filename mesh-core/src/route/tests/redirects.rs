use super::*;

fn goes_to(redirect: &Redirect, authority: &'static str, path: &'static str) -> String {
    let request = match path.split_once('?') {
        Some((path, query)) => request(authority, path).query(query),
        None => request(authority, path),
    };
    redirect.location(&request.head(), "/a")
}

fn redirect(change: impl FnOnce(&mut Redirect)) -> Redirect {
    let mut redirect = Redirect::default();
    change(&mut redirect);
    redirect
}

#[test]
fn scheme_host_and_port_are_replaced() {
    let https = redirect(|r| r.scheme = Some("https".into()));
    let host = redirect(|r| r.host = Some("new".into()));
    let port = redirect(|r| r.port = Some(8443));
    let same = redirect(|r| r.scheme = Some("http".into()));
    for (redirect, authority, expect) in [
        (&https, "h", "https://h/a?q"),
        (&https, "h:80", "https://h/a?q"),
        (&https, "h:8080", "https://h:8080/a?q"),
        (&https, "h:443", "https://h:443/a?q"),
        (&https, "[::1]:80", "https://[::1]/a?q"),
        (&https, "[::80]", "https://[::80]/a?q"),
        (&same, "h:80", "http://h:80/a?q"),
        (&host, "h:80", "http://new/a?q"),
        (&port, "h:80", "http://h:8443/a?q"),
        (&port, "[::1]", "http://[::1]:8443/a?q"),
    ] {
        assert_eq!(goes_to(redirect, authority, "/a?q"), expect);
    }
}

#[test]
fn paths_are_replaced_and_queries_kept_or_stripped() {
    let path = |path| redirect(|r| r.path = path);
    let strip = |mut redirect: Redirect| {
        redirect.strip_query = true;
        redirect
    };
    let whole = path(PathRedirect::Replace("/new".into()));
    let own_query = path(PathRedirect::Replace("/new?own".into()));
    let prefix = path(PathRedirect::Prefix("/p".into()));
    let bare = path(PathRedirect::Prefix("p".into()));
    let regex = RegexRewrite::new("([0-9]+)/?", r"<\1>\\").unwrap();
    let regex = path(PathRedirect::Regex(regex));
    for (redirect, from, expect) in [
        (Redirect::default(), "/a?q", "http://h/a?q"),
        (strip(Redirect::default()), "/a?q", "http://h/a"),
        (whole.clone(), "/a/b?q", "http://h/new?q"),
        (whole.clone(), "/a/b", "http://h/new"),
        (strip(whole), "/a/b?q", "http://h/new"),
        (own_query.clone(), "/a?q", "http://h/new?own"),
        (strip(own_query), "/a?q", "http://h/new?own"),
        (prefix.clone(), "/a/b?q", "http://h/p/b?q"),
        (strip(prefix), "/a/b?q", "http://h/p/b"),
        (bare, "/a/b", "http://h/p/b"),
        (regex.clone(), "/a/12/3?45", r"http://h/a/<12>\<3>\?45"),
        (regex, "/a/b?45", "http://h/a/b?45"),
    ] {
        assert_eq!(goes_to(&redirect, "h", from), expect);
    }
}

#[test]
fn a_rewrite_to_nothing_or_too_much_changes_nothing() {
    assert_eq!(RegexRewrite::new(".*", "").unwrap().apply("/a"), None);
    assert_eq!(RegexRewrite::new("", &"x".repeat(70_000)).unwrap().apply("/a"), None);
    assert_eq!(RegexRewrite::new(".", "x").unwrap().apply("\u{e9}"), Some("xx".into()));
    assert_eq!(RegexRewrite::new("[^a]$", "x").unwrap().apply("\u{e9}"), None);
    assert_eq!(RegexRewrite::new("b*", "-").unwrap().apply("/a"), Some("-/-a-".into()));
}

#[test]
fn substitutions_refer_to_groups_that_exist() {
    let error = |pattern, substitution| RegexRewrite::new(pattern, substitution).map(|_| ());
    assert_eq!(error("(a)", r"\0\1"), Ok(()));
    for substitution in [r"\2", r"\", r"\x"] {
        assert_eq!(error("(a)", substitution), Err(crate::matcher::Error::Substitution));
    }
    assert!(matches!(error("(", ""), Err(crate::matcher::Error::Regex { .. })));
}

#[test]
fn codes_have_their_status() {
    let codes = [
        RedirectCode::MovedPermanently,
        RedirectCode::Found,
        RedirectCode::SeeOther,
        RedirectCode::TemporaryRedirect,
        RedirectCode::PermanentRedirect,
    ];
    assert_eq!(codes.map(|code| code.status().as_u16()), [301, 302, 303, 307, 308]);
}
