//! Why an audit log cannot be opened.

use std::io;
use std::path::PathBuf;

/// Why an audit log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There can be no thread to write it.
    #[error("the thread that writes the audit log cannot be started")]
    Thread(#[source] io::Error),
    /// The file cannot be read or written.
    #[error("{} cannot be opened", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file does not end in a record, so that none can follow. It should be kept, verified and
    /// moved away.
    #[error("{} does not end in a whole record", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}
