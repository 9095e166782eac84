//! Two sides in memory.

use std::io::{self, Read, Write};
use std::sync::Arc;

use mesh_core::identity::{Feed, Material, SanMatcher, Source};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection};

use crate::identity::{DevCa, Request};
use crate::tls::{
    Anonymous, ClientSettings, Credentials, MinimumVersion, PeerCheck, ServerSettings, Side,
    client_config, server_config,
};

pub(crate) fn credentials(source: Arc<dyn Source>) -> Arc<Credentials> {
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Arc::new(Credentials::new("default", source, crypto))
}

pub(crate) fn fixed(material: Material) -> Arc<Credentials> {
    credentials(Arc::new(Feed::of(material)))
}

/// The workload that `request` describes, which trusts `ca`.
pub(crate) fn workload(ca: &DevCa, request: &Request) -> Arc<Credentials> {
    fixed(ca.material(request).unwrap())
}

/// How both sides are set up.
pub(crate) struct Pair {
    pub(crate) client: Arc<Credentials>,
    pub(crate) server: Arc<Credentials>,
    pub(crate) accepted_servers: Vec<SanMatcher>,
    pub(crate) accepted_clients: Vec<SanMatcher>,
    pub(crate) minimum: (MinimumVersion, MinimumVersion),
    pub(crate) protocols: (Vec<Vec<u8>>, Vec<Vec<u8>>),
}

impl Pair {
    pub(crate) fn new(client: Arc<Credentials>, server: Arc<Credentials>) -> Self {
        Self {
            client,
            server,
            accepted_servers: Vec::new(),
            accepted_clients: Vec::new(),
            minimum: Default::default(),
            protocols: Default::default(),
        }
    }

    pub(crate) fn client_config(&self) -> rustls::ClientConfig {
        let settings = ClientSettings {
            identity: Some(self.client.clone()),
            servers: PeerCheck::new(self.client.clone(), &self.accepted_servers, Side::Server),
            protocols: self.protocols.0.clone(),
            minimum: self.minimum.0,
        };
        client_config(settings, self.client.crypto()).unwrap()
    }

    pub(crate) fn server_config(&self) -> rustls::ServerConfig {
        let settings = ServerSettings {
            identity: self.server.clone(),
            clients: Some(PeerCheck::new(
                self.server.clone(),
                &self.accepted_clients,
                Side::Client,
            )),
            anonymous: Anonymous::Refuse,
            protocols: self.protocols.1.clone(),
            minimum: self.minimum.1,
        };
        server_config(settings, self.server.crypto()).unwrap()
    }

    pub(crate) fn connect(&self) -> Outcome {
        shake(self.client_config(), self.server_config())
    }
}

/// How a handshake went, as each side sees it.
pub(crate) struct Outcome {
    pub(crate) client: Result<ClientConnection, String>,
    pub(crate) server: Result<ServerConnection, String>,
}

impl Outcome {
    /// Why the client, and why the server, did not go on.
    pub(crate) fn faults(&self) -> (Option<&str>, Option<&str>) {
        (self.client.as_ref().err().map(|e| &**e), self.server.as_ref().err().map(|e| &**e))
    }
}

pub(crate) fn shake(client: rustls::ClientConfig, server: rustls::ServerConfig) -> Outcome {
    let name = ServerName::try_from("server.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let (mut client_fault, mut server_fault) = (None, None);
    for _ in 0..16 {
        let bytes = drain(&mut |to| client.write_tls(to));
        if server_fault.is_none() {
            server_fault = feed(&bytes, |from| {
                server.read_tls(from)?;
                Ok(server.process_new_packets().map(drop))
            });
        }
        let bytes = drain(&mut |to| server.write_tls(to));
        if client_fault.is_none() {
            client_fault = feed(&bytes, |from| {
                client.read_tls(from)?;
                Ok(client.process_new_packets().map(drop))
            });
        }
    }
    assert!(client_fault.is_some() || !client.is_handshaking());
    assert!(server_fault.is_some() || client_fault.is_some() || !server.is_handshaking());
    Outcome {
        client: client_fault.map_or(Ok(client), Err),
        server: server_fault.map_or(Ok(server), Err),
    }
}

fn drain(write: &mut dyn FnMut(&mut dyn Write) -> io::Result<usize>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while write(&mut bytes).unwrap() > 0 {}
    bytes
}

fn feed(
    bytes: &[u8],
    mut read: impl FnMut(&mut dyn Read) -> io::Result<Result<(), rustls::Error>>,
) -> Option<String> {
    let mut bytes = bytes;
    while !bytes.is_empty() {
        if let Err(error) = read(&mut bytes).unwrap() {
            return Some(crate::tls::why(&error));
        }
    }
    None
}
