//! The key that checkpoints are signed with.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// A secret that checkpoints are signed with (HMAC-SHA-256).
#[derive(Clone)]
pub struct Key(hmac::Key);

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Its file cannot be read.
    #[error("the key {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It has fewer than 32 bytes, or more than 4096.
    #[error("a key has 32 to 4096 bytes")]
    Length,
    /// Others than the owner of its file may read or write it.
    #[error("the key {} is open to others than its owner", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
}

impl Key {
    /// The key that consists of `bytes`, of which there are 32 to 4096.
    ///
    /// # Errors
    /// [`KeyError::Length`].
    pub fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        if !(SHORTEST..=LONGEST).contains(&bytes.len()) {
            return Err(KeyError::Length);
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The key that is in the file at `path`, without a line feed at its end. On Unix, only the
    /// owner of the file may have access.
    ///
    /// # Errors
    /// When the file cannot be read, is open to others, or has too few or too many bytes.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let read = |source| KeyError::Read { path: path.into(), source };
        let file = File::open(path).map_err(read)?;
        if is_open(&file).map_err(read)? {
            return Err(KeyError::Open { path: path.into() });
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 2));
        file.take(READ).read_to_end(&mut bytes).map_err(read)?;
        Self::new(bytes.strip_suffix(b"\n").unwrap_or(&bytes))
    }

    /// The signature of `bytes`, in hexadecimal digits.
    pub(super) fn sign(&self, bytes: &[u8]) -> String {
        super::link::hex(hmac::sign(&self.0, bytes).as_ref())
    }

    /// Whether `mac` is the signature of `bytes`. Takes the same time wherever it is wrong.
    pub(in crate::audit) fn has_signed(&self, bytes: &[u8], mac: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(
            self.sign(bytes).as_bytes(),
            mac.as_bytes(),
        )
        .is_ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(unix)]
fn is_open(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(file.metadata()?.mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &File) -> io::Result<bool> {
    Ok(false)
}

const SHORTEST: usize = 32;
const LONGEST: usize = 4096;
/// Enough to see that there is too much, also without a line feed.
const READ: u64 = 4098;
