//! The in-process kit that the tests of the whole mesh are written with.

mod backend;
mod control;
mod door;
mod echo;
mod gate;
pub mod yaml;

pub use backend::{Backend, service};
pub use control::{Control, resources};
pub use door::{Door, Entry};
pub use echo::{EchoClient, Message};
