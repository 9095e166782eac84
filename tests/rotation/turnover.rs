//! Certificates and authorities that are replaced all the time, some of them half, while requests
//! are made: none may fail.

use std::path::Path;
use std::time::{Duration, Instant};

use mesh_xds::identity::{DevCa, Issued};

use crate::agent::{Agent, Book};
use crate::place::{Files, Half, Place, Way};
use crate::serial;
use crate::world::World;

/// One write in so many is a half one.
const HALF: usize = 10;

/// What has come of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    /// Certificates that each side has seen of the other.
    pub(crate) serials_of_clients: usize,
    pub(crate) serials_of_servers: usize,
    /// Writes that were left half, on each side.
    pub(crate) halves: usize,
    pub(crate) connections: u64,
    pub(crate) requests: u64,
    pub(crate) elapsed: Duration,
}

impl Report {
    /// New connections a second.
    pub(crate) fn rate(&self) -> f64 {
        self.connections as f64 / self.elapsed.as_secs_f64()
    }
}

/// A server and a client, and what their files are to say.
struct Turnover {
    world: World,
    client: Agent,
    place: Place,
    trusted: Vec<DevCa>,
}

/// Replaces both sides' certificates `serials` times.
pub(crate) async fn run(program: &Path, serials: usize) -> Report {
    let (old, new) = (DevCa::new("td").unwrap(), DevCa::new("td").unwrap());
    let mut turnover = Turnover::start(program, old).await;
    let (start, before) = (Instant::now(), turnover.world.server.book().accepted);
    let (mut halves, mut new) = (0, Some(new));
    for step in 0..serials {
        // Before the new authority issues anything, everybody trusts it; the old one goes last.
        if step == serials / 4 {
            turnover.trust(new.take()).await;
        }
        if step == serials / 2 {
            turnover.trusted.swap(0, 1);
        }
        if step == serials * 3 / 4 {
            turnover.drop_old_authority().await;
        }
        let way = Way::ALL[step % Way::ALL.len()];
        let half = (step % HALF == HALF - 1).then(|| Half::ALL[halves % Half::ALL.len()]);
        halves += usize::from(half.is_some());
        turnover.renew(way, half).await;
    }
    let elapsed = start.elapsed();
    let connections = turnover.world.server.book().accepted - before;
    turnover.end().await.report(halves, connections, elapsed)
}

impl Turnover {
    async fn start(program: &Path, ca: DevCa) -> Self {
        let issued = |path| ca.issue(&ca.workload(path)).unwrap();
        let world = World::start(program, &issued("/server"), &[&ca]).await;
        let place = Place::new(&Files::of(&issued("/client"), &[&ca]));
        let client = world.client(&place).await;
        Self { world, client, place, trusted: vec![ca] }
    }

    /// A new certificate for each side, by the first of the authorities that are trusted. With
    /// `half`, the first attempt ends there, and is not to be seen.
    async fn renew(&mut self, way: Way, half: Option<Half>) {
        let ca = &self.trusted[0];
        let of_server = ca.issue(&ca.workload("/server")).unwrap();
        let of_client = ca.issue(&ca.workload("/client")).unwrap();
        let (for_server, for_client) =
            (self.world.place.files().clone(), self.place.files().clone());
        let (for_server, for_client) =
            (for_server.issued(&of_server), for_client.issued(&of_client));
        let (of_server, of_client) = (serial(&of_server), serial(&of_client));
        if let Some(half) = half {
            let told = (self.world.server.book().unrenewed, self.client.book().unrenewed);
            self.world.place.write_half(&for_server, way, half);
            self.place.write_half(&for_client, way, half);
            let what = format!("{half:?} by {way:?} told");
            self.world.server.until(&what, |book| book.unrenewed > told.0).await;
            self.client.until(&what, |book| book.unrenewed > told.1).await;
            let now = self.world.server.book().accepted;
            // Two callers, whose next connections may have been opened before.
            self.world.server.until("more connections", |book| book.accepted >= now + 4).await;
            assert!(!self.world.server.book().seen.contains(&of_client), "{half:?} by {way:?}");
            assert!(!self.client.book().seen.contains(&of_server), "{half:?} by {way:?}");
        }
        self.world.place.write(&for_server, way);
        self.place.write(&for_client, way);
        let what = format!("the certificates after {half:?} by {way:?}");
        self.world.server.until(&what, |book| book.seen.contains(&of_client)).await;
        self.client.until(&what, |book| book.seen.contains(&of_server)).await;
    }

    /// Trusts `more`, too, on both sides.
    async fn trust(&mut self, more: Option<DevCa>) {
        self.trusted.extend(more);
        let trusted: Vec<&DevCa> = self.trusted.iter().collect();
        let told = (self.world.server.book().renewed, self.client.book().renewed);
        let files = self.world.place.files().clone().trusting(&trusted);
        self.world.place.write(&files, Way::Overwrite);
        let files = self.place.files().clone().trusting(&trusted);
        self.place.write(&files, Way::Overwrite);
        self.world.server.until("other trust", |book| book.renewed > told.0).await;
        self.client.until("other trust", |book| book.renewed > told.1).await;
    }

    /// Trusts only who is first, once no connection is left for which another has vouched.
    async fn drop_old_authority(&mut self) {
        let all = self.world.server.book().accepted;
        let is_gone = |book: &Book| book.open.keys().all(|number| *number >= all);
        self.world.server.until("old connections gone", is_gone).await;
        self.trusted.truncate(1);
        self.trust(None).await;
    }

    /// Ends both, and checks that nothing went wrong.
    async fn end(self) -> Ended {
        let server = self.world.server;
        assert!(server.book().refused.is_empty(), "{:?}", server.book().refused);
        let serials_of_clients = server.book().seen.len();
        let client = self.client.stop().await;
        let client = client.borrow();
        assert!(client.refused.is_empty(), "{:?}", client.refused);
        assert!(client.errors.is_empty(), "{:?}", client.errors);
        Ended {
            serials_of_clients,
            serials_of_servers: client.seen.len(),
            requests: client.calls.unwrap(),
        }
    }
}

struct Ended {
    serials_of_clients: usize,
    serials_of_servers: usize,
    requests: u64,
}

impl Ended {
    fn report(self, halves: usize, connections: u64, elapsed: Duration) -> Report {
        let Self { serials_of_clients, serials_of_servers, requests } = self;
        Report { serials_of_clients, serials_of_servers, halves, connections, requests, elapsed }
    }
}

fn serial(issued: &Issued) -> String {
    serial::of_certificate(issued.der())
}
