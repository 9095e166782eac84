//! Transcripts: what the server said, what the client said, what the user heard.

mod delta;
mod entries;
mod laws;
mod sotw;
mod stream;
mod timeouts;

use std::time::{Duration, Instant};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryResponse, DiscoveryResponse, Resource, ResourceError, ResourceName as WireName,
};
use envoy_types::pb::google::protobuf::{Any, Duration as ProtoDuration};
use envoy_types::pb::google::rpc::Status as RpcStatus;
use mesh_core::rng::Rng;
use prost::Message;

use super::*;
use crate::bootstrap::ServerFeatures;
use crate::name::{ResourceName, ResourceType};

const LDS: ResourceType = ResourceType::Listener;
const RDS: ResourceType = ResourceType::RouteConfiguration;
const CDS: ResourceType = ResourceType::Cluster;
const EDS: ResourceType = ResourceType::ClusterLoadAssignment;

/// Backoff without variation.
struct Middle;

impl Rng for Middle {
    fn next_u64(&mut self) -> u64 {
        1 << 63
    }
}

struct Stage {
    session: Session,
    mode: Mode,
    now: Instant,
    tickets: Vec<Ticket>,
}

fn config(mode: Mode) -> Config {
    let features = ServerFeatures { delta: mode == Mode::Incremental, ..ServerFeatures::default() };
    Config::new(Node { id: "me".to_owned(), ..Node::default() }, &features)
}

/// A session with a stream, before anything was said.
fn sotw() -> Stage {
    Stage::new(config(Mode::StateOfTheWorld))
}

fn delta() -> Stage {
    Stage::new(config(Mode::Incremental))
}

impl Stage {
    fn new(config: Config) -> Self {
        let mode = config.mode;
        let session = Session::new(config);
        Self { session, mode, now: Instant::now(), tickets: Vec::new() }
    }

    fn open(mut self) -> Self {
        self.connected();
        self
    }

    fn connected(&mut self) {
        self.session.handle_connected();
    }

    #[track_caller]
    fn connects(&mut self, expect: bool) {
        assert_eq!(self.session.poll_connect(self.now), expect);
    }

    fn disconnected(&mut self, why: &str) {
        self.session.handle_disconnected(why, self.now, &mut Middle);
    }

    fn subscribe<const N: usize>(&mut self, kind: ResourceType, names: [&str; N]) {
        for text in names {
            self.session.subscribe(kind, name(kind, text));
        }
    }

    fn unsubscribe<const N: usize>(&mut self, kind: ResourceType, names: [&str; N]) {
        for text in names {
            self.session.unsubscribe(kind, &name(kind, text));
        }
    }

    fn server(&mut self, reply: Reply) {
        self.session.handle_response(reply.into_response(self.mode), self.now);
    }

    /// The requests so far are exactly `expect`.
    #[track_caller]
    fn client<const N: usize>(&mut self, expect: [&str; N]) {
        let now = self.now;
        let said: Vec<_> =
            std::iter::from_fn(|| self.session.poll_request(now)).map(|r| told(&r)).collect();
        assert_eq!(said, expect);
    }

    /// The requests so far are sent without looking at them.
    fn sends(&mut self) {
        while self.session.poll_request(self.now).is_some() {}
    }

    /// The events so far are exactly `expect`.
    #[track_caller]
    fn hears<const N: usize>(&mut self, expect: [&str; N]) {
        let mut heard = Vec::new();
        while let Some(event) = self.session.poll_event() {
            if let Event::Update(update) = &event {
                self.tickets.push(update.ticket);
            }
            heard.push(heard_as(&event));
        }
        assert_eq!(heard, expect);
    }

    /// Finishes the oldest update that was heard.
    fn finish(&mut self, verdict: Verdict) {
        let ticket = self.tickets.remove(0);
        self.session.finish(ticket, verdict);
    }

    fn accept(&mut self) {
        self.finish(Verdict::Accept);
    }

    fn reject(&mut self, message: &str) {
        self.finish(Verdict::Reject { message: message.to_owned() });
    }

    /// A response that is accepted without looking at it.
    fn takes(&mut self, reply: Reply) {
        self.server(reply);
        while let Some(event) = self.session.poll_event() {
            if let Event::Update(update) = event {
                self.session.finish(update.ticket, Verdict::Accept);
            }
        }
        self.sends();
    }

    fn after(&mut self, seconds: f64) {
        self.now += Duration::from_secs_f64(seconds);
        self.session.handle_timeout(self.now);
    }

    /// Seconds until the session wants to be woken.
    fn wakes_in(&self) -> Option<f64> {
        Some((self.session.poll_timeout()? - self.now).as_secs_f64())
    }
}

fn name(kind: ResourceType, text: &str) -> ResourceName {
    ResourceName::parse(kind, text).unwrap()
}

/// A response in the making, for either variant.
#[derive(Default)]
struct Reply {
    type_url: String,
    version: String,
    nonce: String,
    entries: Vec<Resource>,
    bare: Vec<Any>,
    removed: Vec<String>,
    errors: Vec<ResourceError>,
}

/// A response of type `kind` with this version and nonce.
fn reply(kind: ResourceType, version: &str, nonce: &str) -> Reply {
    Reply {
        type_url: kind.type_url().to_owned(),
        version: version.to_owned(),
        nonce: nonce.to_owned(),
        ..Reply::default()
    }
}

impl Reply {
    fn with<const N: usize>(self, names: [&str; N]) -> Self {
        names.into_iter().fold(self, |reply, name| {
            let any = body(&reply.type_url, name);
            reply.entry(name, Some(any), None)
        })
    }

    fn with_ttl(self, name: &str, seconds: i64) -> Self {
        let any = body(&self.type_url, name);
        self.entry(name, Some(any), Some(seconds))
    }

    fn heartbeat(self, name: &str, seconds: i64) -> Self {
        self.entry(name, None, Some(seconds))
    }

    fn entry(mut self, name: &str, resource: Option<Any>, ttl: Option<i64>) -> Self {
        self.entries.push(Resource {
            name: name.to_owned(),
            version: self.version.clone(),
            resource,
            ttl: ttl.map(|seconds| ProtoDuration { seconds, nanos: 0 }),
            ..Resource::default()
        });
        self
    }

    /// An entry as it is; only in state-of-the-world responses.
    fn any(mut self, type_url: &str, value: &[u8]) -> Self {
        self.bare.push(Any { type_url: type_url.to_owned(), value: value.to_vec() });
        self
    }

    fn removed(mut self, name: &str) -> Self {
        self.removed.push(name.to_owned());
        self
    }

    fn refused(mut self, name: &str, code: i32) -> Self {
        self.errors.push(ResourceError {
            resource_name: Some(WireName { name: name.to_owned(), ..WireName::default() }),
            error_detail: Some(RpcStatus { code, message: "no".to_owned(), details: Vec::new() }),
        });
        self
    }

    fn into_response(self, mode: Mode) -> Response {
        match mode {
            Mode::StateOfTheWorld => {
                // What has no time to live comes bare, as most servers send it.
                let wrapped = self.entries.into_iter().map(|entry| match entry {
                    Resource { resource: Some(any), ttl: None, .. } => any,
                    entry => Any { type_url: WRAPPER.to_owned(), value: entry.encode_to_vec() },
                });
                Response::StateOfTheWorld(DiscoveryResponse {
                    resources: wrapped.chain(self.bare).collect(),
                    version_info: self.version,
                    type_url: self.type_url,
                    nonce: self.nonce,
                    resource_errors: self.errors,
                    ..DiscoveryResponse::default()
                })
            }
            Mode::Incremental => Response::Incremental(DeltaDiscoveryResponse {
                system_version_info: self.version,
                resources: self.entries,
                type_url: self.type_url,
                removed_resources: self.removed,
                nonce: self.nonce,
                resource_errors: self.errors,
                ..DeltaDiscoveryResponse::default()
            }),
        }
    }
}

const WRAPPER: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";

/// A message that has nothing but its name, which every type has in field 1.
fn body(type_url: &str, name: &str) -> Any {
    let message =
        ClusterLoadAssignment { cluster_name: name.to_owned(), ..ClusterLoadAssignment::default() };
    Any { type_url: type_url.to_owned(), value: message.encode_to_vec() }
}

fn short(type_url: &str) -> &str {
    match ResourceType::from_url(type_url) {
        Some(LDS) => "LDS",
        Some(RDS) => "RDS",
        Some(CDS) => "CDS",
        Some(EDS) => "EDS",
        Some(ResourceType::Secret) => "SDS",
        None => type_url,
    }
}

/// `LDS [a,b] v=1 n=n1`, or `LDS +[a] -[b] n=n1 have {c=1}`; with `node` and `error` as they apply.
fn told(request: &Request) -> String {
    let mut text = String::new();
    let (node, error) = match request {
        Request::StateOfTheWorld(request) => {
            text += short(&request.type_url);
            text += &format!(" [{}]", request.resource_names.join(","));
            text += &format!(" v={} n={}", request.version_info, request.response_nonce);
            (&request.node, &request.error_detail)
        }
        Request::Incremental(request) => {
            text += short(&request.type_url);
            for (sign, names) in [
                ("+", &request.resource_names_subscribe),
                ("-", &request.resource_names_unsubscribe),
            ] {
                if !names.is_empty() {
                    text += &format!(" {sign}[{}]", names.join(","));
                }
            }
            if !request.response_nonce.is_empty() {
                text += &format!(" n={}", request.response_nonce);
            }
            let mut have: Vec<_> = request.initial_resource_versions.iter().collect();
            have.sort();
            if !have.is_empty() {
                let have: Vec<_> = have.iter().map(|(k, v)| format!("{k}={v}")).collect();
                text += &format!(" have {{{}}}", have.join(","));
            }
            (&request.node, &request.error_detail)
        }
    };
    if let Some(node) = node {
        assert_eq!(node.id, "me");
        text += " node";
    }
    if let Some(error) = error {
        assert_eq!(error.code, 3);
        text += &format!(" error: {}", error.message);
    }
    text
}

/// `LDS 1 [a,b] bad(…) removed(c) refused(d: 5 no)`, or the name of the event and what it is about.
fn heard_as(event: &Event) -> String {
    let of =
        |kind: &ResourceType, name: &ResourceName| format!("{} {name}", short(kind.type_url()));
    match event {
        Event::Update(update) => {
            let names: Vec<_> = update.resources.iter().map(|raw| raw.name.as_str()).collect();
            let kind = short(update.kind.type_url());
            let mut text = format!("{kind} {} [{}]", update.version, names.join(","));
            text.extend(update.malformed.iter().map(|entry| format!(" bad({entry})")));
            text.extend(update.removed.iter().map(|name| format!(" removed({name})")));
            text.extend(update.refused.iter().map(|refusal| {
                format!(" refused({}: {} {})", refusal.name, refusal.code, refusal.message)
            }));
            text
        }
        Event::Missing { kind, name, transient: false } => format!("missing {}", of(kind, name)),
        Event::Missing { kind, name, transient: true } => format!("late {}", of(kind, name)),
        Event::Expired { kind, name } => format!("expired {}", of(kind, name)),
        Event::Reachable => "reachable".to_owned(),
        Event::Unreachable { why } => format!("unreachable: {why}"),
        Event::Ignored { type_url, reason } => format!("ignored {}: {reason:?}", short(type_url)),
    }
}
