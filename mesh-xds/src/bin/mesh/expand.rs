//! `mesh expand PATH`

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use mesh_xds::file::print::{Secrets, yaml};
use mesh_xds::file::read;

/// What it prints can be read again, but for secrets.
pub(crate) fn run(path: &Path) -> ExitCode {
    match print(path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print(path: &Path) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    for resource in read(path)? {
        let text = yaml(&resource.type_url, &resource.value, Secrets::Redact)?;
        write!(out, "---\n# {}\n{text}", resource.origin)?;
    }
    Ok(())
}
