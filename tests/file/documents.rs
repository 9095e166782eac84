//! What the documents and the benches show is what is read.

use std::path::Path;

use mesh_xds::file::{check, parse};
use mesh_xds::parse::Registry;

use crate::Files;

const GUIDE: &str = include_str!("../../docs/configuration.md");
const BENCH: &str = include_str!("../../benches/fixtures/mesh.yaml");

/// The YAML blocks of a document.
fn examples(document: &str) -> impl Iterator<Item = &str> {
    document.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap())
}

#[test]
fn examples_of_the_guide_are_valid() {
    let mut seen = 0;
    for example in examples(GUIDE) {
        let files = Files::new(&[("mesh.yaml", example)]);
        let report = check(files.0.path(), &Registry::default());
        assert_eq!(report.errors, [], "{example}");
        assert_eq!(report.notes, [], "{example}");
        assert!(!report.resources.is_empty(), "{example}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn the_first_example_and_its_expansion_are_the_same() {
    let mut examples = examples(GUIDE).skip(1);
    let (short, long) = (examples.next().unwrap(), examples.next().unwrap());
    let read = |text: &str| {
        let resources = parse(text, Path::new("mesh.yaml")).unwrap();
        let parts = resources.into_iter().map(|it| (it.type_url, it.name, it.value));
        parts.collect::<Vec<_>>()
    };
    assert_eq!(read(short), read(long));
}

#[test]
fn the_benchs_resources_are_valid() {
    let filled = (1..=9).fold(BENCH.to_owned(), |text, at| {
        text.replace(&format!("${{{at}}}"), &(9000 + at).to_string())
    });
    let files = Files::new(&[("mesh.yaml", &filled)]);
    let report = check(files.0.path(), &Registry::default());
    assert_eq!((report.errors, report.notes), (Vec::new(), Vec::new()));
    assert_eq!(report.resources.len(), 8);
}
