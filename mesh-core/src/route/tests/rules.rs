use super::*;
use crate::matcher::{
    Fraction, HeaderMatcher, ParameterMatcher, QueryMatcher, StringMatcher, ValueMatcher,
};

fn exact(path: &str) -> RouteMatch {
    RouteMatch::new(PathMatcher::exact(path))
}

fn prefix(prefix: &str) -> RouteMatch {
    RouteMatch::new(PathMatcher::prefix(prefix))
}

fn below(prefix: &str) -> RouteMatch {
    RouteMatch::new(PathMatcher::path_separated_prefix(prefix).unwrap())
}

fn regex(pattern: &str) -> RouteMatch {
    RouteMatch::new(PathMatcher::safe_regex(pattern).unwrap())
}

fn x_is(value: &str) -> HeaderMatcher {
    let value = ValueMatcher::String(StringMatcher::exact(value));
    HeaderMatcher::new("x", value).unwrap()
}

fn share(mut matcher: RouteMatch, numerator: u32) -> RouteMatch {
    matcher.fraction = Some(Fraction::per_million(numerator));
    matcher
}

fn any_case(path: PathMatcher) -> RouteMatch {
    RouteMatch::new(path.ignore_case())
}

#[test]
fn the_first_rule_that_matches_wins_whatever_its_kind() {
    let table = one_host([
        ("a1", exact("/a").header(x_is("1"))),
        ("regex", regex("/[ab]")),
        ("a2", exact("/a")),
        ("bc", prefix("/b")),
        ("sep", below("/seg/x")),
        ("seg", prefix("/seg/xy")),
        ("any", any_case(PathMatcher::prefix("/CASE"))),
        ("anyexact", any_case(PathMatcher::exact("/Deep/Case"))),
        ("regex2", regex("/c[0-9]+").header(x_is("1"))),
        ("regex3", regex("/c.*")),
        ("rest", prefix("/")),
    ]);
    for (path, plain, with_x) in [
        ("/a", "regex", "a1"),
        ("/b", "regex", "regex"),
        ("/bc", "bc", "bc"),
        ("/seg/x", "sep", "sep"),
        ("/seg/x/y", "sep", "sep"),
        ("/seg/xy", "seg", "seg"),
        ("/seg", "rest", "rest"),
        ("/CaSe/1", "any", "any"),
        ("/dEEP/cASE", "anyexact", "anyexact"),
        ("/deep/case/", "rest", "rest"),
        ("/c12", "regex3", "regex2"),
        ("/cx", "regex3", "regex3"),
        ("*", "-", "-"),
        ("", "-", "-"),
    ] {
        assert_eq!(&*found(&table, &request("h", path), &mut certain()), plain, "{path}");
        let request = request("h", path).header("x", "1");
        assert_eq!(&*found(&table, &request, &mut certain()), with_x, "{path} with x");
    }
}

#[test]
fn a_rejected_regex_gives_way_to_the_next_one() {
    let table = one_host([
        ("1", regex("/a.*").header(x_is("1"))),
        ("plain", prefix("/ab").header(x_is("2"))),
        ("3", regex("/abc").header(x_is("3"))),
        ("4", regex("/.b.").header(x_is("4"))),
        ("5", regex("/zzz")),
    ]);
    let cases = [("1", "1"), ("2", "plain"), ("3", "3"), ("4", "4"), ("5", "-")];
    for (value, expect) in cases {
        let request = request("h", "/abc").header("x", value);
        assert_eq!(&*found(&table, &request, &mut certain()), expect);
    }
}

#[test]
fn many_nested_prefixes_keep_their_order() {
    let text = "/abcdefghijklmnopqrst";
    // The longest first, and of each the header decides.
    let rule = |length: usize| {
        let name: &str = text[..length].to_owned().leak();
        (name, prefix(name).header(x_is(name)))
    };
    let table = one_host((1..=text.len()).rev().map(rule).chain([("rest", prefix(""))]));
    for length in [1, 2, 8, 9, 20, 21] {
        let wanted: &'static str = &text[..length];
        let request = request("h", text).header("x", wanted);
        assert_eq!(&*found(&table, &request, &mut certain()), wanted);
    }
    assert_eq!(&*found(&table, &request("h", text), &mut certain()), "rest");
}

#[test]
fn protocol_and_query_are_conditions() {
    let mut grpc = all();
    grpc.grpc_only = true;
    let mut query = all();
    query.query.push(QueryMatcher::new("q", ParameterMatcher::Present(true)));
    let table = one_host([("grpc", grpc), ("query", query), ("rest", all())]);
    let name = |request: Request| found(&table, &request, &mut certain());
    assert_eq!(&*name(request("h", "/").grpc()), "grpc");
    assert_eq!(&*name(request("h", "/").query("q")), "query");
    assert_eq!(&*name(request("h", "/")), "rest");
}

#[test]
fn each_fraction_draws_once_in_order_when_all_else_holds() {
    let half = 1u32 << 31;
    let table = one_host([
        ("other", share(prefix("/other"), 1_000_000)),
        ("header", share(all().header(x_is("1")), 1_000_000)),
        ("first", share(regex("/.*"), 250_000)),
        ("second", share(prefix("/"), 500_000)),
        ("rest", share(prefix("/"), 1_000_000)),
    ]);
    // (draws, route); the script must be used up.
    for (draws, expect) in [
        (vec![0], "first"),
        (vec![half, 0], "second"),
        (vec![half / 2, half - 1], "second"),
        (vec![half / 2, half, u32::MAX], "rest"),
    ] {
        let mut rng = Script(draws);
        assert_eq!(&*found(&table, &request("h", "/"), &mut rng), expect);
        assert_eq!(rng.0, [0u32; 0]);
    }
}

#[test]
fn no_rule_is_an_error_with_the_virtual_host() {
    let table = one_host([("a", exact("/a"))]);
    let error = table.find(&request("h", "/b").head(), &mut certain()).unwrap_err();
    assert_eq!(error.to_string(), "no route of virtual host \"v\" matches");
}

#[test]
fn ids_are_dense_over_all_virtual_hosts() {
    let host = |name, domain| {
        VirtualHost::new(name, &[domain]).route(named("1", exact("/a"))).route(named("2", all()))
    };
    let table = table([host("v", "a"), host("w", "b")]);
    let ids: Vec<_> = table.routes().iter().map(|route| route.id().as_usize()).collect();
    assert_eq!(ids, [0, 1, 2, 3]);
    let route = table.find(&request("b", "/x").head(), &mut certain()).unwrap();
    assert_eq!((route.id().as_usize(), &**route.virtual_host()), (3, "w"));
}

#[test]
fn too_many_patterns_are_an_error() {
    let large = regex("/[a-f]{9000}");
    let build = |count: usize| {
        let routes = std::iter::repeat_n(named("r", large.clone()), count);
        let mut builder = Table::builder();
        builder.virtual_host(routes.fold(VirtualHost::new("v", &["*"]), VirtualHost::route));
        builder.build().map(|_| ())
    };
    assert_eq!(build(2), Ok(()));
    let error = build(200).unwrap_err().to_string();
    let why = "path patterns are too large together: more than 33554432 bytes";
    assert_eq!(error, format!("virtual host \"v\": {why}"));
}
