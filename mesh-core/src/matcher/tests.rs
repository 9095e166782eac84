use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;
use crate::request::{Protocol, RequestHead};
use crate::rng::Rng;

fn string(text: &str) -> ValueMatcher {
    ValueMatcher::String(StringMatcher::exact(text))
}

/// Asks `matcher` about a request with these fields.
fn asks(matcher: &HeaderMatcher, protocol: Protocol, fields: &[(&str, &[u8])]) -> bool {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    matcher.matches(&RequestHead {
        method: &Method::POST,
        scheme: "https",
        authority: "greeter:80",
        path: "/pkg.Svc/Do",
        query: Some("a=1"),
        headers: &headers,
        protocol,
    })
}

#[test]
fn strings_match_by_kind_and_case() {
    type Build = fn(&str) -> Result<StringMatcher, Error>;
    let exact: Build = |s| Ok(StringMatcher::exact(s));
    let (prefix, suffix): (Build, Build) = (StringMatcher::prefix, StringMatcher::suffix);
    let (contains, regex): (Build, Build) = (StringMatcher::contains, StringMatcher::safe_regex);
    // (kind, pattern, value, matches, matches when the case is ignored)
    let table: &[(Build, &str, &[u8], bool, bool)] = &[
        (exact, "Ab", b"Ab", true, true),
        (exact, "Ab", b"aB", false, true),
        (exact, "Ab", b"Abc", false, false),
        (exact, "", b"", true, true),
        (exact, "", b"a", false, false),
        (prefix, "Ab", b"Abc", true, true),
        (prefix, "Ab", b"abc", false, true),
        (prefix, "Ab", b"A", false, false),
        (prefix, "Ab", b"xAb", false, false),
        (suffix, "Ab", b"xAb", true, true),
        (suffix, "Ab", b"xab", false, true),
        (suffix, "Ab", b"b", false, false),
        (suffix, "Ab", b"Abx", false, false),
        (contains, "A.b", b"xA.bx", true, true),
        (contains, "A.b", b"xa.Bx", false, true),
        (contains, "A.b", b"xAxbx", false, false),
        (contains, "A.b", b"", false, false),
        (contains, "b", b"\xff\xfeb\xff", true, true),
        (regex, "a+", b"aaa", true, true),
        (regex, "a+", b"baaa", false, false),
        (regex, "a+", b"aaa\n", false, false),
        (regex, "A", b"a", false, false),
        (regex, "a|ab", b"ab", true, true),
        (regex, "x.y", b"x\xffy", true, true),
        (regex, "(?i)A", b"a", true, true),
        (regex, r"\d", b"7", true, true),
        (regex, "", b"", true, true),
    ];
    for (build, pattern, value, plain, ignoring) in table {
        let matcher = build(pattern).unwrap();
        let context = format!("{matcher:?} {value:?}");
        assert_eq!(matcher.matches(value), *plain, "{context}");
        assert_eq!(matcher.ignore_case().unwrap().matches(value), *ignoring, "{context}, any case");
    }
}

#[test]
fn unusable_patterns_are_errors() {
    let empty = |what| Err(Error::Empty { what });
    assert_eq!(StringMatcher::prefix(""), empty("prefix"));
    assert_eq!(StringMatcher::suffix(""), empty("suffix"));
    assert_eq!(StringMatcher::contains(""), empty("contains"));
    for pattern in ["a)|(b", "(", r"\pL", "(a{1000}){1000}", "(?x)a # open", &"(".repeat(9_999)] {
        let error = StringMatcher::safe_regex(pattern).unwrap_err();
        assert!(matches!(&error, Error::Regex { why } if why.len() <= 200), "{error}");
    }
    assert_eq!(FullRegex::new("a)|(b").unwrap_err().to_string(), "invalid regex: unopened group");
    for name in ["", "a b", ":status", ":x"] {
        assert_eq!(HeaderMatcher::new(name, string("")), Err(Error::HeaderName), "{name:?}");
    }
    for prefix in ["", "/", "/a/", "/a?b", "/a#b"] {
        assert_eq!(PathMatcher::path_separated_prefix(prefix), Err(Error::SeparatedPrefix));
    }
}

#[test]
fn absent_headers_match_only_where_presence_is_asked() {
    let range = ValueMatcher::Range { start: 0, end: 10 };
    let (present, absent) = (ValueMatcher::Present(true), ValueMatcher::Present(false));
    // (question, [plain, inverted, missing as empty, both])
    let table = [
        (string("x"), [false, false, false, true]),
        (string(""), [false, false, true, false]),
        (range, [false, false, false, true]),
        (present, [false, true, true, false]),
        (absent, [true, false, false, true]),
    ];
    for (value, expect) in table {
        let plain = HeaderMatcher::new("x-a", value).unwrap();
        let inverted = plain.clone().inverted();
        let empty = plain.clone().missing_as_empty();
        let both = inverted.clone().missing_as_empty();
        let answers = [&plain, &inverted, &empty, &both].map(|m| asks(m, Protocol::Http, &[]));
        assert_eq!(answers, expect, "{plain:?}");
    }
}

#[test]
fn present_headers_match_by_value_and_inversion() {
    let range = |start, end| ValueMatcher::Range { start, end };
    // (question, value, matches); inverted is always the opposite.
    let table: &[(ValueMatcher, &[u8], bool)] = &[
        (string("x"), b"x", true),
        (string("x"), b"y", false),
        (range(1, 10), b"1", true),
        (range(1, 10), b"9", true),
        (range(1, 10), b"10", false),
        (range(1, 10), b"0", false),
        (range(-5, 0), b"-5", true),
        (range(1, 10), b"+7", true),
        (range(1, 10), b" 7 ", true),
        (range(1, 10), b"7x", false),
        (range(1, 10), b"0x7", false),
        (range(1, 10), b"7.0", false),
        (range(1, 10), b"", false),
        (range(1, 10), b"\xff", false),
        (range(i64::MIN, i64::MAX), b"9223372036854775808", false),
        (range(10, 1), b"5", false),
        (ValueMatcher::Present(true), b"", true),
        (ValueMatcher::Present(false), b"x", false),
    ];
    for (value, sent, expect) in table {
        let matcher = HeaderMatcher::new("X-A", value.clone()).unwrap();
        let fields = [("x-a", *sent)];
        assert_eq!(asks(&matcher, Protocol::Http, &fields), *expect, "{matcher:?} {sent:?}");
        assert_eq!(asks(&matcher.inverted(), Protocol::Http, &fields), !expect);
    }
}

#[test]
fn repeated_headers_are_joined() {
    let fields: &[(&str, &[u8])] = &[("x-a", b"1"), ("x-b", b"-"), ("x-a", b"2"), ("x-a", b"3")];
    let matches = |value| asks(&HeaderMatcher::new("x-a", value).unwrap(), Protocol::Grpc, fields);
    assert!(matches(string("1,2,3")));
    assert!(!matches(string("1")));
    assert!(!matches(ValueMatcher::Range { start: 0, end: 9 }));
}

#[test]
fn grpc_and_http_see_different_headers() {
    let fields: &[(&str, &[u8])] = &[
        ("content-type", b"application/grpc+proto"),
        ("x-bin", b"AA"),
        ("grpc-timeout", b"1S"),
        ("host", b"other"),
    ];
    // (name, value over gRPC, value over HTTP)
    let table = [
        ("content-type", Some("application/grpc"), Some("application/grpc+proto")),
        ("x-bin", None, Some("AA")),
        ("grpc-timeout", None, Some("1S")),
        (":method", Some("POST"), Some("POST")),
        (":scheme", Some("https"), Some("https")),
        (":authority", Some("greeter:80"), Some("greeter:80")),
        ("Host", Some("greeter:80"), Some("greeter:80")),
        (":path", Some("/pkg.Svc/Do?a=1"), Some("/pkg.Svc/Do?a=1")),
    ];
    for (name, grpc, http) in table {
        for (protocol, seen) in [(Protocol::Grpc, grpc), (Protocol::Http, http)] {
            let question = seen.map_or(ValueMatcher::Present(false), string);
            let matcher = HeaderMatcher::new(name, question).unwrap();
            assert!(asks(&matcher, protocol, fields), "{name} {protocol:?}");
        }
    }
}

#[test]
fn paths_match_and_say_which_part() {
    let separated = |p| PathMatcher::path_separated_prefix(p).unwrap();
    let table = [
        (PathMatcher::exact("/a"), "/a", Some("/a")),
        (PathMatcher::exact("/a"), "/A", None),
        (PathMatcher::exact("/a").ignore_case(), "/A", Some("/A")),
        (PathMatcher::prefix("/a"), "/ab/c", Some("/a")),
        (PathMatcher::prefix("/a"), "/", None),
        (PathMatcher::prefix("/A").ignore_case(), "/ab", Some("/a")),
        (PathMatcher::prefix(""), "/x", Some("")),
        (PathMatcher::prefix("no-slash"), "/no-slash", None),
        (PathMatcher::prefix("/\u{e9}"), "/\u{e9}x", Some("/\u{e9}")),
        (PathMatcher::prefix("/a"), "/\u{e9}", None),
        (separated("/a"), "/a", Some("/a")),
        (separated("/a"), "/a/b", Some("/a")),
        (separated("/a"), "/ab", None),
        (separated("/A").ignore_case(), "/a/b", Some("/a")),
        (PathMatcher::safe_regex("/[a-z]+").unwrap(), "/abc", Some("/abc")),
        (PathMatcher::safe_regex("/[a-z]+").unwrap(), "/abc/d", None),
        (PathMatcher::safe_regex("/a").unwrap().ignore_case(), "/A", None),
    ];
    for (matcher, path, expect) in table {
        assert_eq!(matcher.matched(path), expect, "{matcher:?} {path}");
    }
}

#[test]
fn query_parameters_are_raw_and_the_first_counts() {
    let (method, headers) = (Method::GET, HeaderMap::new());
    let exact = |text| ParameterMatcher::String(StringMatcher::exact(text));
    let table = [
        ("a", exact("1"), Some("a=1&a=2"), true),
        ("a", exact("2"), Some("a=1&a=2"), false),
        ("a", exact(""), Some("b=1&a"), true),
        ("a", exact("x%20y"), Some("a=x%20y"), true),
        ("a", exact("x y"), Some("a=x%20y"), false),
        ("a", exact("1=2"), Some("a=1=2"), true),
        ("A", exact("1"), Some("a=1"), false),
        ("a", exact(""), Some(""), false),
        ("a", exact(""), None, false),
        ("a", ParameterMatcher::Present(true), Some("&&a=1"), true),
        ("a", ParameterMatcher::Present(true), None, false),
        ("a", ParameterMatcher::Present(false), Some("b=a"), true),
        ("a", ParameterMatcher::Present(false), Some("a"), false),
    ];
    for (name, value, query, expect) in table {
        let matcher = QueryMatcher::new(name, value);
        let head = RequestHead {
            method: &method,
            scheme: "http",
            authority: "h",
            path: "/",
            query,
            headers: &headers,
            protocol: Protocol::Http,
        };
        assert_eq!(matcher.matches(&head), expect, "{matcher:?} {query:?}");
    }
}

/// Gives this number again and again.
struct Always(u64);

impl Rng for Always {
    fn next_u64(&mut self) -> u64 {
        self.0
    }
}

#[test]
fn fractions_are_compared_with_less_than() {
    let lowest = |n| Fraction::per_million(n).decide(&mut Always(0));
    let highest = |n| Fraction::per_million(n).decide(&mut Always(u64::MAX));
    assert_eq!([0, 1, 1_000_000].map(lowest), [false, true, true]);
    assert_eq!([0, 999_999, 1_000_000, 2_000_000].map(highest), [false, false, true, true]);
    let half = |draw| Fraction::per_million(500_000).decide(&mut Always(draw));
    assert_eq!((half((1 << 63) - 1), half(1 << 63)), (true, false));
}
