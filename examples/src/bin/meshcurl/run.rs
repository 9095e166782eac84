//! Sends what is asked, some requests at a time, and prints outcomes as they come.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::ask::Ask;
use crate::caller::Caller;
use crate::outcome::Outcome;

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Lines<W, N> {
    /// Results.
    pub(crate) results: W,
    /// Explanations, if they are wanted.
    pub(crate) notes: Option<N>,
}

impl<W: Write, N: Write> Lines<W, N> {
    /// Sends all requests of `ask`. Returns when the line of the last one is written.
    pub(crate) async fn run(&mut self, caller: &Caller, ask: Ask) -> io::Result<()> {
        if let Some(notes) = &mut self.notes {
            writeln!(notes, "{}", caller.explain(&ask).await)?;
        }
        let count = ask.count.get();
        let workers = usize::try_from(count).unwrap_or(usize::MAX).min(ask.concurrency.get());
        let shared = Arc::new((caller.clone(), ask, AtomicU64::new(0)));
        let (done, mut outcomes) = mpsc::channel(64);
        // Dropped when a line cannot be written; nothing goes on then.
        let mut running = JoinSet::new();
        for _ in 0..workers {
            let (shared, done) = (shared.clone(), done.clone());
            running.spawn(async move {
                let (caller, ask, next) = &*shared;
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        break;
                    }
                    let start = Instant::now();
                    let outcome = caller.call(ask).await;
                    if done.send(outcome.of(n, start.elapsed())).await.is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        while let Some(outcome) = outcomes.recv().await {
            self.result(&outcome)?;
        }
        Ok(())
    }

    /// Runs what each line of `input` asks, until it ends.
    ///
    /// A line that is malformed is answered too: with one result whose `error` says why.
    pub(crate) async fn interact(
        &mut self,
        caller: &Caller,
        mut input: impl AsyncBufRead + Unpin,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        let mut line = Vec::new();
        while read_line(&mut input, &mut line).await? {
            if line.trim_ascii().is_empty() {
                continue;
            }
            match Ask::from_json(&line, timeout) {
                Ok(ask) => self.run(caller, ask).await?,
                Err(why) => self.result(&Outcome::impossible(why))?,
            }
            self.result(&Done { done: true })?;
        }
        Ok(())
    }

    fn result(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.results.write_all(&text)?;
        self.results.flush()
    }
}

/// The next line in `line`, whatever bytes it is made of. False at the end of the input.
async fn read_line(
    input: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> io::Result<bool> {
    line.clear();
    Ok(input.read_until(b'\n', line).await? > 0)
}

#[derive(Serialize)]
struct Done {
    done: bool,
}
