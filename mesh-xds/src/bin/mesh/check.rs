//! `mesh check PATH`

use std::path::Path;
use std::process::ExitCode;

use mesh_xds::file;
use mesh_xds::parse::Registry;

/// Errors go to the standard error, notes and the summary to the standard output.
pub(crate) fn run(path: &Path) -> ExitCode {
    let report = file::check(path, &Registry::default().any_certificate_provider());
    for error in &report.errors {
        eprintln!("error: {error}");
    }
    for note in &report.notes {
        println!("note: {note}");
    }
    let resources = count(report.resources.len(), "resource");
    if report.errors.is_empty() {
        println!("{}: {resources}, nothing wrong", path.display());
        return ExitCode::SUCCESS;
    }
    let errors = count(report.errors.len(), "error");
    eprintln!("{}: {errors}, {resources} in order", path.display());
    ExitCode::FAILURE
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
