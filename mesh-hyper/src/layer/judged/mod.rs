//! What layers have in common that go by how requests end: who says whether an answer is good, and
//! who is told.

mod body;
mod future;
mod judge;

pub use body::Watched;
pub use future::JudgedFuture;
pub use judge::{By, Errors, Grpc, Http, Judge, Told};
