//! TLS of clients, as this floor sees it: who does it is decided above.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use mesh_core::identity::{ServerTls, Session};
use mesh_core::listener::Hello;

use crate::transport::connect::Io;
use crate::transport::secure::Forbidden;

/// Does the server's side of TLS handshakes.
pub(crate) trait Greet: Send + Sync {
    /// Reads what the client on `io` begins with.
    fn greet(&self, io: Box<dyn Io>) -> Greeting;
}

/// The beginning of a handshake. Dropping it closes the stream.
pub(crate) type Greeting = Pin<Box<dyn Future<Output = Result<Box<dyn Greeted>, String>> + Send>>;

/// A handshake of which the client's first message was read.
pub(crate) trait Greeted: Send {
    /// What that says.
    fn hello(&self) -> &Hello;

    /// Goes on to the end. What is presented and who is accepted is looked up now.
    fn secure(self: Box<Self>, tls: Arc<ServerTls>) -> Securing;
}

/// The rest of a handshake. Dropping it closes the stream.
pub(crate) type Securing = Pin<Box<dyn Future<Output = Result<Secured, String>> + Send>>;

/// A client's stream on which the handshake has succeeded.
pub(crate) struct Secured {
    pub(crate) io: Box<dyn Io>,
    pub(crate) session: Session,
    /// The SHA-256 of the client's certificate; empty without one.
    pub(crate) digest: Box<[u8]>,
    /// The URI names of the certificate that the server presents.
    pub(crate) own: Box<[Arc<str>]>,
    /// Judges the client anew when the listener is replaced.
    pub(crate) judge: Box<dyn Judge>,
    /// Resolves when the client would not be accepted any more, and says why; `None` if it has shown
    /// nothing that could be withdrawn.
    pub(crate) forbidden: Option<Forbidden>,
}

/// Judges a client whose handshake is over.
pub(crate) trait Judge: Send + Sync {
    /// Whether the client would be accepted as `tls` says.
    ///
    /// # Errors
    /// Why it would not be.
    fn judge(&self, tls: &Arc<ServerTls>) -> Result<(), String>;

    /// All certificates that the client has shown (DER), its own first.
    fn chain(&self) -> Vec<&[u8]>;
}
