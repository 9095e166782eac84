//! Holds what the sources say against the table.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::scan::{Named, Scan, scan};
use crate::table::{CRATES, Crate, Scope, Siblings};

/// Everything in `sources` (path from the root of the repository -> text) that the table forbids,
/// one line each.
pub(crate) fn violations(sources: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for krate in CRATES {
        let tree = Tree::new(krate, sources);
        tree.unknown_modules(&mut found);
        tree.banned_crates(&mut found);
        tree.directions(&mut found);
        tree.cycles(&mut found);
    }
    found
}

/// The sources of one crate.
struct Tree<'a> {
    krate: &'a Crate,
    files: Vec<File<'a>>,
    /// The first-level modules, and a place that shows each.
    modules: BTreeMap<String, String>,
    /// Who imports whom among them and `lib`, and where it is said first.
    edges: BTreeMap<(String, String), String>,
}

struct File<'a> {
    path: &'a str,
    /// From `src/`.
    name: &'a str,
    /// The module that the file is; empty for `lib.rs`.
    module: Vec<String>,
    scan: Scan,
}

impl<'a> Tree<'a> {
    fn new(krate: &'a Crate, sources: &'a BTreeMap<String, String>) -> Self {
        let src = format!("{}/src/", krate.folder);
        let mut files = Vec::new();
        for (path, source) in sources {
            if let Some(name) = path.strip_prefix(&src) {
                files.push(File { path, name, module: module_of(name), scan: scan(source) });
            }
        }
        let for_tests: Vec<Vec<String>> = files.iter().flat_map(File::test_modules).collect();
        files.retain(|file| {
            !file.module.iter().any(|name| name == "tests")
                && !for_tests.iter().any(|tests| file.module.starts_with(tests))
        });

        let mut modules = BTreeMap::new();
        for file in &files {
            let inline = file.scan.modules.iter().map(|inner| [&file.module[..], inner].concat());
            for module in inline.chain([file.module.clone()]) {
                if let [first, ..] = &module[..] {
                    modules.entry(first.clone()).or_insert_with(|| file.path.to_owned());
                }
            }
        }

        let mut tree = Self { krate, files, modules, edges: BTreeMap::new() };
        tree.edges = tree.find_edges();
        tree
    }

    fn find_edges(&self) -> BTreeMap<(String, String), String> {
        let exports = self.exports();
        let mut edges = BTreeMap::new();
        for file in &self.files {
            for path in &file.scan.paths {
                let Some(target) = self.resolve(file, path) else { continue };
                let target = match target.first() {
                    Some(name) if self.modules.contains_key(name) => name,
                    Some(name) => exports.get(name).map_or("lib", String::as_str),
                    None => "lib",
                };
                let source = file.module.iter().chain(&path.inside).next();
                let source = source.map_or("lib", String::as_str);
                if source != target {
                    edges
                        .entry((source.to_owned(), target.to_owned()))
                        .or_insert_with(|| format!("{}:{}", file.path, path.line));
                }
            }
        }
        edges
    }

    /// What `lib.rs` gives another name: `crate::Pick` may be `crate::lb::Pick`.
    fn exports(&self) -> BTreeMap<String, String> {
        let mut exports = BTreeMap::new();
        for file in self.files.iter().filter(|file| file.module.is_empty()) {
            for path in file.scan.paths.iter().filter(|path| path.inside.is_empty()) {
                let target = self.resolve(file, path).unwrap_or_default();
                if let (Some(name), [module, _, ..]) = (&path.imported_as, &target[..]) {
                    exports.insert(name.clone(), module.clone());
                }
            }
        }
        exports
    }

    /// The path from the root of the crate; nothing for a path into another crate, or one that
    /// stays in its module.
    fn resolve(&self, file: &File<'_>, path: &Named) -> Option<Vec<String>> {
        let mut base = [&file.module[..], &path.inside].concat();
        let mut rest = &path.segments[..];
        match rest.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {}
            // The root may name its modules without `crate::`.
            first if base.is_empty() && self.modules.contains_key(first) => {}
            _ => return None,
        }
        while rest.first().is_some_and(|segment| segment == "super") {
            base.pop();
            rest = &rest[1..];
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    fn unknown_modules(&self, found: &mut Vec<String>) {
        for (module, place) in &self.modules {
            if self.row(module).is_none() {
                found.push(format!(
                    "{place}: {} has a module `{module}` that is in no row; \
                     add it to tests/layers/table.rs",
                    self.krate.folder
                ));
            }
        }
    }

    fn banned_crates(&self, found: &mut Vec<String>) {
        for file in &self.files {
            for path in &file.scan.paths {
                let named = path.segments.first().map_or("", String::as_str);
                let module = file.module.iter().chain(&path.inside).next();
                for ban in self.krate.banned.iter().filter(|ban| ban.name == named) {
                    let holds = match ban.scope {
                        Scope::Everywhere => true,
                        Scope::ExceptFiles(files) => !files.contains(&file.name),
                        Scope::Modules(modules) => {
                            module.is_some_and(|module| modules.contains(&module.as_str()))
                        }
                    };
                    if holds {
                        found.push(format!(
                            "{}:{}: names `{named}`: {}",
                            file.path, path.line, ban.why
                        ));
                    }
                }
            }
        }
    }

    fn directions(&self, found: &mut Vec<String>) {
        for ((from, to), place) in &self.edges {
            let (Some(low), Some(high)) = (self.row(to), self.row(from)) else { continue };
            if low > high {
                found.push(format!("{place}: `{from}` imports `{to}`, which is above it"));
            }
            if low == high
                && let Siblings::Closed(pairs) = self.krate.rows[low].siblings
                && !pairs.contains(&(from, to))
            {
                found.push(format!("{place}: `{from}` imports its sibling `{to}`"));
            }
        }
    }

    fn cycles(&self, found: &mut Vec<String>) {
        for start in self.modules.keys() {
            if let Some(cycle) = self.cycle_from(start) {
                let steps: Vec<String> = cycle
                    .iter()
                    .zip(cycle.iter().cycle().skip(1))
                    .map(|(from, to)| {
                        let edge = ((*from).to_owned(), (*to).to_owned());
                        format!("`{from}` imports `{to}` ({})", self.edges[&edge])
                    })
                    .collect();
                found.push(format!("{}: a cycle: {}", self.krate.folder, steps.join(", ")));
            }
        }
    }

    /// The shortest cycle through `start` in which `start` is the first by name, so that each is
    /// told once.
    fn cycle_from<'t>(&'t self, start: &'t str) -> Option<Vec<&'t str>> {
        let mut queue = VecDeque::from([vec![start]]);
        let mut seen = BTreeSet::new();
        while let Some(way) = queue.pop_front() {
            let last = *way.last()?;
            for (_, to) in self.edges.keys().filter(|(from, _)| from == last) {
                if to == start {
                    return Some(way);
                }
                if to != "lib" && to.as_str() > start && seen.insert(to.as_str()) {
                    queue.push_back([&way[..], &[to.as_str()]].concat());
                }
            }
        }
        None
    }

    fn row(&self, module: &str) -> Option<usize> {
        self.krate.rows.iter().position(|row| row.modules.contains(&module))
    }
}

impl File<'_> {
    fn test_modules(&self) -> Vec<Vec<String>> {
        self.scan.test_modules.iter().map(|inner| [&self.module[..], inner].concat()).collect()
    }
}

/// `lb/mod.rs` and `lb.rs` are `lb`, `lb/ring.rs` is `lb::ring`, `lib.rs` is the root.
fn module_of(name: &str) -> Vec<String> {
    let stem = name.trim_end_matches(".rs");
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    if stem == "lib" { Vec::new() } else { stem.split('/').map(str::to_owned).collect() }
}
