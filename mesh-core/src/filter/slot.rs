//! What a filter remembers of one call.

use std::any::Any;
use std::fmt;

/// A filter's memory of one call: a number, or a box for filters that need more.
#[derive(Default)]
pub enum Slot {
    /// Nothing yet.
    #[default]
    Empty,
    /// A few bits, without an allocation.
    Bits(u64),
    /// Anything. `Sync`, because response bodies are (HTTP clients and SDKs ask for it).
    Boxed(Box<dyn Any + Send + Sync>),
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bits(bits) => write!(f, "Bits({bits:#x})"),
            Self::Boxed(_) => f.write_str("Boxed"),
        }
    }
}
