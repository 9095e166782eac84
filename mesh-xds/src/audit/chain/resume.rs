//! Where a chain goes on that was written before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::link::Link;
use super::{Key, Line};
use crate::audit::error::OpenError;

/// A file that records can be added to.
pub(super) struct Resumed {
    pub(super) file: File,
    pub(super) length: u64,
    /// The number of the first record in it; `None` if it is empty.
    pub(super) first: Option<u64>,
    pub(super) link: Link,
    /// Bytes of a record that was not finished, and is gone.
    pub(super) torn: u64,
}

impl Resumed {
    /// Opens the file at `path`, or makes it, after the last of the segments beside it.
    ///
    /// What is left of a record whose writing was interrupted is cut off. Nothing else is changed.
    pub(super) fn open(path: &Path, key: Option<Key>) -> Result<Self, OpenError> {
        let fail = |source| OpenError::File { path: path.into(), source };
        let mut file = open(path).map_err(fail)?;
        let (tail, skipped) = tail(&mut file).map_err(fail)?;
        let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (lines, torn) = tail.split_at(whole);
        let (length, torn) = (skipped + bytes(lines), bytes(torn));
        if torn > 0 && (whole > 0 || skipped == 0) {
            file.set_len(length).map_err(fail)?;
        }
        if length == 0 {
            let link = match last_segment(path).map_err(fail)? {
                Some(segment) => after(&segment, key)?,
                None => Link::origin(key),
            };
            return Ok(Self { file, length, first: None, link, torn });
        }
        let damaged = || OpenError::Damaged { path: path.into() };
        let link = link(lines, key).ok_or_else(damaged)?;
        let first = first(&mut file).map_err(fail)?.ok_or_else(damaged)?;
        Ok(Self { file, length, first: Some(first), link, torn })
    }
}

/// The end of the chain in a segment that is finished.
fn after(path: &Path, key: Option<Key>) -> Result<Link, OpenError> {
    let fail = |source| OpenError::File { path: path.into(), source };
    let (tail, _) = tail(&mut File::open(path).map_err(fail)?).map_err(fail)?;
    link(&tail, key).ok_or_else(|| OpenError::Damaged { path: path.into() })
}

/// The end of the chain whose last lines are `lines`.
fn link(lines: &[u8], key: Option<Key>) -> Option<Link> {
    let last = lines.strip_suffix(b"\n")?.rsplit(|byte| *byte == b'\n').next()?;
    let last = Line::read(str::from_utf8(last).ok()?)?;
    Some(Link { next: last.seq.checked_add(1)?, head: last.hash.into(), key, unsigned: 0 })
}

/// The number in the first line.
fn first(file: &mut File) -> io::Result<Option<u64>> {
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    file.take(WINDOW).read_to_end(&mut bytes)?;
    let line = bytes.split(|byte| *byte == b'\n').next().and_then(|it| str::from_utf8(it).ok());
    Ok(line.and_then(|line| Some(Line::read(line)?.seq)))
}

/// The last part of a file, and how many bytes stand before it.
fn tail(file: &mut File) -> io::Result<(Vec<u8>, u64)> {
    let skipped = file.metadata()?.len().saturating_sub(WINDOW);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((bytes, skipped))
}

fn bytes(of: &[u8]) -> u64 {
    u64::try_from(of.len()).unwrap_or(u64::MAX)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// The segment beside `path` that was finished last.
fn last_segment(path: &Path) -> io::Result<Option<PathBuf>> {
    let prefix = format!("{}.", path.file_name().unwrap_or_default().to_string_lossy());
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let mut last = None;
    for entry in fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix(&prefix);
        let is_segment = |it: &str| it.len() == DIGITS && it.bytes().all(|b| b.is_ascii_digit());
        if number.is_some_and(is_segment) {
            last = last.max(Some(entry.path()));
        }
    }
    Ok(last)
}

/// The name of a finished segment whose first record has the number `first`. Names sort as the
/// segments follow each other.
pub(super) fn segment(path: &Path, first: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{first:020}"));
    name.into()
}

const DIGITS: usize = 20;
/// More than any line has.
const WINDOW: u64 = 64 << 10;
