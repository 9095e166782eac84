//! Who may know whom, checked in the sources: `ARCHITECTURE.md` in executable form.
//!
//! [`table`] says what is allowed, [`scan`] reads which modules and crates a file names, and
//! [`check`] holds one against the other. This is no compiler: it reads paths as they are written
//! (`use crate::…`, `super::…`, `tokio::…`), which is all the layering needs. Code under
//! `#[cfg(test)]` may import what it likes.

mod check;
mod lexer;
mod scan;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use check::violations;
use table::CRATES;

#[test]
fn every_module_imports_downwards() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = BTreeMap::new();
    for krate in CRATES {
        read(&root, &format!("{}/src", krate.folder), &mut sources)?;
    }
    for krate in CRATES {
        let lib = format!("{}/src/lib.rs", krate.folder);
        assert!(sources.contains_key(&lib), "{lib} is not where it was");
    }

    let found = violations(&sources);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    Ok(())
}

/// Adds the Rust files below `folder` to `sources`, by their path from `root`.
fn read(root: &Path, folder: &str, sources: &mut BTreeMap<String, String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read(root, &path, sources)?;
        } else if path.ends_with(".rs") {
            sources.insert(path, fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}
