//! The handlers that run, and until when each may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// All handlers of the chain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Handlers(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    next: u64,
    until: HashMap<u64, Option<Instant>>,
}

/// A handler that runs, for as long as it is there.
#[derive(Debug)]
pub(crate) struct Running {
    all: Handlers,
    number: u64,
}

impl Handlers {
    /// A handler starts. It serves the current request, whose deadline it has.
    pub(crate) fn enter(&self) -> Running {
        let until = mesh_hyper::inherited().and_then(|request| request.deadline);
        self.with(|book| {
            book.next += 1;
            book.until.insert(book.next, until);
            Running { all: self.clone(), number: book.next }
        })
    }

    /// How many run that should have ended before `then`.
    pub(crate) fn late(&self, then: Instant) -> usize {
        self.with(|book| book.until.values().flatten().filter(|until| **until < then).count())
    }

    /// How many run.
    pub(crate) fn count(&self) -> usize {
        self.with(|book| book.until.len())
    }

    /// How many run without a deadline.
    pub(crate) fn endless(&self) -> usize {
        self.with(|book| book.until.values().filter(|until| until.is_none()).count())
    }

    fn with<T>(&self, see: impl FnOnce(&mut Book) -> T) -> T {
        see(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.all.with(|book| _ = book.until.remove(&self.number));
    }
}
