//! A process of the mesh, and what it has told so far.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// What never comes true within this time is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process, which ends when this is dropped.
pub(crate) struct Agent {
    book: watch::Receiver<Book>,
    input: ChildStdin,
    child: Child,
}

/// What a process has told. Times are those at which it was heard, which is later than it happened.
#[derive(Default)]
pub(crate) struct Book {
    /// Of a server.
    pub(crate) address: Option<String>,
    pub(crate) is_serving: bool,
    /// Of a client: both ways to the server have been gone.
    pub(crate) is_ready: bool,
    /// How often new files were taken.
    pub(crate) renewed: u64,
    /// How often they were told not to be.
    pub(crate) unrenewed: u64,
    /// The serials of peers.
    pub(crate) seen: BTreeSet<String>,
    /// Connections that a server has taken, and those of each peer that are open, by number.
    pub(crate) accepted: u64,
    pub(crate) open: BTreeMap<u64, String>,
    /// When a server has last taken a connection of a peer, and seen the end of one.
    pub(crate) last_accepted: BTreeMap<String, Instant>,
    pub(crate) last_gone: BTreeMap<String, Instant>,
    /// Connections that a client has opened.
    pub(crate) opened: u64,
    /// Why connections were refused by a server, or not opened by a client.
    pub(crate) refused: Vec<(Instant, String)>,
    /// Why requests failed.
    pub(crate) errors: Vec<(Instant, String)>,
    /// The requests that did not, once a client has stopped.
    pub(crate) calls: Option<u64>,
}

impl Agent {
    /// Starts `program` as what `role` says, with the bootstrap in a file.
    pub(crate) fn start(program: &Path, role: &str, bootstrap: &Path) -> Self {
        let mut command = Command::new(program);
        command.arg(role).arg(bootstrap).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, book) = watch::channel(Book::default());
        tokio::spawn(listen(output, sender));
        Self { book, input, child }
    }

    /// What is known now.
    pub(crate) fn book(&self) -> watch::Ref<'_, Book> {
        self.book.borrow()
    }

    /// Waits until what is known is as `condition` wants it.
    ///
    /// # Panics
    /// When it never is.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Book) -> bool) {
        let mut book = self.book.clone();
        let waited = timeout(PATIENCE, book.wait_for(|book| condition(book))).await;
        let is_so = matches!(waited, Ok(Ok(_)));
        drop(waited);
        assert!(is_so, "waited in vain: {what}: {}", *self.book());
    }

    /// Ends the process in good order; what it has told until then.
    pub(crate) async fn stop(mut self) -> watch::Receiver<Book> {
        self.input.write_all(b"stop\n").await.unwrap();
        drop(self.input);
        self.child.wait().await.unwrap();
        // The sender is dropped at the end of the output.
        while self.book.changed().await.is_ok() {}
        self.book
    }
}

async fn listen(output: ChildStdout, book: watch::Sender<Book>) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let now = Instant::now();
        book.send_modify(|book| book.take(&line, now));
    }
}

impl Book {
    fn take(&mut self, line: &str, now: Instant) {
        let (what, more) = line.split_once(' ').unwrap_or((line, ""));
        match what {
            "address" => self.address = Some(more.to_owned()),
            "serving" => self.is_serving = true,
            "ready" => self.is_ready = true,
            "renewed" => self.renewed += 1,
            "unrenewed" => self.unrenewed += 1,
            "verified" => drop(self.seen.insert(more.to_owned())),
            "accepted" => self.accept(more, now),
            "gone" => {
                let serial = self.open.remove(&more.parse().unwrap()).unwrap();
                self.last_gone.insert(serial, now);
            }
            "opened" => self.opened += 1,
            // What a client leaves undone at its end has not failed.
            "unopened" if self.calls.is_some() => {}
            "refused" | "unopened" => self.refused.push((now, more.to_owned())),
            "error" => self.errors.push((now, more.to_owned())),
            "calls" => self.calls = Some(more.parse().unwrap()),
            _ => panic!("what is {line:?}?"),
        }
    }

    fn accept(&mut self, more: &str, now: Instant) {
        let (number, serial) = more.split_once(' ').unwrap();
        self.accepted += 1;
        self.seen.insert(serial.to_owned());
        self.open.insert(number.parse().unwrap(), serial.to_owned());
        self.last_accepted.insert(serial.to_owned(), now);
    }
}

impl fmt::Display for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { renewed, unrenewed, accepted, opened, open, .. } = self;
        write!(f, "renewed {renewed}, unrenewed {unrenewed}, {} serials, ", self.seen.len())?;
        write!(f, "{accepted} accepted, {opened} opened, open {open:?}, ")?;
        write!(f, "refused {:?}, errors {:?}", self.refused.last(), self.errors.last())
    }
}
