//! Peers that are not trusted any more, while they and others ask: how long it takes until they get
//! in no more, and until those who are in are out.

use std::path::Path;
use std::time::Duration;

use mesh_xds::identity::{DevCa, Issued};
use tokio::time::Instant;

use crate::agent::{Agent, Book};
use crate::place::{Files, Place, Way};
use crate::serial;
use crate::world::World;

/// How trust is withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    /// The server has a list that revokes the client's certificate.
    ListAtServer,
    /// The client has one that revokes the server's.
    ListAtClient,
    /// The server does not trust the client's authority any more.
    AuthorityAtServer,
    /// The client does not trust the server's.
    AuthorityAtClient,
}

/// What happened how long after the files began to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    /// The first handshake failed.
    pub(crate) refused: Duration,
    /// The last one succeeded, if that was after.
    pub(crate) accepted: Duration,
    /// The last open connection was closed.
    pub(crate) closed: Duration,
}

impl Means {
    pub(crate) const ALL: [Self; 4] =
        [Self::ListAtServer, Self::ListAtClient, Self::AuthorityAtServer, Self::AuthorityAtClient];
}

/// A server, a client that stays in the mesh, and those that have been put out of it.
pub(crate) struct Withdrawal {
    world: World,
    /// The authority of the server and of the client that stays, and one for some others.
    authorities: [DevCa; 2],
    of_server: Issued,
    bystander: Agent,
    revoked: Vec<Issued>,
}

impl Withdrawal {
    pub(crate) async fn start(program: &Path) -> Self {
        let authorities = [DevCa::new("td").unwrap(), DevCa::new("td").unwrap()];
        let [first, second] = &authorities;
        let of_server = first.issue(&first.workload("/server")).unwrap();
        let world = World::start(program, &of_server, &[first, second]).await;
        let issued = first.issue(&first.workload("/bystander")).unwrap();
        let place = Place::new(&Files::of(&issued, &[first]));
        let bystander = world.client(&place).await;
        Self { world, authorities, of_server, bystander, revoked: Vec::new() }
    }

    /// Withdraws trust from one more client, or from the server at it.
    pub(crate) async fn withdraw(&mut self, means: Means, way: Way) -> Report {
        let [first, second] = &self.authorities;
        let ca = if means == Means::AuthorityAtServer { second } else { first };
        let issued = ca.issue(&ca.workload("/client")).unwrap();
        let serial = serial::of_certificate(issued.der());
        let mut place = Place::new(&Files::of(&issued, &[first]));
        let client = self.world.client(&place).await;
        let server = self.world.place.files().clone();
        let refused = self.world.server.book().refused.len();
        let start = Instant::now();
        match means {
            Means::ListAtServer => {
                self.revoked.push(issued);
                let all: Vec<_> = self.revoked.iter().collect();
                self.world.place.write(&server.revoking(first, &all), way);
            }
            Means::ListAtClient => {
                let files = place.files().clone().revoking(first, &[&self.of_server]);
                place.write(&files, way);
            }
            Means::AuthorityAtServer => self.world.place.write(&server.trusting(&[first]), way),
            Means::AuthorityAtClient => {
                let files = place.files().clone().trusting(&[second]);
                place.write(&files, way);
            }
        }
        let report = self.observe(&client, &serial, (start, refused)).await;
        // Of what it asked before, everything was answered.
        let is_late = client.book().errors.iter().all(|(at, _)| *at >= start);
        assert!(is_late, "{}", *client.book());
        if means == Means::AuthorityAtServer {
            self.trust_all(way).await;
        }
        report
    }

    /// Waits until the client with the certificate `serial` is out and both its ways to the server
    /// have been refused to it.
    async fn observe(&self, client: &Agent, serial: &str, before: (Instant, usize)) -> Report {
        let (start, refused) = before;
        let server = &self.world.server;
        client.until("two ways refused", |book| book.refused.len() >= 2).await;
        let is_out = |book: &Book| !book.open.values().any(|open| open == serial);
        server.until("open connections closed", is_out).await;
        client.until("requests that fail", |book| !book.errors.is_empty()).await;
        let since = |at: Instant| at.saturating_duration_since(start);
        let book = server.book();
        let at_client = client.book().refused.first().map(|(at, _)| *at);
        let at_server = book.refused.get(refused).map(|(at, _)| *at);
        Report {
            refused: since([at_client, at_server].into_iter().flatten().min().unwrap()),
            accepted: since(book.last_accepted[serial]),
            closed: since(book.last_gone[serial]),
        }
    }

    /// Trusts both authorities again.
    async fn trust_all(&mut self, way: Way) {
        let renewed = self.world.server.book().renewed;
        let [first, second] = &self.authorities;
        let files = self.world.place.files().clone().trusting(&[first, second]);
        self.world.place.write(&files, way);
        self.world.server.until("trust in both", |book| book.renewed > renewed).await;
    }

    /// Ends all; the requests of the client that stays, none of which has failed.
    pub(crate) async fn end(self) -> u64 {
        let book = self.bystander.stop().await;
        let book = book.borrow();
        assert!(book.errors.is_empty() && book.refused.is_empty(), "{}", *book);
        book.calls.unwrap()
    }
}
