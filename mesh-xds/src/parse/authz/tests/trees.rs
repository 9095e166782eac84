//! Trees of matchers.

use envoy_types::pb::envoy::config::rbac::v3::rbac::Action;
use envoy_types::pb::envoy::extensions::matching::common_inputs::network::v3::*;
use envoy_types::pb::envoy::extensions::matching::common_inputs::ssl::v3::{
    DnsSanInput, SubjectInput, UriSanInput,
};
use envoy_types::pb::envoy::extensions::matching::input_matchers::ip::v3::Ip;
use envoy_types::pb::envoy::extensions::matching::input_matchers::metadata::v3::Metadata as MetadataInput;
use envoy_types::pb::envoy::r#type::matcher::v3::{
    HttpRequestHeaderMatchInput, HttpResponseHeaderMatchInput,
};
use envoy_types::pb::xds::core::v3::TypedExtensionConfig;
use envoy_types::pb::xds::r#type::matcher::v3 as xds;
use xds::Matcher;
use xds::matcher::matcher_list::predicate::single_predicate::Matcher as Ask;
use xds::matcher::matcher_list::predicate::{MatchType, PredicateList, SinglePredicate};
use xds::matcher::matcher_list::{FieldMatcher, Predicate};
use xds::matcher::matcher_tree::{MatchMap, TreeType};
use xds::matcher::on_match::OnMatch as To;
use xds::matcher::{MatcherList, MatcherTree, MatcherType, OnMatch};

use super::*;

fn extend<M: Message + Name>(message: &M) -> TypedExtensionConfig {
    TypedExtensionConfig { name: "x".into(), typed_config: Some(packed(message)) }
}

fn to(action: Action) -> OnMatch {
    let action = pb::Action { name: "a".into(), action: action.into() };
    OnMatch { on_match: Some(To::Action(extend(&action))), keep_matching: false }
}

fn text(text: &str) -> Ask {
    let pattern = xds::string_matcher::MatchPattern::Exact(text.into());
    Ask::ValueMatch(xds::StringMatcher { match_pattern: Some(pattern), ignore_case: false })
}

fn header_input(name: &str) -> TypedExtensionConfig {
    extend(&HttpRequestHeaderMatchInput { header_name: name.into() })
}

fn single(input: TypedExtensionConfig, ask: Ask) -> Predicate {
    let single = SinglePredicate { input: Some(input), matcher: Some(ask) };
    Predicate { match_type: Some(MatchType::SinglePredicate(single)) }
}

/// Allows what `predicate` holds for.
fn list(predicate: Predicate) -> Matcher {
    let field = FieldMatcher { predicate: Some(predicate), on_match: Some(to(Action::Allow)) };
    let list = MatcherList { matchers: vec![field] };
    Matcher { matcher_type: Some(MatcherType::MatcherList(list)), on_no_match: None }
}

fn map(tree_type: fn(MatchMap) -> TreeType, input: &str, key: &str) -> Matcher {
    let map = MatchMap { map: [(key.to_owned(), to(Action::Allow))].into() };
    let tree = MatcherTree { input: Some(header_input(input)), tree_type: Some(tree_type(map)) };
    Matcher { matcher_type: Some(MatcherType::MatcherTree(tree)), on_no_match: None }
}

fn parse(matcher: Matcher) -> Result<Authorizer, String> {
    super::parse(&Rbac { matcher: Some(matcher), ..Default::default() })
}

/// Whether `predicate` holds, also under three levels of AND, OR and NOT.
fn holds(predicate: Predicate) -> bool {
    let not = |predicate: Predicate| Predicate {
        match_type: Some(MatchType::NotMatcher(Box::new(predicate))),
    };
    let pair = |one, other| PredicateList { predicate: vec![one, other] };
    let any = |one, other| Predicate { match_type: Some(MatchType::OrMatcher(pair(one, other))) };
    let all = |one, other| Predicate { match_type: Some(MatchType::AndMatcher(pair(one, other))) };
    let never = || single(header_input("x-a"), text("nothing"));
    let nested = all(any(never(), not(not(predicate.clone()))), not(never()));
    let answers = [predicate.clone(), nested, not(predicate)]
        .map(|predicate| allows(&parse(list(predicate)).unwrap()));
    assert_eq!([answers[0], !answers[0]], [answers[1], answers[2]]);
    answers[0]
}

#[test]
fn every_input_is_read() {
    for (input, value) in [
        (header_input("x-a"), "1"),
        (header_input(":path"), "/pkg.Svc/Do"),
        (extend(&ServerNameInput {}), "shop"),
        (extend(&SourceIpInput {}), "10.0.0.1"),
        (extend(&DirectSourceIpInput {}), "10.0.0.1"),
        (extend(&SourcePortInput {}), "4711"),
        (extend(&DestinationIpInput {}), "10.0.9.9"),
        (extend(&DestinationPortInput {}), "443"),
        (extend(&UriSanInput {}), "spiffe://td/a"),
        (extend(&DnsSanInput {}), "a.test"),
        (extend(&SubjectInput {}), "CN=a"),
    ] {
        assert!(holds(single(input.clone(), text(value))), "{value}");
        assert!(!holds(single(input, text("x"))), "{value}");
    }
    let ranges = |length| {
        let cidr_ranges = vec![cidr("11.0.0.0", 8), cidr("10.0.0.0", length)];
        Ask::CustomMatch(extend(&Ip { cidr_ranges, stat_prefix: "x".into() }))
    };
    assert!(holds(single(extend(&SourceIpInput {}), ranges(24))));
    assert!(!holds(single(extend(&DestinationIpInput {}), ranges(24))));
    let segment = dynamic_metadata_input::path_segment::Segment::Key("k".into());
    let segment = dynamic_metadata_input::PathSegment { segment: Some(segment) };
    let from = DynamicMetadataInput { filter: "ns".into(), path: vec![segment] };
    for (value, expect) in [("v", true), ("w", false)] {
        let value = metadata("ns", "k", value).value;
        let ask = Ask::CustomMatch(extend(&MetadataInput { value, invert: false }));
        assert_eq!(holds(single(extend(&from), ask)), expect);
    }
}

#[test]
fn maps_and_nested_trees_lead_to_actions() {
    let allowed = |matcher| allows(&parse(matcher).unwrap());
    assert!(allowed(map(TreeType::ExactMatchMap, "x-a", "1")));
    assert!(!allowed(map(TreeType::ExactMatchMap, "x-a", "")));
    assert!(allowed(map(TreeType::PrefixMatchMap, ":path", "/pkg.")));
    assert!(!allowed(map(TreeType::PrefixMatchMap, ":path", "/pkg/")));
    let inner = To::Matcher(Box::new(map(TreeType::ExactMatchMap, "x-a", "1")));
    let inner = OnMatch { on_match: Some(inner), keep_matching: false };
    assert!(allowed(Matcher { matcher_type: None, on_no_match: Some(Box::new(inner)) }));
    // An empty one allows nothing.
    assert!(!allowed(Matcher::default()));
}

#[test]
fn what_is_not_understood_is_refused() {
    let at = |matcher| {
        let text = parse(matcher).unwrap_err();
        let (path, _) = text.split_once(": ").unwrap();
        path.strip_prefix("matcher").unwrap().trim_start_matches('.').to_owned()
    };
    let in_list = |predicate| {
        let path = at(list(predicate));
        path.strip_prefix("matcher_list.matchers[0].").unwrap().to_owned()
    };
    let in_single = |input: TypedExtensionConfig, ask| {
        let path = in_list(single(input, ask));
        path.strip_prefix("predicate.single_predicate.").unwrap().to_owned()
    };
    let response = extend(&HttpResponseHeaderMatchInput { header_name: "x".into() });
    assert_eq!(in_single(response, text("x")), "input.typed_config");
    assert_eq!(in_single(Default::default(), text("x")), "input.typed_config");
    let hidden = header_input("Grpc-Timeout");
    assert_eq!(in_single(hidden, text("x")), "input.typed_config.header_name");
    let source = || extend(&SourceIpInput {});
    assert_eq!(in_single(source(), Ask::ValueMatch(Default::default())), "value_match");
    let unknown = Ask::CustomMatch(extend(&ServerNameInput {}));
    assert_eq!(in_single(source(), unknown), "custom_match.typed_config");
    let empty = Ask::CustomMatch(extend(&Ip::default()));
    assert_eq!(in_single(source(), empty), "custom_match.typed_config.cidr_ranges");
    let ip = Ip { cidr_ranges: vec![cidr("10.0.0.0", 8)], ..Default::default() };
    assert_eq!(in_single(header_input("x-a"), Ask::CustomMatch(extend(&ip))), "input");
    assert_eq!(in_list(Predicate::default()), "predicate");
    let one = PredicateList { predicate: vec![single(source(), text("x"))] };
    let one = Predicate { match_type: Some(MatchType::AndMatcher(one)) };
    assert_eq!(in_list(one), "predicate.and_matcher.predicate");

    let acting = |action| {
        Some(Box::new(OnMatch { on_match: Some(To::Action(action)), keep_matching: false }))
    };
    let mut keeps = list(single(source(), text("x")));
    keeps.on_no_match = Some(Box::new(OnMatch { keep_matching: true, ..to(Action::Allow) }));
    assert_eq!(at(keeps), "on_no_match.keep_matching");
    let mut bare = list(single(source(), text("x")));
    bare.on_no_match = Some(Box::default());
    assert_eq!(at(bare.clone()), "on_no_match");
    let nameless = extend(&pb::Action::default());
    bare.on_no_match = acting(nameless);
    assert_eq!(at(bare.clone()), "on_no_match.action.typed_config.name");
    let other = extend(&ServerNameInput {});
    bare.on_no_match = acting(other);
    assert_eq!(at(bare), "on_no_match.action.typed_config");
    let none = MatcherType::MatcherList(MatcherList::default());
    let none = Matcher { matcher_type: Some(none), on_no_match: None };
    assert_eq!(at(none), "matcher_list.matchers");
    let tree = |tree_type| {
        let tree = MatcherTree { input: Some(header_input("x-a")), tree_type };
        Matcher { matcher_type: Some(MatcherType::MatcherTree(tree)), on_no_match: None }
    };
    assert_eq!(at(tree(None)), "matcher_tree");
    assert_eq!(
        at(tree(Some(TreeType::ExactMatchMap(MatchMap::default())))),
        "matcher_tree.exact_match_map.map"
    );
    let custom = TreeType::CustomMatch(source());
    assert_eq!(at(tree(Some(custom))), "matcher_tree.custom_match");
}

#[test]
fn trees_are_bounded() {
    let nested = |levels: usize| {
        (1..levels).fold(map(TreeType::ExactMatchMap, "x-a", "1"), |inner, _| {
            let to = To::Matcher(Box::new(inner));
            let on_no_match = Some(Box::new(OnMatch { on_match: Some(to), keep_matching: false }));
            Matcher { matcher_type: None, on_no_match }
        })
    };
    assert!(allows(&parse(nested(16)).unwrap()));
    let refused = parse(nested(17)).unwrap_err();
    assert!(refused.ends_with("on_no_match.matcher: is nested too deeply"), "{refused}");
}
