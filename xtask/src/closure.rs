//! Which files a set of files needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
};

use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto};

/// The files matching `roots` and all that their fields refer to, dependencies first.
///
/// Imports are cut down to those that define a type in use: the others carry options, which are
/// gone.
///
/// # Errors
///
/// A root that matches nothing.
pub(crate) fn closure(
    files: Vec<FileDescriptorProto>,
    roots: &[&str],
) -> Result<Vec<FileDescriptorProto>, Box<dyn Error>> {
    let mut owners = BTreeMap::new();
    for file in &files {
        let package = format!(".{}", file.package());
        let nested = file.message_type.iter().flat_map(|message| defined(&package, message));
        let enums = file.enum_type.iter().map(|r#enum| format!("{package}.{}", r#enum.name()));
        owners.extend(nested.chain(enums).map(|name| (name, file.name().to_owned())));
    }

    let mut all: BTreeMap<String, FileDescriptorProto> = BTreeMap::new();
    for mut file in files {
        let used: BTreeSet<&str> = file.message_type.iter().flat_map(referred).collect();
        let needed: BTreeSet<String> = used
            .into_iter()
            .filter_map(|name| owners.get(name))
            .filter(|owner| *owner != file.name())
            .cloned()
            .collect();
        file.dependency = needed.into_iter().collect();
        file.public_dependency.clear();
        file.weak_dependency.clear();
        all.insert(file.name().to_owned(), file);
    }

    let mut kept = Kept { all, seen: BTreeSet::new(), files: Vec::new() };
    for root in roots {
        let matching: Vec<String> = kept
            .all
            .keys()
            .filter(|name| *name == root || (root.ends_with('/') && name.starts_with(root)))
            .cloned()
            .collect();
        if matching.is_empty() {
            return Err(format!("no file matches {root}").into());
        }
        matching.iter().for_each(|name| kept.add(name));
    }
    Ok(kept.files)
}

struct Kept {
    all: BTreeMap<String, FileDescriptorProto>,
    seen: BTreeSet<String>,
    files: Vec<FileDescriptorProto>,
}

impl Kept {
    /// Adds `name` after what it needs. The depth is that of the import graph.
    fn add(&mut self, name: &str) {
        if !self.seen.insert(name.to_owned()) {
            return;
        }
        if let Some(file) = self.all.get(name).cloned() {
            file.dependency.iter().for_each(|needed| self.add(needed));
            self.files.push(file);
        }
    }
}

fn defined(scope: &str, message: &DescriptorProto) -> Vec<String> {
    let name = format!("{scope}.{}", message.name());
    let mut names: Vec<String> =
        message.nested_type.iter().flat_map(|nested| defined(&name, nested)).collect();
    names.extend(message.enum_type.iter().map(|r#enum| format!("{name}.{}", r#enum.name())));
    names.push(name);
    names
}

fn referred(message: &DescriptorProto) -> Vec<&str> {
    let fields = message.field.iter().map(|field| field.type_name());
    let nested = message.nested_type.iter().flat_map(referred);
    fields.chain(nested).filter(|name| !name.is_empty()).collect()
}
