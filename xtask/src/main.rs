//! Makes the generated files that are committed.
//!
//! `cargo run -p xtask -- descriptors` writes `mesh-xds/src/proto/descriptors.bin`;
//! `cargo run -p xtask -- descriptors --check` fails when the committed file is not what it would
//! write. Not shipped, and not part of a build.

mod closure;
mod descriptors;
mod typed_struct;

use std::{env, error::Error, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    match arguments {
        ["descriptors"] => descriptors::write(),
        ["descriptors", "--check"] => descriptors::check(),
        _ => Err("usage: xtask descriptors [--check]".into()),
    }
}
