//! Follows a chain from file to file.

use serde_json::Value;

use super::{Break, Cause, Report};
use crate::audit::chain::{Key, Kind, Line, ORIGIN};

/// Follows a chain from file to file.
#[derive(Debug)]
pub struct Verifier {
    key: Option<Key>,
    /// The number and the hash that the next record should name.
    expected: Option<(u64, Box<str>)>,
    /// Records that may be unsigned in a row, as the last start has said.
    every: u64,
    report: Report,
}

impl Verifier {
    /// One that has seen nothing yet. With a key it checks signatures, and that there are any.
    #[must_use]
    pub fn new(key: Option<Key>) -> Self {
        Self { key, expected: None, every: 0, report: Report::default() }
    }

    /// The chain goes on in the file called `name`, which holds `bytes`.
    ///
    /// # Errors
    /// The first place where the chain breaks.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), Break> {
        let broken = |at: usize, cause| Break {
            file: name.into(),
            line: u64::try_from(at).unwrap_or(u64::MAX).saturating_add(1),
            cause,
        };
        if bytes.is_empty() {
            return Err(broken(0, Cause::Empty));
        }
        for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\n").ok_or_else(|| broken(at, Cause::Unfinished))?;
            self.line(line, at == 0).map_err(|cause| broken(at, cause))?;
        }
        Ok(())
    }

    /// What there is to say of all files.
    #[must_use]
    pub fn finish(self) -> Report {
        self.report
    }

    fn line(&mut self, bytes: &[u8], is_first: bool) -> Result<(), Cause> {
        let text = str::from_utf8(bytes).map_err(|_| Cause::Changed)?;
        let line = Line::read(text).ok_or(Cause::Changed)?;
        let members: Value = serde_json::from_str(text).map_err(|_| Cause::Changed)?;
        if is_first && line.kind != Kind::Start {
            return Err(Cause::NoStart);
        }
        self.follow(&line)?;
        self.sign(&line, &members)?;
        self.count(&line, &members);
        Ok(())
    }

    /// The line must be the next one.
    fn follow(&mut self, line: &Line<'_>) -> Result<(), Cause> {
        let (number, hash) = match &self.expected {
            Some((number, hash)) => (*number, &**hash),
            None if line.seq == 0 => (0, ORIGIN),
            // What was before is not here.
            None => (line.seq, line.prev),
        };
        if line.seq != number {
            return Err(Cause::Sequence { found: line.seq, expected: number });
        }
        if line.prev != hash {
            return Err(Cause::Link);
        }
        self.expected = Some((number.checked_add(1).ok_or(Cause::Changed)?, line.hash.into()));
        Ok(())
    }

    fn sign(&mut self, line: &Line<'_>, members: &Value) -> Result<(), Cause> {
        self.report.unsigned += 1;
        let Some(key) = &self.key else { return Ok(()) };
        match line.mac {
            Some((mac, signed)) if key.has_signed(signed, mac) => {
                self.report.signatures += 1;
                self.report.unsigned = 0;
            }
            Some(_) => return Err(Cause::Signature),
            None if line.kind == Kind::Start => return Err(Cause::Unsigned),
            None => {}
        }
        if line.kind == Kind::Start {
            self.every = number(members, "checkpoint_every");
        }
        if self.report.unsigned > self.every { Err(Cause::Unsigned) } else { Ok(()) }
    }

    fn count(&mut self, line: &Line<'_>, members: &Value) {
        let report = &mut self.report;
        report.records += 1;
        match line.kind {
            Kind::Decision => report.decisions += 1,
            Kind::Gap => {
                report.lost = report.lost.saturating_add(number(members, "lost"));
                report.refused = report.refused.saturating_add(number(members, "refused"));
            }
            Kind::Start if report.range.is_some() && !report.is_ended => report.broken_off += 1,
            Kind::Start | Kind::Checkpoint | Kind::End => {}
        }
        report.is_ended = line.kind == Kind::End;
        report.range = Some((report.range.map_or(line.seq, |(first, _)| first), line.seq));
        report.head = line.hash.into();
    }
}

fn number(members: &Value, name: &str) -> u64 {
    members.get(name).and_then(Value::as_u64).unwrap_or_default()
}
