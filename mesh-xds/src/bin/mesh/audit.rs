//! `mesh audit verify FILE...`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use mesh_xds::audit::{Key, Report, Verifier};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Says whether an audit log is as it was written. Exits with 1 if it is not, and with 2 if it
    /// cannot be read.
    ///
    /// Records that were cut off the end cannot be missed: compare the last hash with one that was
    /// kept elsewhere.
    Verify {
        /// The files of the log, in the order in which they were written.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The key that checkpoints are signed with. Without one, signatures are not looked at.
        #[arg(long)]
        key: Option<PathBuf>,
    },
}

pub(crate) fn run(command: Command) -> ExitCode {
    let Command::Verify { files, key } = command;
    match verify(&files, key.as_deref()) {
        Ok(report) => {
            print(&report);
            ExitCode::SUCCESS
        }
        Err(Failure::Broken(why)) => {
            eprintln!("broken: {why}");
            ExitCode::from(1)
        }
        Err(Failure::Unreadable(why)) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

enum Failure {
    Broken(String),
    Unreadable(String),
}

fn verify(files: &[PathBuf], key: Option<&Path>) -> Result<Report, Failure> {
    let unreadable = |why: &dyn std::error::Error| {
        let source = why.source().map(|source| format!(": {source}")).unwrap_or_default();
        Failure::Unreadable(format!("{why}{source}"))
    };
    let key = key.map(Key::from_file).transpose().map_err(|why| unreadable(&why))?;
    let mut verifier = Verifier::new(key);
    for file in files {
        let name = file.display().to_string();
        let bytes = fs::read(file).map_err(|why| Failure::Unreadable(format!("{name}: {why}")))?;
        verifier.file(&name, &bytes).map_err(|why| Failure::Broken(why.to_string()))?;
    }
    Ok(verifier.finish())
}

fn print(report: &Report) {
    if let Some((first, last)) = report.range {
        println!("whole: records {first} to {last}, {} of them decisions", report.decisions);
    }
    if report.range.is_some_and(|(first, _)| first > 0) {
        println!("note: what was before is in other files");
    }
    for (count, what) in [
        (report.lost, "records are known to be lost"),
        (report.refused, "decisions were refused because they could not be recorded"),
        (report.broken_off, "times the writing ended without saying so"),
        (report.unsigned, "records at the end are not vouched for by a signature that was checked"),
    ] {
        if count > 0 {
            println!("note: {count} {what}");
        }
    }
    if !report.is_ended {
        println!("note: the log is still being written, or was cut off");
    }
    println!("last: {}", report.head);
}
