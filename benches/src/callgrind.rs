//! Counts instructions.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Output};

use crate::shared::Error;

/// The command that runs `binary` under callgrind, on one core: so the turns that processes take
/// are alike from run to run.
#[must_use]
pub fn command(binary: &Path, profile: &Path) -> Command {
    let mut file = OsString::from("--callgrind-out-file=");
    file.push(profile);
    let mut command = Command::new("taskset");
    command.args(["-c", "0", "valgrind", "--tool=callgrind"]).arg(&file).arg(binary);
    command
}

/// The user-space instructions in a profile.
///
/// # Errors
/// It is not there, or no profile.
pub fn total(profile: &Path) -> Result<f64, Error> {
    let counts = std::fs::read_to_string(profile)?;
    let total = counts.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(total.ok_or("callgrind wrote no total")?.parse()?)
}

/// Runs `command` to its end.
///
/// # Errors
/// It cannot be started, or it fails: then with what it wrote.
pub fn run(command: &mut Command) -> Result<Output, Error> {
    let output =
        command.output().map_err(|error| format!("{command:?} does not start: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)).into())
}
