use http::StatusCode;

use super::*;
use crate::matcher::{Fraction, HeaderMatcher, StringMatcher, ValueMatcher};

fn explained(table: &Table, request: &Request) -> String {
    table.explain(&request.head()).to_string()
}

#[test]
fn each_rule_says_why_it_does_not_match() {
    let mut builder = Table::builder();
    let cluster = |builder: &mut Builder, name| builder.cluster(name).unwrap();
    let (a, b) = (cluster(&mut builder, "a"), cluster(&mut builder, "b"));
    let entry = WeightedCluster::new;
    let split = Weighted::new(vec![entry(a, 1), entry(b, 3)]).unwrap();
    let secret = ValueMatcher::String(StringMatcher::exact("beta"));
    let path = |path| RouteMatch::new(path);
    let mut grpc = all();
    grpc.grpc_only = true;
    let mut some = all();
    some.fraction = Some(Fraction::per_million(5));
    let forward = |choice| Action::Forward(Forward::new(choice));
    let one = forward(ClusterChoice::One(a));
    let answer = Action::DirectResponse { status: StatusCode::NOT_FOUND, body: "".into() };
    let mut first = Route::new(path(PathMatcher::exact("/x")), one.clone());
    first.name = "first".into();
    let host = VirtualHost::new("shop", &["*.example"])
        .route(first)
        .route(Route::new(path(PathMatcher::prefix("/y").ignore_case()), one.clone()))
        .route(Route::new(path(PathMatcher::path_separated_prefix("/z").unwrap()), one.clone()))
        .route(Route::new(path(PathMatcher::safe_regex("/[0-9]+").unwrap()), one.clone()))
        .route(Route::new(grpc, one))
        .route(Route::new(
            all().header(HeaderMatcher::new("x-user", secret).unwrap()),
            answer.clone(),
        ))
        .route(Route::new(some, answer))
        .route(Route::new(all(), forward(ClusterChoice::Weighted(split))))
        .route(Route::new(all(), Action::NonForwarding));
    builder.virtual_host(host);
    let table = builder.build().unwrap();
    let request = request("Shop.Example", "/abc").header("x-user", "hidden").query("hidden");
    assert_eq!(
        explained(&table, &request),
        "POST Shop.Example /abc\n\
         virtual host shop: no exact domain, the longest suffix is *.example\n\
         \x20 rule 0 first: no, the path is not /x\n\
         \x20 rule 1: no, the path does not start with /y in any case\n\
         \x20 rule 2: no, the path is neither /z nor below it\n\
         \x20 rule 3: no, the path does not match /[0-9]+\n\
         \x20 rule 4: no, the request is not gRPC\n\
         \x20 rule 5: no, header x-user does not match\n\
         \x20 rule 6: for 5 in a million, answered with 404 Not Found; else on\n\
         \x20 rule 7: yes, to one of the clusters a (1 of 4) b (3 of 4)"
    );
}

#[test]
fn no_virtual_host_and_no_rule_are_said() {
    let none = table([VirtualHost::new("v", &["a"])]);
    let expect = "POST b /\nno virtual host has a domain for it: no route";
    assert_eq!(explained(&none, &request("b", "/")), expect);
    let expect = "POST a /\nvirtual host v: it has the domain a\nno rule is left: no route";
    assert_eq!(explained(&none, &request("a", "/")), expect);
}

#[test]
fn long_tables_and_texts_are_cut() {
    let rules =
        (0..5_000).map(|_| ("long", RouteMatch::new(PathMatcher::exact(&"/".repeat(9_999)))));
    let rest = [("rest\u{1b}", all())];
    let text = explained(&one_host(rules.chain(rest)), &request("h", "/"));
    let tail: Vec<_> = text.lines().rev().take(2).collect();
    assert_eq!(
        tail,
        ["  rule 5000 rest\\u{1b}: yes, served here", "  ... 4936 more that do not decide",]
    );
    assert!(text.lines().count() == 68 && text.len() < 15_000, "{}", text.len());
}
