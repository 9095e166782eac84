//! Programs that a bench starts and speaks with.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::shared::Error;

/// A program that ends with this value, and also if this process dies: it stays only while its
/// input is open.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// `None` once it was told to end.
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts `command`.
    ///
    /// # Errors
    /// There is no such program, or it may not be run.
    pub fn start(command: &mut Command) -> Result<Self, Error> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{command:?} does not start: {error}"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or("a process without an output")?;
        Ok(Self { child, input, output: BufReader::new(output).lines() })
    }

    /// Its identifier, for `/proc`.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Says a line to it.
    ///
    /// # Errors
    /// It does not listen any more.
    pub fn tell(&mut self, line: &str) -> Result<(), Error> {
        let input = self.input.as_mut().ok_or("the process was told to end")?;
        Ok(writeln!(input, "{line}")?)
    }

    /// What it says after `subject`, in a line of its own.
    ///
    /// # Errors
    /// It ended, or said something else.
    pub fn hear(&mut self, subject: &str) -> Result<String, Error> {
        let line = self.output.next().ok_or("the process ended early")??;
        match line.strip_prefix(subject) {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => Err(format!("expected {subject:?}, heard {line:?}").into()),
        }
    }
}

impl Process {
    /// Tells it to end, and gives what it then says after `subject`.
    ///
    /// # Errors
    /// As for [`hear`](Self::hear).
    pub fn end(mut self, subject: &str) -> Result<String, Error> {
        drop(self.input.take());
        self.hear(subject)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.input.take());
        if let Err(error) = self.child.wait() {
            eprintln!("a process did not end: {error}");
        }
    }
}
