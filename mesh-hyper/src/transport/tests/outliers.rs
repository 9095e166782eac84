//! Endpoints that fail, and what becomes of them: from the answer of a peer to the next pick.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use mesh_core::cluster::{Config, Version};
use mesh_core::outlier::{self, Percent};
use mesh_core::record::{self, Event, Recorder};
use mesh_core::route::Route;
use tokio::time::Instant;

use super::kit::{Acceptor, Lab, SECOND, post, serve};
use crate::body::empty;
use crate::client::Options;
use crate::error::{Error, Kind};

/// What a peer does with requests.
#[derive(Clone, Copy)]
enum Peer {
    Status(u16),
    Grpc(&'static str),
    /// In a head that is all there is.
    GrpcHead(&'static str),
    Reset,
    ResetAfterHead,
    Silent,
    SilentAfterHead,
}

impl Peer {
    fn serve(self, acceptor: Acceptor) {
        serve(acceptor, Builder::new(), move |request, respond| self.answer(request, respond));
    }

    async fn answer(self, _: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let mut head = Response::new(());
        match self {
            Self::Status(status) => {
                *head.status_mut() = status.try_into().unwrap();
                respond.send_response(head, true).unwrap();
            }
            Self::Grpc(code) => {
                let mut stream = respond.send_response(head, false).unwrap();
                stream.send_trailers(fields(code)).unwrap();
            }
            Self::GrpcHead(code) => {
                *head.headers_mut() = fields(code);
                respond.send_response(head, true).unwrap();
            }
            Self::Reset => respond.send_reset(Reason::INTERNAL_ERROR),
            Self::ResetAfterHead => {
                let mut stream = respond.send_response(head, false).unwrap();
                tokio::task::yield_now().await;
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
            Self::Silent => std::future::pending().await,
            Self::SilentAfterHead => {
                let _stream = respond.send_response(head, false).unwrap();
                std::future::pending().await
            }
        }
    }
}

fn fields(code: &'static str) -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(code))])
}

/// Detection as Envoy has it by default, with nothing that bounds ejections.
fn detection(config: &mut Config) {
    config.outlier =
        Some(outlier::Config { max_ejection_percent: Percent::ALL, ..outlier::Config::default() });
}

/// Detection by shares of failures: ten of two endpoints are enough.
fn shares(config: &mut Config) {
    detection(config);
    let shares = &mut config.outlier.as_mut().unwrap().failure_percentage;
    shares.enforcing = Percent::ALL;
    (shares.minimum_hosts, shares.request_volume) = (2, 10);
}

/// What was told of outliers.
#[derive(Default)]
struct Told(Mutex<Vec<String>>, Mutex<Option<Instant>>);

impl Recorder for Told {
    fn record(&self, event: &Event<'_>) {
        let Event::Outlier { address, change, .. } = event else { return };
        let start = self.1.lock().unwrap().unwrap();
        let now = (Instant::now() - start).as_secs();
        self.0.lock().unwrap().push(match change {
            record::Outlier::Ejected { why, until } => {
                let until = (Instant::from_std(*until) - start).as_secs();
                format!("{now}: {address} {why} until {until}")
            }
            record::Outlier::Restored => format!("{now}: {address} restored"),
            record::Outlier::Spared { why, because } => {
                format!("{now}: {address} {why} spared by {because}")
            }
            other => format!("{other:?}"),
        });
    }
}

struct World {
    lab: Lab,
    told: Arc<Told>,
}

impl World {
    /// All endpoints are connected.
    async fn new(peers: &[Peer], change: impl Fn(&mut Config)) -> Self {
        Self::routed(peers, change, |_| {}).await
    }

    async fn routed(
        peers: &[Peer],
        change: impl Fn(&mut Config),
        route: impl FnOnce(&mut Route),
    ) -> Self {
        let told = Arc::<Told>::default();
        *told.1.lock().unwrap() = Some(Instant::now());
        let count = peers.len().try_into().unwrap();
        let lab = Lab::recorded(count, change, route, Some(told.clone()));
        for (at, peer) in peers.iter().enumerate() {
            peer.serve(lab.listen(at));
        }
        let world = Self { lab, told };
        world.lab.pool().demand();
        super::kit::eventually!(world.lab.pool().connected() == peers.len());
        world
    }

    fn request(content_type: &'static str) -> Request<crate::body::Body> {
        let mut request = post(empty());
        request.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
        request
    }

    /// Makes so many calls in turn, each within a second; which endpoints answered or broke.
    async fn calls(&self, content_type: &'static str, times: usize) -> Vec<u16> {
        let mut upstreams = Vec::new();
        for _ in 0..times {
            let upstream = match self.call(content_type).await {
                Ok(upstream) => upstream,
                Err(error) => error.upstream().map(ToString::to_string),
            };
            let port = upstream.and_then(|address| address.rsplit_once(':')?.1.parse().ok());
            upstreams.push(port.unwrap_or(0));
            // The keeper has its turn.
            tokio::task::yield_now().await;
        }
        upstreams
    }

    async fn call(&self, content_type: &'static str) -> Result<Option<String>, Error> {
        let options = Options::default().timeout(SECOND);
        let response = self.lab.target.call(Self::request(content_type), options).await?;
        let body = response.into_body();
        let upstream = body.upstream().map(ToString::to_string);
        body.collected().await?;
        Ok(upstream)
    }

    /// How many of so many calls went to the first endpoint.
    async fn to_first(&self, content_type: &'static str, times: usize) -> usize {
        self.calls(content_type, times).await.iter().filter(|port| **port == 1000).count()
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.0.lock().unwrap())
    }
}

const HTTP: &str = "text/plain";
const GRPC: &str = "application/grpc";

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_is_ejected_and_returns() {
    let world = World::new(&[Peer::Status(500), Peer::Status(200)], detection).await;
    assert_eq!(world.to_first(HTTP, 100).await, 5);
    assert_eq!(world.told(), ["0: 127.0.0.1:1000 consecutive_5xx until 30"]);
    tokio::time::sleep(SECOND * 29).await;
    assert_eq!(world.to_first(HTTP, 100).await, 0);
    // It was ejected a little after the first interval began.
    tokio::time::sleep(SECOND * 12).await;
    assert_eq!(world.told(), ["40: 127.0.0.1:1000 restored"]);
    assert_eq!(world.to_first(HTTP, 100).await, 5);
    assert_eq!(world.told(), ["41: 127.0.0.1:1000 consecutive_5xx until 101"]);
}

#[tokio::test(start_paused = true)]
async fn failures_of_every_kind_count() {
    for (peer, found) in [
        (Peer::Status(503), 5),
        (Peer::Reset, 5),
        // The head was good, so that no row is ever long enough.
        (Peer::ResetAfterHead, 50),
        (Peer::Silent, 5),
        (Peer::Status(404), 50),
        // To HTTP it is a good answer.
        (Peer::Grpc("14"), 50),
    ] {
        let world = World::new(&[peer, Peer::Status(200)], detection).await;
        assert_eq!(world.to_first(HTTP, 100).await, found);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_their_callers_give_up_do_not_count() {
    let world = World::new(&[Peer::Silent, Peer::Silent], detection).await;
    for _ in 0..50 {
        let call = world.lab.target.call(World::request(HTTP), Options::default());
        assert!(tokio::time::timeout(SECOND / 100, call).await.is_err());
    }
    assert_eq!(world.told(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_a_failure_of_an_http_request_until_its_answer_begins() {
    // An answer that breaks off is a good one and a bad one.
    let half = |config: &mut Config| {
        shares(config);
        config.outlier.as_mut().unwrap().failure_percentage.threshold = Percent::new(40).unwrap();
    };
    for (peer, is_ejected) in
        [(Peer::Silent, true), (Peer::ResetAfterHead, true), (Peer::SilentAfterHead, false)]
    {
        let world = World::new(&[peer, Peer::Status(200)], half).await;
        world.calls(HTTP, 30).await;
        tokio::time::sleep(SECOND * 10).await;
        assert_eq!(!world.told().is_empty(), is_ejected);
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_streams_life_is_a_failure_of_grpc_calls_only() {
    let timeout = |route: &mut Route| route.timeouts.route = Some(SECOND / 4);
    let lifetime = |route: &mut Route| route.timeouts.max_stream_duration = Some(SECOND / 4);
    let peers = [Peer::Silent, Peer::Silent];
    for (content_type, route, is_ejected) in [
        (HTTP, &timeout as &dyn Fn(&mut Route), true),
        (HTTP, &lifetime, false),
        (GRPC, &lifetime, true),
    ] {
        let world = World::routed(&peers, shares, route).await;
        world.calls(content_type, 60).await;
        assert_eq!(!world.told().is_empty(), is_ejected, "{content_type}");
    }
}

#[tokio::test(start_paused = true)]
async fn grpc_calls_are_judged_by_their_trailers_at_the_sweep() {
    for (bad, good) in [
        (Peer::Grpc("14"), Peer::Grpc("0")),
        (Peer::GrpcHead("5"), Peer::GrpcHead("0")),
        (Peer::Status(200), Peer::Grpc("0")),
        (Peer::Reset, Peer::Grpc("0")),
        (Peer::ResetAfterHead, Peer::Grpc("0")),
    ] {
        let world = World::new(&[bad, good], shares).await;
        assert_eq!(world.to_first(GRPC, 100).await, 50);
        tokio::time::sleep(SECOND * 10).await;
        assert_eq!(world.to_first(GRPC, 100).await, 0);
        assert_eq!(world.told(), ["10: 127.0.0.1:1000 failure_percentage until 40"]);
    }
}

#[tokio::test(start_paused = true)]
async fn where_all_are_ejected_grpc_fails_and_http_goes_on() {
    let world = World::new(&[Peer::Grpc("14"), Peer::Grpc("14")], shares).await;
    world.calls(GRPC, 100).await;
    tokio::time::sleep(SECOND * 10).await;
    let error = world.call(GRPC).await.unwrap_err();
    let why = "cluster backend: 127.0.0.1:1001 is ejected as an outlier";
    assert_eq!((error.kind(), &*error.to_string()), (Kind::NoEndpoint, why));

    let world = World::new(&[Peer::Status(500), Peer::Status(500)], detection).await;
    assert_eq!(world.to_first(HTTP, 100).await, 50);
    assert_eq!(world.told().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn settings_hold_for_connections_that_are_open() {
    let world = World::new(&[Peer::Status(500), Peer::Status(200)], |_| ()).await;
    assert_eq!(world.to_first(HTTP, 100).await, 50);
    let publish = |change: &dyn Fn(&mut Config)| {
        let version = world.lab.cluster.version().load_full().unwrap();
        let mut config = (*version.config).clone();
        change(&mut config);
        let version = Version { config: Arc::new(config), ..(*version).clone() };
        world.lab.cluster.version().publish(Arc::new(version));
    };
    publish(&detection);
    tokio::time::sleep(SECOND).await;
    assert_eq!(world.to_first(HTTP, 100).await, 5);
    publish(&|config| config.outlier = None);
    tokio::time::sleep(SECOND).await;
    assert_eq!(world.to_first(HTTP, 100).await, 50);
    assert_eq!(world.told().last().unwrap(), "1: 127.0.0.1:1000 restored");
    publish(&detection);
    tokio::time::sleep(SECOND).await;
    assert_eq!(world.to_first(HTTP, 100).await, 5);
    assert_eq!(world.lab.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_cannot_be_reached_is_ejected_where_http_is_spoken() {
    for (content_type, expect) in [(HTTP, true), (GRPC, false)] {
        let world = World::new(&[Peer::Grpc("0")], detection).await;
        world.calls(content_type, 1).await;
        let version = world.lab.cluster.version().load_full().unwrap();
        let mut localities = version.assignment.localities.clone();
        let address = "127.0.0.1:9".parse::<std::net::SocketAddr>().unwrap();
        let mut endpoints = localities[0].endpoints.to_vec();
        endpoints.push(Arc::new(mesh_core::cluster::Endpoint::new(
            mesh_core::cluster::Address::Socket(address),
        )));
        localities[0].endpoints = endpoints.into();
        let assignment = mesh_core::cluster::Assignment { localities, ..Default::default() };
        let version = Version { assignment: Arc::new(assignment), ..(*version).clone() };
        world.lab.cluster.version().publish(Arc::new(version));
        tokio::time::sleep(SECOND * 60).await;
        let told = world.told();
        assert_eq!(told.iter().any(|line| line.contains(":9 consecutive_5xx until")), expect);
    }
}
