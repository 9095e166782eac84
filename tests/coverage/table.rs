//! What resilience consists of, and the tests that show each part of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crate::situations::situations;
use serde::Deserialize;

/// The file that names the tests.
pub(crate) const SOURCE: &str = "docs/resilience.yaml";

/// The document made of it.
pub(crate) const DOCUMENT: &str = "docs/resilience.md";

/// Situations of each feature at least that are compared with Envoy or gRPC C-core, unless it says
/// why there are fewer.
const SITUATIONS: usize = 3;

/// All of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    parts: Vec<Part>,
    /// Stand-alone layers, and the tests of each.
    layers: Vec<Feature>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    part: String,
    features: Vec<Feature>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    feature: String,
    /// What is missing of it, or why it is compared with nothing.
    #[serde(default)]
    but: String,
    /// `FILE: NAME` of a test, or `FILE` for all tests in it.
    tests: Vec<String>,
    /// `FILE: SITUATION` below `tests/interop`, or `FILE` for all situations in it.
    #[serde(default)]
    interop: Vec<String>,
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What the file says.
pub(crate) fn read() -> Table {
    let text = fs::read_to_string(root().join(SOURCE)).unwrap();
    serde_yaml_ng::from_str(&text).unwrap()
}

impl Table {
    /// What is wrong with it: features of `required` without a row, rows of none, tests that are not
    /// there, and parts with too few comparisons.
    pub(crate) fn faults(&self, required: &[(&str, &[&str])], layers: &[&str]) -> Vec<String> {
        let mut faults = Vec::new();
        let parts: BTreeMap<_, _> = self.parts.iter().map(|part| (&*part.part, part)).collect();
        for (name, features) in required {
            match parts.get(name) {
                Some(part) => compare(name, &part.features, features, &mut faults),
                None => faults.push(format!("there is no part {name:?}")),
            }
        }
        if parts.len() != required.len() || parts.len() != self.parts.len() {
            faults.push("there are parts that nothing asks for".to_owned());
        }
        compare("Layers", &self.layers, layers, &mut faults);
        for feature in self.parts.iter().flat_map(|part| &part.features) {
            feature.check(&mut faults);
            feature.compared(&mut faults);
        }
        for layer in &self.layers {
            layer.check(&mut faults);
        }
        faults
    }

    /// As a document.
    pub(crate) fn document(&self) -> String {
        let mut text = String::from(HEAD);
        for part in &self.parts {
            let columns = "| | tests | compared with Envoy and gRPC C-core |\n|---|---|---|";
            write!(text, "\n## {}\n\n{columns}\n", part.part).unwrap();
            for Feature { feature, but, tests, interop } in &part.features {
                let but = if but.is_empty() { String::new() } else { format!(" ({but})") };
                let compared: Vec<_> = interop.iter().map(|entry| counted(entry)).collect();
                let compared = compared.join("<br>");
                writeln!(text, "| {feature}{but} | {} | {compared} |", list(tests)).unwrap();
            }
        }
        text.push_str("\n## Layers\n\n| | tests |\n|---|---|\n");
        for Feature { feature, tests, .. } in &self.layers {
            writeln!(text, "| `{feature}` | {} |", list(tests)).unwrap();
        }
        text
    }
}

impl Feature {
    fn check(&self, faults: &mut Vec<String>) {
        if self.tests.is_empty() && self.interop.is_empty() {
            faults.push(format!("{:?} has no test", self.feature));
        }
        for test in &self.tests {
            let (file, name) = test.split_once(": ").unwrap_or((test, ""));
            let Ok(text) = fs::read_to_string(root().join(file)) else {
                faults.push(format!("{:?}: there is no {file}", self.feature));
                continue;
            };
            let is_there = match name {
                "" => text.contains("#[test]") || text.contains("#[tokio::test"),
                name => text.contains(&format!("fn {name}(")),
            };
            if !is_there {
                faults.push(format!("{:?}: {file} has no test {name}", self.feature));
            }
        }
    }

    /// Whether enough of it is compared.
    fn compared(&self, faults: &mut Vec<String>) {
        let mut all = 0;
        for entry in &self.interop {
            match situations(entry) {
                0 => faults.push(format!("{:?}: there is no {entry}", self.feature)),
                count => all += count,
            }
        }
        if all < SITUATIONS && self.but.is_empty() {
            faults.push(format!("{:?}: only {all} situations are compared", self.feature));
        }
    }
}

fn compare(part: &str, features: &[Feature], required: &[&str], faults: &mut Vec<String>) {
    let rows: BTreeSet<_> = features.iter().map(|row| &*row.feature).collect();
    let wanted: BTreeSet<_> = required.iter().copied().collect();
    for missing in wanted.difference(&rows) {
        faults.push(format!("{part}: {missing:?} has no row"));
    }
    for unknown in rows.difference(&wanted) {
        faults.push(format!("{part}: nothing asks for {unknown:?}"));
    }
}

/// An entry, and how many situations it stands for.
fn counted(entry: &str) -> String {
    format!("`{entry}` ({})", situations(entry))
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join("<br>")
}

const HEAD: &str = "# What resilience consists of

Each part with the tests that show it, and how many situations of which file below `tests/interop`
Envoy or gRPC C-core shows the same in. This page is made of `resilience.yaml` by
`cargo run -p mesh-tests --bin coverage`; a test fails when they differ, when a test is not there, when
something has none, or when fewer than three situations are compared and no reason is given.
";
