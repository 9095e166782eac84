use std::path::PathBuf;

use crate::shared::Error;

/// Cargo's target directory, which this program itself was built in.
///
/// # Errors
/// It was not.
pub fn target_directory() -> Result<PathBuf, Error> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("this program is not in a target directory")?;
    Ok(target.to_owned())
}
