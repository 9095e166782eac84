//! `mesh`: checks files of resources, shows what they stand for, explains what they decide, and verifies
//! audit logs.

mod audit;
mod check;
mod expand;
mod explain;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Checks files of mesh resources, shows what they stand for, and verifies audit logs.
#[derive(Debug, Parser)]
#[command(name = "mesh", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the xDS resources that a file or directory stands for, as YAML.
    Expand {
        /// A file, or a directory of .yaml, .yml and .json files.
        path: PathBuf,
    },
    /// Says all that is wrong with a file or directory. Exits with 1 if anything is.
    Check {
        /// A file, or a directory of .yaml, .yml and .json files.
        path: PathBuf,
    },
    /// Looks after audit logs.
    Audit {
        #[command(subcommand)]
        command: audit::Command,
    },
    /// Says what decides about a request, and which rule it is.
    Explain {
        #[command(subcommand)]
        about: About,
    },
}

#[derive(Debug, Subcommand)]
enum About {
    /// Whether a request may pass, by the policies in a file or directory. Exits with 1 if not.
    Authz(Box<explain::Question>),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Expand { path } => expand::run(&path),
        Command::Check { path } => check::run(&path),
        Command::Audit { command } => audit::run(command),
        Command::Explain { about: About::Authz(question) } => explain::run(&question),
    }
}
