//! What comes of verifying.

/// What there is to say of a chain that is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many records there are of all kinds.
    pub records: u64,
    /// How many of them are decisions.
    pub decisions: u64,
    /// How many decisions are known to be missing: their records were lost.
    pub lost: u64,
    /// How many decisions were refused because they could not be recorded.
    pub refused: u64,
    /// How often the writing ended without saying so, as when a process is killed, and went on.
    pub broken_off: u64,
    /// The numbers of the first and the last record, if there is any. A chain whose first is not 0
    /// is the end of a longer one.
    pub range: Option<(u64, u64)>,
    /// The hash of the last record. Kept elsewhere, it shows later whether records are missing at
    /// the end.
    pub head: Box<str>,
    /// How many signatures were checked.
    pub signatures: u64,
    /// How many records at the end no signature vouches for. All, without a key.
    pub unsigned: u64,
    /// Whether the last record says that the writing has ended.
    pub is_ended: bool,
}

/// The first place where a chain breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {cause}")]
#[non_exhaustive]
pub struct Break {
    /// The file.
    pub file: Box<str>,
    /// The line in it, from 1.
    pub line: u64,
    /// What is wrong.
    pub cause: Cause,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// There is nothing in the file.
    #[error("the file is empty")]
    Empty,
    /// There is no line feed at the end.
    #[error("the line is not finished")]
    Unfinished,
    /// It is no record, or was changed.
    #[error("this is no record, or not as it was written")]
    Changed,
    /// It does not follow the line before.
    #[error("record {found} does not follow: record {expected} should")]
    Sequence {
        /// The number that it has.
        found: u64,
        /// The number that it should have.
        expected: u64,
    },
    /// It follows a record that is not the one before.
    #[error("the record before is not the one that this one follows")]
    Link,
    /// A file does not begin as one does.
    #[error("the file does not begin with a start")]
    NoStart,
    /// A signature is missing.
    #[error("there should be a signature by now")]
    Unsigned,
    /// A signature is wrong.
    #[error("the signature is not of this key")]
    Signature,
}
