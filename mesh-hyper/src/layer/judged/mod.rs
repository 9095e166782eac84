//! What layers have in common that go by how requests end: a gate that lets them pass, somebody who
//! says whether an answer is good, and the gate again, which is told.

mod body;
mod future;
mod judge;
mod service;
mod told;

pub use body::Watched;
pub use future::JudgedFuture;
pub use judge::{By, ByStatus, Errors, Grpc, Http, Judge};
pub(super) use service::sealed;
pub use service::{Gate, Judged};
pub use told::Told;
