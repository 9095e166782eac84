//! TLS that is none: its handshake is the two bytes that one begins with.

use std::sync::Arc;

use mesh_core::identity::{Certificate, Clients, ServerTls, Session};
use mesh_core::listener::Hello;
use tokio::io::AsyncReadExt;

use crate::server::secure::{Greet, Greeted, Greeting, Judge, Secured, Securing};
use crate::transport::connect::Io;

/// What a client of [`Pretence`] begins with.
pub(super) const HELLO: [u8; 2] = [0x16, 0x03];

pub(super) struct Pretence;

struct Begun(Hello, Box<dyn Io>);

/// Finds those good who are asked for nothing.
struct Lenient;

impl Greet for Pretence {
    fn greet(&self, mut io: Box<dyn Io>) -> Greeting {
        Box::pin(async move {
            io.read_u16().await.map_err(|error| error.to_string())?;
            let hello = Hello { server_name: Some("name".into()), protocols: Vec::new() };
            Ok(Box::new(Begun(hello, io)) as Box<dyn Greeted>)
        })
    }
}

impl Greeted for Begun {
    fn hello(&self) -> &Hello {
        &self.0
    }

    fn secure(self: Box<Self>, tls: Arc<ServerTls>) -> Securing {
        Box::pin(async move {
            let certificate = Some(Certificate::default());
            let protocol = tls.protocols.first().map(|name| name.as_bytes().into());
            let session = Session { certificate, protocol, ..Session::default() };
            let (digest, own) = (Box::default(), Box::default());
            let (judge, forbidden) = (Box::new(Lenient), None);
            Ok(Secured { io: self.1, session, digest, own, judge, forbidden })
        })
    }
}

impl Judge for Lenient {
    fn judge(&self, tls: &Arc<ServerTls>) -> Result<(), String> {
        match &tls.clients {
            Clients::Anonymous => Ok(()),
            Clients::Optional(_) | Clients::Required(_) => Err("it is nobody".into()),
        }
    }
    fn chain(&self) -> Vec<&[u8]> {
        Vec::new()
    }
}
