//! The resources of several files, and all that is wrong with others.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{FileError, Origin, Why};
use super::notes::{self, Note};
use super::policy::{self, Policies};
use super::resources::{FileResource, members, message_name, resource};
use super::tree::{Node, Value};
use super::{short, valid};
use crate::parse::{Registry, Workload};

/// Resources with unique names, and everything that is wrong with others.
#[derive(Debug, Default)]
pub(super) struct Set<'r> {
    /// What says whether a resource is valid; `None` takes all that are well-formed.
    registry: Option<&'r Registry>,
    pub(super) resources: Vec<FileResource>,
    pub(super) errors: Vec<FileError>,
    pub(super) notes: Vec<Note>,
    /// Where rules of policies are.
    pub(super) rules: BTreeMap<String, Origin>,
    origins: HashMap<(String, String), Origin>,
}

impl<'r> Set<'r> {
    pub(super) fn of(contents: &[(PathBuf, Vec<u8>)], registry: Option<&'r Registry>) -> Self {
        let mut set = Self { registry, ..Self::default() };
        let texts = contents.iter().filter_map(|(file, bytes)| {
            let file: Arc<Path> = file.as_path().into();
            match std::str::from_utf8(bytes) {
                Ok(text) => set.documents(text, &file),
                Err(error) => {
                    let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
                    let why = Why::Syntax("not UTF-8".to_owned());
                    set.errors.push(FileError::new(file, Some(line), why));
                    None
                }
            }
        });
        let texts: Vec<(Arc<Path>, Vec<Node>)> = texts.collect();
        set.add_all(&texts);
        let place = |error: &FileError| contents.iter().position(|(file, _)| file == error.file());
        set.errors.sort_by_key(|error| (place(error), error.line()));
        set
    }

    /// All resources, or the first thing that is wrong.
    pub(super) fn into_result(self) -> Result<Vec<FileResource>, FileError> {
        match self.errors.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(self.resources),
        }
    }

    /// The documents in a file.
    fn documents(&mut self, text: &str, file: &Arc<Path>) -> Option<(Arc<Path>, Vec<Node>)> {
        // Whoever rewrites a file in place empties it first. That must not take everything away.
        if text.trim_start_matches('\u{feff}').trim_ascii().is_empty() {
            let why = Why::Syntax("the file is empty; a file without resources says `[]`".into());
            self.errors.push(FileError::new(Arc::clone(file), None, why));
            return None;
        }
        match Node::documents(text) {
            // So does whoever writes the comments first.
            Ok(documents) if documents.iter().all(|document| document.value == Value::Null) => {
                let why = "the file holds no document; a file without resources says `[]`";
                let why = Why::Syntax(why.into());
                self.errors.push(FileError::new(Arc::clone(file), None, why));
                None
            }
            Ok(documents) => Some((Arc::clone(file), documents)),
            Err(error) => {
                let why = Why::Syntax(error.why);
                let located = FileError::new(Arc::clone(file), Some(error.line), why);
                self.errors.push(located.at_column(error.column));
                None
            }
        }
    }

    /// Adds everything in all files. What is said of the workload, in whichever of them, decides
    /// which policies are for it.
    fn add_all(&mut self, texts: &[(Arc<Path>, Vec<Node>)]) {
        let all = || texts.iter().flat_map(|(file, nodes)| nodes.iter().map(move |it| (file, it)));
        let mut policies = Policies::new(self.workload(all()));
        // Policies first: what servers of the short form are depends on them.
        for (file, document) in all().filter(|(_, document)| !short::is_short(document)) {
            let members = members(document, file).unwrap_or_default().into_iter();
            for node in members.filter(|node| policy::is_policy(node)) {
                self.errors.extend(policies.add(node, file));
            }
        }
        for (file, document) in all() {
            if short::is_short(document) {
                match short::compile(document, file, &policies) {
                    Ok(compiled) => compiled.into_iter().for_each(|it| self.add(it, None)),
                    Err(errors) => self.errors.extend(errors),
                }
                continue;
            }
            let members = members(document, file).unwrap_or_else(|error| {
                self.errors.push(error);
                Vec::new()
            });
            for node in members.into_iter().filter(|node| !policy::is_policy(node)) {
                match resource(node, file) {
                    Ok(resource) => self.add(resource, Some(node)),
                    Err(error) => self.errors.push(error),
                }
            }
        }
        policies.resources().into_iter().for_each(|it| self.add(it, None));
        self.rules = policies.rules();
        self.notes.extend(policies.lint());
    }

    /// The workload that the documents in the short form speak of.
    fn workload<'n>(
        &mut self,
        documents: impl Iterator<Item = (&'n Arc<Path>, &'n Node)>,
    ) -> Workload {
        let known = self.registry.and_then(Registry::workload).cloned();
        let mut said: Option<Workload> = None;
        for (file, document) in documents.filter(|(_, document)| short::is_short(document)) {
            match short::workload(document, file) {
                Some(Ok(workload)) if said.as_ref().is_some_and(|it| *it != workload) => {
                    let why = "another document says that this is another workload".to_owned();
                    let error =
                        FileError::new(Arc::clone(file), Some(document.line), Why::Invalid(why));
                    self.errors.push(error);
                }
                Some(Ok(workload)) => said = Some(workload),
                Some(Err(error)) => self.errors.push(error),
                None => {}
            }
        }
        known.or(said).unwrap_or_default()
    }

    /// Adds a resource, which was written as `node` if it was written as such.
    fn add(&mut self, resource: FileResource, node: Option<&Node>) {
        let key = (resource.type_url.clone(), resource.name.clone());
        if let Some(first) = self.origins.insert(key, resource.origin.clone()) {
            let why = Why::Duplicate {
                type_name: message_name(&resource.type_url).to_owned(),
                name: resource.name,
                first,
            };
            let Origin { file, line } = resource.origin;
            return self.errors.push(FileError::new(file, Some(line), why));
        }
        if let Some(registry) = self.registry {
            if let Err(error) = valid::check(&resource, node, registry) {
                return self.errors.push(error);
            }
            self.notes.extend(notes::of(&resource, node));
        }
        self.resources.push(resource);
    }
}
