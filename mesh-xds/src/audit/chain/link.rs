//! The end of a chain, to which records are added.

use std::fmt::Write;

use aws_lc_rs::digest;

use super::Key;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::audit) enum Kind {
    /// A file begins, or a process goes on with one.
    Start,
    Decision,
    /// Decisions without records.
    Gap,
    /// Vouches for everything before.
    Checkpoint,
    /// A file, or the writing of it, ends in an orderly way.
    End,
}

impl Kind {
    pub(in crate::audit) const ALL: [Self; 5] =
        [Self::Start, Self::Decision, Self::Gap, Self::Checkpoint, Self::End];

    pub(in crate::audit) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Decision => "decision",
            Self::Gap => "gap",
            Self::Checkpoint => "checkpoint",
            Self::End => "end",
        }
    }

    /// Whether such records are signed where there is a key.
    fn is_signed(self) -> bool {
        match self {
            Self::Start | Self::Checkpoint | Self::End => true,
            Self::Decision | Self::Gap => false,
        }
    }
}

/// The end of a chain.
#[derive(Clone, Debug)]
pub(in crate::audit) struct Link {
    /// The number of the next record.
    pub(in crate::audit) next: u64,
    /// The hash of the last one.
    pub(in crate::audit) head: String,
    pub(in crate::audit) key: Option<Key>,
    /// Records since the last one that was signed.
    pub(in crate::audit) unsigned: u64,
}

impl Link {
    /// Where a chain begins.
    pub(in crate::audit) fn origin(key: Option<Key>) -> Self {
        Self { next: 0, head: ORIGIN.into(), key, unsigned: 0 }
    }

    /// Adds a record to the chain, and its line to `lines`.
    pub(in crate::audit) fn add(&mut self, kind: Kind, members: &str, lines: &mut String) {
        let from = lines.len();
        // Writing to a string does not fail.
        let _ = write!(
            lines,
            r#"{{"seq":{},"prev":"{}","kind":"{}",{members}"#,
            self.next,
            self.head,
            kind.name()
        );
        self.unsigned += 1;
        if let Some(key) = self.key.as_ref().filter(|_| kind.is_signed()) {
            let mac = key.sign(&lines.as_bytes()[from..]);
            let _ = write!(lines, r#","mac":"{mac}""#);
            self.unsigned = 0;
        }
        self.head = hash(&lines.as_bytes()[from..]);
        let _ = writeln!(lines, r#","hash":"{}"}}"#, self.head);
        self.next += 1;
    }
}

/// SHA-256 in hexadecimal digits.
pub(super) fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What stands for the hash of the record before the first.
pub(in crate::audit) const ORIGIN: &str =
    "0000000000000000000000000000000000000000000000000000000000000000";
