//! What happens when records come faster than they are written.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use mesh_core::authz::Unrecorded;

use super::*;
use crate::audit::spool::{Entry, Sink, Spool};
use crate::audit::text::Members;

/// Tells when it is asked to write, and then does as it is told.
struct Gate {
    asked: Sender<usize>,
    answers: Receiver<io::Result<()>>,
    written: Sender<Entry>,
}

impl Sink for Gate {
    fn write(&mut self, entries: &mut VecDeque<Entry>) -> io::Result<()> {
        self.asked.send(entries.len()).map_err(io::Error::other)?;
        self.answers.recv().map_err(io::Error::other)??;
        entries.drain(..).try_for_each(|entry| self.written.send(entry)).map_err(io::Error::other)
    }
}

struct Bench {
    spool: Spool,
    asked: Receiver<usize>,
    answers: Sender<io::Result<()>>,
    written: Receiver<Entry>,
}

/// A spool for two records, which are being written already when this returns.
fn full(when_full: WhenFull) -> Bench {
    let ((ask, asked), (answers, answer)) = (channel(), channel());
    let (write, written) = channel();
    let gate = Gate { asked: ask, answers: answer, written: write };
    let capacity = Capacity { records: 2, bytes: 1000 };
    let spool = Spool::start(gate, capacity, when_full).unwrap();
    spool.push(number(0), then()).unwrap();
    assert_eq!(asked.recv().unwrap(), 1);
    spool.push(number(1), then()).unwrap();
    Bench { spool, asked, answers, written }
}

fn number(number: u64) -> Members {
    Members::default().plain("n", number)
}

#[test]
fn what_has_no_room_is_lost_and_said_so_in_its_place() {
    let Bench { spool, asked, answers, written } = full(WhenFull::Lose);
    for n in 2..5 {
        assert_eq!(spool.push(number(n), then()), Ok(()));
    }
    answers.send(Ok(())).unwrap();
    assert_eq!(asked.recv().unwrap(), 2);
    answers.send(Ok(())).unwrap();
    spool.flush(Duration::from_secs(60)).unwrap();
    spool.push(number(5), then()).unwrap();
    answers.send(Ok(())).unwrap();
    assert_eq!(spool.missed(), (3, 0));
    drop((spool, asked));
    let written: Vec<_> = written.into_iter().map(|it| it.members().as_str().to_owned()).collect();
    let gap = r#""timestamp":"2023-11-14T22:13:20.000000005Z","lost":3,"refused":0"#;
    assert_eq!(written, [r#""n":0"#, r#""n":1"#, gap, r#""n":5"#]);
}

#[test]
fn what_has_no_room_is_refused_if_that_is_wanted() {
    let Bench { spool, asked, answers, written } = full(WhenFull::Refuse);
    assert_eq!(spool.push(number(2), then()), Err(Unrecorded));
    answers.send(Ok(())).unwrap();
    assert_eq!(asked.recv().unwrap(), 2);
    answers.send(Ok(())).unwrap();
    spool.flush(Duration::from_secs(60)).unwrap();
    assert_eq!((spool.push(number(3), then()), spool.missed()), (Ok(()), (0, 1)));
    answers.send(Ok(())).unwrap();
    drop(spool);
    assert_eq!(written.into_iter().count(), 4);
}

#[test]
fn what_cannot_be_written_waits() {
    let Bench { spool, asked, answers, written } = full(WhenFull::Lose);
    answers.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
    assert_eq!(spool.flush(Duration::ZERO), Err(Unwritten));
    answers.send(Ok(())).unwrap();
    answers.send(Ok(())).unwrap();
    spool.flush(Duration::from_secs(60)).unwrap();
    drop((spool, asked));
    let written: Vec<_> = written.into_iter().map(|it| it.members().as_str().to_owned()).collect();
    assert_eq!(written, [r#""n":0"#, r#""n":1"#]);
}

#[test]
fn bytes_are_bounded_too() {
    let Bench { spool, answers, .. } = {
        let bench = full(WhenFull::Refuse);
        bench.answers.send(Ok(())).unwrap();
        bench.answers.send(Ok(())).unwrap();
        bench.spool.flush(Duration::from_secs(60)).unwrap();
        bench
    };
    let large = |bytes| Members::default().text("t", &"x".repeat(bytes), bytes);
    assert_eq!(spool.push(large(1000), then()), Err(Unrecorded));
    answers.send(Ok(())).unwrap();
    assert_eq!(spool.push(large(990), then()), Ok(()));
}
