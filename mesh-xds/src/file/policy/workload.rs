//! The member `workload` of the short form.

use crate::file::cursor::Cursor;
use crate::file::error::FileError;
use crate::parse::Workload;

/// What the mapping at `cursor` says of the workload that this process is.
pub(in crate::file) fn workload(cursor: &Cursor<'_>) -> Result<Workload, FileError> {
    let known = ["namespace", "labels", "trust_domain", "trust_domain_aliases", "root_namespace"];
    let fields = cursor.fields(&known)?;
    let mut workload = Workload::unknown();
    if let Some(namespace) = fields.get("namespace") {
        workload = workload.with_namespace(namespace.text()?);
    }
    if let Some(labels) = fields.get("labels") {
        for (key, value) in labels.entries()? {
            workload = workload.with_labels([(key, value.text()?)]);
        }
    }
    if let Some(domain) = fields.get("trust_domain") {
        workload = workload.with_trust_domain(domain.text()?);
    }
    if let Some(aliases) = fields.get("trust_domain_aliases") {
        for alias in aliases.items()? {
            workload = workload.with_trust_domain_alias(alias.text()?);
        }
    }
    if let Some(namespace) = fields.get("root_namespace") {
        workload = workload.with_root_namespace(namespace.text()?);
    }
    Ok(workload)
}
