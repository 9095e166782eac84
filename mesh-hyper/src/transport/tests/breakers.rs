//! Endpoints that fail and have breakers: from the answer of a peer to the next pick.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use mesh_core::backoff::Backoff;
use mesh_core::breaker;
use mesh_core::cluster::{Config, Endpoint, Version};
use mesh_core::record::{Breaker, Event, Recorder};

use super::kit::{Lab, SECOND, eventually, post, serve};
use crate::body::empty;
use crate::client::Options;
use crate::error::{Error, Kind};

/// What a peer does with requests.
#[derive(Clone, Copy)]
enum Peer {
    Status(u16),
    /// 503, and when to come again.
    Later(&'static str),
    /// A gRPC status in trailers.
    Code(&'static str),
    /// UNAVAILABLE in trailers, and when to come again.
    Pushback(&'static str),
    /// A gRPC status in a head that is all there is.
    CodeInHead(&'static str),
    /// One message, and no end.
    Message,
    Reset,
    Refuse,
    ResetAfterHead,
    Silent,
}

impl Peer {
    async fn answer(self, mut respond: SendResponse<Bytes>) {
        let mut head = Response::new(());
        match self {
            Self::Status(status) => {
                *head.status_mut() = status.try_into().unwrap();
                respond.send_response(head, true).unwrap();
            }
            Self::Later(seconds) => {
                *head.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                *head.headers_mut() = fields(&[("retry-after", seconds)]);
                respond.send_response(head, true).unwrap();
            }
            Self::Code(code) => {
                let mut stream = respond.send_response(head, false).unwrap();
                stream.send_trailers(fields(&[("grpc-status", code)])).unwrap();
            }
            Self::Pushback(millis) => {
                let mut stream = respond.send_response(head, false).unwrap();
                let trailers = [("grpc-status", "14"), ("grpc-retry-pushback-ms", millis)];
                stream.send_trailers(fields(&trailers)).unwrap();
            }
            Self::CodeInHead(code) => {
                *head.headers_mut() = fields(&[("grpc-status", code)]);
                respond.send_response(head, true).unwrap();
            }
            Self::Message => {
                let mut stream = respond.send_response(head, false).unwrap();
                stream.send_data(Bytes::from_static(b"m"), false).unwrap();
                std::future::pending().await
            }
            Self::Reset => respond.send_reset(Reason::INTERNAL_ERROR),
            Self::Refuse => respond.send_reset(Reason::REFUSED_STREAM),
            Self::ResetAfterHead => {
                let mut stream = respond.send_response(head, false).unwrap();
                tokio::task::yield_now().await;
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
            Self::Silent => std::future::pending().await,
        }
    }
}

fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let fields = fields
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    fields.collect()
}

/// Breakers that go by so many failures in a row, with waits of 1 s, 2 s, 4 s.
fn breakers(failures: u32) -> impl Fn(&mut Config) + Copy {
    move |config| {
        let backoff = Backoff { factor: 2.0, jitter: 0.0, ..Backoff::CONNECTION };
        let breaker = breaker::Config::consecutive(failures).unwrap().backoff(backoff).unwrap();
        config.breaker = Some(Arc::new(breaker));
    }
}

struct World {
    lab: Lab,
    /// What each peer does, and how many requests it has got.
    peers: Vec<Arc<Mutex<(Peer, usize)>>>,
}

impl World {
    /// All endpoints are connected.
    async fn new(peers: &[Peer], change: impl Fn(&mut Config)) -> Self {
        Self::recorded(peers, change, None).await
    }

    /// The same; what happens is told to `recorder`.
    async fn recorded(
        peers: &[Peer],
        change: impl Fn(&mut Config),
        recorder: Option<Arc<dyn Recorder>>,
    ) -> Self {
        let lab = Lab::recorded(peers.len().try_into().unwrap(), change, |_| {}, recorder);
        let peers: Vec<_> =
            peers.iter().map(|peer| Arc::new(Mutex::new((*peer, 0_usize)))).collect();
        for (at, peer) in peers.iter().enumerate() {
            let peer = peer.clone();
            let answer = move |_: Request<RecvStream>, respond| {
                let mut peer = peer.lock().unwrap();
                peer.1 += 1;
                peer.0.answer(respond)
            };
            serve(lab.listen(at), Builder::new(), answer);
        }
        let world = Self { lab, peers };
        world.lab.pool().demand();
        eventually!(world.lab.pool().connected() == world.peers.len());
        world
    }

    fn set(&self, at: usize, peer: Peer) {
        self.peers[at].lock().unwrap().0 = peer;
    }

    /// The requests that peers have got since the last time.
    fn got(&self) -> Vec<usize> {
        self.peers.iter().map(|peer| std::mem::take(&mut peer.lock().unwrap().1)).collect()
    }

    /// A call that has a second.
    async fn call(&self, content_type: &'static str) -> Result<(), Error> {
        let mut request = post(empty());
        request.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
        let options = Options::default().timeout(SECOND);
        let response = self.lab.target.call(request, options).await?;
        response.into_body().collected().await.map(drop)
    }

    /// What peers get of so many calls in turn.
    async fn calls(&self, times: usize) -> Vec<usize> {
        for _ in 0..times {
            self.call(HTTP).await.ok();
        }
        self.got()
    }

    fn publish(&self, change: impl Fn(&mut Version)) {
        let mut version = (*self.lab.cluster.version().load_full().unwrap()).clone();
        change(&mut version);
        self.lab.cluster.version().publish(Arc::new(version));
    }
}

/// What the breakers do.
#[derive(Default)]
struct Told(Mutex<Vec<(String, Breaker)>>);

impl Recorder for Told {
    fn record(&self, event: &Event<'_>) {
        if let Event::Breaker { cluster: "backend", address, change } = event {
            self.0.lock().unwrap().push(((*address).to_owned(), *change));
        }
    }
}

/// That no breaker lets a call through.
fn is_refusal(call: &Result<(), Error>) -> bool {
    call.as_ref().is_err_and(|error| error.kind() == Kind::Overloaded)
}

async fn after(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

const HTTP: &str = "text/plain";
const GRPC: &str = "application/grpc";

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_gets_one_call_after_each_wait_until_it_is_well() {
    let world = World::new(&[Peer::Status(500), Peer::Status(200)], breakers(5)).await;
    assert_eq!(world.calls(100).await, [5, 95]);
    after(990).await;
    assert_eq!(world.calls(100).await, [0, 100]);
    after(20).await;
    assert_eq!(world.calls(100).await, [1, 99]);
    after(1_990).await;
    assert_eq!(world.calls(100).await, [0, 100]);
    after(20).await;
    world.set(0, Peer::Status(200));
    assert_eq!(world.calls(100).await, [50, 50]);
    assert!(world.lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn what_a_breaker_does_is_told_to_the_recorder() {
    let told = Arc::new(Told::default());
    let peers = [Peer::Status(500), Peer::Status(200)];
    let world = World::recorded(&peers, breakers(1), Some(told.clone())).await;
    world.calls(10).await;
    world.set(0, Peer::Status(200));
    after(1_010).await;
    world.calls(10).await;
    let first = || "127.0.0.1:1000".to_owned();
    let changes = [Breaker::Refuses(SECOND), Breaker::Passes].map(|change| (first(), change));
    assert_eq!(*told.0.lock().unwrap(), changes);
}

#[tokio::test(start_paused = true)]
async fn the_others_share_what_it_does_not_get() {
    let peers = [Peer::Status(500), Peer::Status(200), Peer::Status(200)];
    let world = World::new(&peers, breakers(1)).await;
    world.calls(3).await;
    assert_eq!(world.calls(90).await, [0, 45, 45]);
}

#[tokio::test(start_paused = true)]
async fn one_probe_is_under_way_at_a_time() {
    let world = World::new(&[Peer::Status(500), Peer::Status(200)], breakers(1)).await;
    world.calls(2).await;
    world.set(0, Peer::Silent);
    after(1_010).await;
    let world = Arc::new(world);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let world = world.clone();
        calls.spawn(async move { world.call(HTTP).await.is_ok() });
    }
    let done = calls.join_all().await;
    assert_eq!(done.iter().filter(|is_ok| !**is_ok).count(), 1);
    assert_eq!(world.got(), [1, 19]);
    // That it was silent is a failure: two seconds from when its time was over.
    after(1_990).await;
    assert_eq!(world.calls(10).await, [0, 10]);
    after(20).await;
    assert_eq!(world.calls(10).await, [1, 9]);
}

#[tokio::test(start_paused = true)]
async fn where_all_refuse_the_call_fails_as_overloaded() {
    let world = World::new(&[Peer::Reset, Peer::Status(503)], breakers(1)).await;
    assert_eq!(world.calls(50).await, [1, 1]);
    let error = world.call(HTTP).await.unwrap_err();
    let why = "cluster backend: the breakers of all endpoints are open";
    assert_eq!((error.kind(), &*error.to_string()), (Kind::Overloaded, why));
    assert_eq!((error.status().as_u16(), error.attempts()), (503, 0));
    let patient = Options { wait_for_ready: true, ..Options::default() };
    let error = world.lab.target.call(post(empty()), patient).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Overloaded);
    assert!(world.lab.is_at_rest());
}

#[tokio::test(start_paused = true)]
async fn outcomes_are_judged_as_the_layer_judges_them() {
    for (content_type, peer, is_bad) in [
        (HTTP, Peer::Status(200), false),
        (HTTP, Peer::Status(429), false),
        (HTTP, Peer::Status(500), true),
        // To HTTP it is a good answer.
        (HTTP, Peer::Code("14"), false),
        (HTTP, Peer::ResetAfterHead, false),
        (HTTP, Peer::Reset, true),
        (HTTP, Peer::Silent, true),
        (GRPC, Peer::Code("0"), false),
        (GRPC, Peer::Code("5"), false),
        (GRPC, Peer::Code("14"), true),
        (GRPC, Peer::CodeInHead("5"), false),
        (GRPC, Peer::CodeInHead("8"), true),
        (GRPC, Peer::Status(503), true),
        (GRPC, Peer::Status(404), false),
        // There is no status at all.
        (GRPC, Peer::Status(200), true),
        (GRPC, Peer::ResetAfterHead, true),
        (GRPC, Peer::Refuse, true),
        (GRPC, Peer::Silent, true),
    ] {
        let world = World::new(&[peer], breakers(1)).await;
        let first = world.call(content_type).await;
        assert!(matches!(peer, Peer::Refuse) || !is_refusal(&first));
        assert_eq!(is_refusal(&world.call(content_type).await), is_bad, "{content_type}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_says_how_long_to_leave_it_alone() {
    for (content_type, peer) in [(HTTP, Peer::Later("7")), (GRPC, Peer::Pushback("7000"))] {
        let world = World::new(&[peer], breakers(1)).await;
        world.call(content_type).await.ok();
        world.set(0, Peer::Code("0"));
        after(6_990).await;
        assert!(is_refusal(&world.call(content_type).await));
        after(20).await;
        assert!(world.call(content_type).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_given_up_say_nothing_and_a_probe_is_followed_by_another() {
    let give_up = async |world: &World| {
        let call = tokio::time::timeout(SECOND / 100, world.call(HTTP)).await;
        assert!(call.is_err(), "{call:?}");
    };
    let world = World::new(&[Peer::Silent], breakers(1)).await;
    give_up(&world).await;
    world.set(0, Peer::Status(500));
    world.call(HTTP).await.unwrap();
    assert!(is_refusal(&world.call(HTTP).await));
    world.set(0, Peer::Silent);
    after(1_010).await;
    give_up(&world).await;
    give_up(&world).await;
    world.set(0, Peer::Status(200));
    world.call(HTTP).await.unwrap();
    assert_eq!(world.calls(5).await, [10]);
}

#[tokio::test(start_paused = true)]
async fn the_first_message_of_a_probe_is_good_enough() {
    let world = World::new(&[Peer::Code("14")], breakers(1)).await;
    world.call(GRPC).await.unwrap();
    world.set(0, Peer::Message);
    after(1_010).await;
    let mut request = post(empty());
    request.headers_mut().insert("content-type", HeaderValue::from_static(GRPC));
    let call = world.lab.target.call(request, Options::default()).await.unwrap();
    world.set(0, Peer::Code("0"));
    assert!(is_refusal(&world.call(GRPC).await));
    let mut body = call.into_body();
    http_body_util::BodyExt::frame(&mut body).await.unwrap().unwrap();
    assert!(world.call(GRPC).await.is_ok());
    // What becomes of the stream later is of the time before.
    drop(body);
    assert!(world.call(GRPC).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_a_breaker_knows_outlives_its_configuration() {
    let world = World::new(&[Peer::Status(500), Peer::Status(200)], breakers(2)).await;
    assert_eq!(world.calls(20).await, [2, 18]);
    // Another threshold, and other words for the same endpoints.
    world.publish(|version| {
        let mut config = (*version.config).clone();
        breakers(3)(&mut config);
        version.config = Arc::new(config);
        let mut assignment = (*version.assignment).clone();
        for locality in &mut assignment.localities {
            let again = |old: &Arc<Endpoint>| {
                let mut new = Endpoint::new(old.address.clone());
                (new.weight, new.state) = (7, old.state.clone());
                Arc::new(new)
            };
            locality.endpoints = locality.endpoints.iter().map(again).collect();
        }
        version.assignment = Arc::new(assignment);
    });
    after(1).await;
    assert_eq!(world.calls(20).await, [0, 20]);
    let breaker = |breaker: Option<Arc<breaker::Config>>| {
        world.publish(move |version| {
            let mut config = (*version.config).clone();
            config.breaker = breaker.clone();
            version.config = Arc::new(config);
        });
    };
    breaker(None);
    after(1).await;
    assert_eq!(world.calls(20).await, [10, 10]);
    breaker(Some(Arc::new(breaker::Config::consecutive(1).unwrap())));
    after(1).await;
    assert_eq!(world.calls(20).await, [0, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_an_endpoint_that_is_full_while_the_others_refuse() {
    let world = World::new(&[Peer::Status(500), Peer::Silent], |config| {
        breakers(1)(config);
        config.connections.max_concurrent_streams = Some(1);
        config.connections.per_endpoint = 1;
    });
    let world = Arc::new(world.await);
    world.set(1, Peer::Status(200));
    assert_eq!(world.calls(9).await, [1, 8]);
    world.set(1, Peer::Silent);
    let call = || {
        let world = world.clone();
        tokio::spawn(async move { world.call(HTTP).await })
    };
    let first = call();
    after(10).await;
    world.set(1, Peer::Status(200));
    let second = call();
    after(10).await;
    assert!(!second.is_finished());
    first.abort();
    second.await.unwrap().unwrap();
    assert_eq!(world.got(), [0, 2]);
}
