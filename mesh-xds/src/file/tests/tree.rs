use crate::file::tree::{Node, TreeError, Value};

fn value(text: &str) -> Value {
    let mut documents = Node::documents(text).unwrap();
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0).value
}

fn error(text: &str) -> (usize, String) {
    let TreeError { line, why, .. } = Node::documents(text).unwrap_err();
    (line, why)
}

#[test]
fn errors_know_line_and_column() {
    let place = |text| Node::documents(text).map_err(|e| (e.line, e.column)).unwrap_err();
    assert_eq!(place("a:\n  b: 1\n  b: 2\n"), (3, 3));
    assert_eq!(place("a:\n\tb: 1\n"), (2, 2));
    assert_eq!(place("a: *none\n"), (1, 4));
    assert_eq!(place("a: !x 1\n"), (1, 4));
}

#[test]
fn unquoted_text_has_the_type_of_the_core_schema() {
    for (text, expected) in [
        ("~", Value::Null),
        ("true", Value::Bool(true)),
        ("yes", Value::Text("yes".into())),
        ("12", Value::Unsigned(12)),
        ("+12", Value::Unsigned(12)),
        ("-12", Value::Signed(-12)),
        ("010", Value::Unsigned(10)),
        ("0x1F", Value::Unsigned(31)),
        ("0o17", Value::Unsigned(15)),
        ("0x", Value::Text("0x".into())),
        ("0x+1", Value::Text("0x+1".into())),
        ("1.5", Value::Float(1.5)),
        ("1e3", Value::Float(1000.0)),
        ("-.inf", Value::Float(f64::NEG_INFINITY)),
        ("inf", Value::Text("inf".into())),
        ("nan", Value::Text("nan".into())),
        ("1s", Value::Text("1s".into())),
        ("1.2.3.4", Value::Text("1.2.3.4".into())),
        ("2024-01-01", Value::Text("2024-01-01".into())),
        ("-", Value::List(vec![Node { line: 1, column: 2, value: Value::Null }])),
        ("\"12\"", Value::Text("12".into())),
        ("'true'", Value::Text("true".into())),
        ("!!str 12", Value::Text("12".into())),
        ("|\n  a\n  b\n", Value::Text("a\nb\n".into())),
        ("99999999999999999999", Value::Float(1e20)),
    ] {
        assert_eq!(value(text), expected, "{text}");
    }
}

#[test]
fn values_know_their_lines() {
    let documents = Node::documents("a: 1\n---\n# more\nb:\n  - 1\n  - c: 2\n").unwrap();
    assert_eq!(documents.iter().map(|it| it.line).collect::<Vec<_>>(), [1, 4]);
    let Value::List(items) = &documents[1].field("b").unwrap().value else { panic!() };
    assert_eq!(items.iter().map(|it| it.line).collect::<Vec<_>>(), [5, 6]);
}

#[test]
fn json_is_read_with_tabs_and_escapes() {
    let text = "{\n\t\"a\": [true, null],\n\t\"b\": \"\\/\\u00e9\\n\"\n}\n";
    let documents = Node::documents(text).unwrap();
    assert_eq!(documents[0].field("b").unwrap().text(), Some("/é\n"));
}

#[test]
fn aliases_stand_for_their_values() {
    let documents = Node::documents("a: &x {b: 1}\nc: *x\n").unwrap();
    assert_eq!(documents[0].field("a"), documents[0].field("c"));
}

#[test]
fn text_that_is_no_tree_is_refused_with_its_line() {
    assert_eq!(error("a: 1\na: 2\n"), (2, "`a` is given twice, first on line 1".into()));
    assert_eq!(error("a: 1\n? [b]\n: 2\n"), (2, "a key must be plain text".into()));
    assert_eq!(error("a: !secret b\n"), (1, "the tag `!secret` is not supported".into()));
    assert_eq!(error("a: &x [1, *x]\n"), (1, "the alias refers to a value that holds it".into()));
    assert_eq!(error("a: *x\n").0, 1);
    assert_eq!(error("a: [1,\nb: 2\n").0, 2);
    assert_eq!(error("a:\n\t- b\n").0, 2);
}

#[test]
fn nesting_is_bounded() {
    assert!(Node::documents(&"- ".repeat(63)).is_ok());
    for text in ["- ".repeat(100_000), "[".repeat(100_000), "{a: ".repeat(100_000)] {
        assert!(Node::documents(&text).is_err());
    }
    let alias = format!(
        "a: &x {}\nb: {}*x{}\n",
        "[".repeat(40) + &"]".repeat(40),
        "[".repeat(40),
        "]".repeat(40)
    );
    assert_eq!(error(&alias), (2, "nested more than 64 levels deep".into()));
}

#[test]
fn aliases_cannot_grow_a_document_without_bound() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    assert_eq!(error(&text).1, "more than 4000000 values");
}
