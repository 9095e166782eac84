//! Incremental: requests add and take away names, responses hold what changed and what is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use envoy_types::pb::envoy::{
    config::core::v3::Node,
    service::discovery::v3::{
        DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource as WireResource,
    },
};

use super::{
    Injection, Machine, TRAFFIC, Violation, WILDCARD, check_type, endpoints_name, leads_traffic,
};
use crate::control_plane::{
    client::{Answer, Subscription, Variant},
    resources::{Resource, Snapshot},
    type_url::{self, rank},
};

/// The incremental side of one stream.
#[derive(Debug)]
pub(crate) struct Delta {
    resources: Arc<Snapshot>,
    types: BTreeMap<String, Type>,
    nonce: u64,
}

#[derive(Debug, Default)]
struct Type {
    names: BTreeSet<Arc<str>>,
    wildcard: bool,
    /// What the client knows of what it subscribes to.
    given: BTreeMap<Arc<str>, Given>,
    /// Names that were dropped while the wildcard stays: the client must be told whether that
    /// still covers them.
    uncertain: BTreeSet<Arc<str>>,
    /// Whether a response is owed even if it is empty: the first to a wildcard.
    owes_reply: bool,
    /// The versions sent with nonces that were not answered yet.
    unanswered: BTreeMap<u64, String>,
    sent: Option<String>,
    answer: Option<Answer>,
    acked: Option<String>,
}

/// What a client knows of a resource.
#[derive(Debug, PartialEq, Eq)]
enum Given {
    Version(Arc<str>),
    /// That it does not exist.
    Absent,
}

/// What a response would hold.
#[derive(Debug, Default)]
struct Due {
    added: Vec<(Arc<str>, Resource)>,
    removed: BTreeSet<Arc<str>>,
}

impl Machine for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;

    const VARIANT: Variant = Variant::Delta;

    fn new(resources: Arc<Snapshot>) -> Self {
        Self { resources, types: BTreeMap::new(), nonce: 0 }
    }

    fn node(request: &mut DeltaDiscoveryRequest) -> Option<Node> {
        request.node.take()
    }

    fn handle_request(&mut self, request: DeltaDiscoveryRequest) -> Result<(), Violation> {
        check_type(&self.types, &request.type_url)?;
        let is_first = !self.types.contains_key(&request.type_url);
        let subscribed = self.types.entry(request.type_url.clone()).or_default();
        // A stale nonce does not make the subscription stale.
        subscribed.answer(&request);
        subscribed.subscribe(&request, is_first);
        if is_first {
            subscribed.assume(request.initial_resource_versions);
        }
        subscribed.unsubscribe(&request.resource_names_unsubscribe);
        Ok(())
    }

    fn handle_resources(&mut self, resources: Arc<Snapshot>) {
        self.resources = resources;
    }

    fn poll_response(&mut self, held: &BTreeSet<String>) -> Option<DeltaDiscoveryResponse> {
        let mut order: Vec<String> =
            self.types.keys().filter(|it| !held.contains(*it)).cloned().collect();
        order.sort_by_key(|type_url| rank(type_url));
        if self.is_awaited(type_url::CLUSTER) {
            order.retain(|type_url| !leads_traffic(type_url));
        }
        order.iter().find_map(|type_url| {
            let due = self.due(type_url)?;
            Some(self.response(type_url, &due))
        })
    }

    fn inject(&mut self, injection: &Injection) -> DeltaDiscoveryResponse {
        let nonce = self.next_nonce();
        let subscribed = self.types.entry(injection.type_url.clone()).or_default();
        subscribed.sent(nonce, injection.version.clone());
        let resources = injection.resources.iter().map(|any| WireResource {
            version: injection.version.clone(),
            resource: Some(any.clone()),
            ..WireResource::default()
        });
        DeltaDiscoveryResponse {
            system_version_info: injection.version.clone(),
            resources: resources.collect(),
            type_url: injection.type_url.clone(),
            nonce: nonce.to_string(),
            ..DeltaDiscoveryResponse::default()
        }
    }

    fn subscriptions(&self) -> BTreeMap<String, Subscription> {
        let subscriptions = self.types.iter().map(|(type_url, subscribed)| {
            let is_due = self.due(type_url).is_some();
            (type_url.clone(), subscribed.status(is_due))
        });
        subscriptions.collect()
    }
}

impl Delta {
    fn due(&self, type_url: &str) -> Option<Due> {
        let subscribed = self.types.get(type_url)?;
        let all = self.resources.resources(type_url);
        let mut due = Due { added: subscribed.missing(all), removed: subscribed.absent(all) };
        // Routes may still lead to clusters that are gone: these are removed once the client has
        // the routes.
        let leads_here = rank(type_url) <= rank(type_url::ENDPOINTS);
        if !(leads_here && self.traffic_is_due()) {
            due.removed.extend(subscribed.deleted(all));
        }
        let is_empty = due.added.is_empty() && due.removed.is_empty();
        (!is_empty || subscribed.owes_reply).then_some(due)
    }

    /// Whether the client does not have all listeners and routes yet.
    fn traffic_is_due(&self) -> bool {
        TRAFFIC.iter().any(|it| self.due(it).is_some() || self.is_awaited(it))
    }

    /// Whether the client has not answered all responses yet.
    fn is_awaited(&self, type_url: &str) -> bool {
        self.types.get(type_url).is_some_and(|subscribed| !subscribed.unanswered.is_empty())
    }

    fn response(&mut self, type_url: &str, due: &Due) -> DeltaDiscoveryResponse {
        let nonce = self.next_nonce();
        let version = self.resources.version(type_url).to_string();
        let subscribed = self.types.entry(type_url.to_owned()).or_default();
        subscribed.sent(nonce, version.clone());
        subscribed.owes_reply = false;
        for name in &due.removed {
            subscribed.given.remove(name);
            if subscribed.names.contains(name) {
                subscribed.given.insert(Arc::clone(name), Given::Absent);
            }
        }
        for (name, resource) in &due.added {
            let version = Given::Version(resource.version().into());
            subscribed.given.insert(Arc::clone(name), version);
        }
        subscribed.uncertain.clear();
        if type_url == type_url::CLUSTER {
            self.forget_endpoints(&due.added);
        }
        let wire = |(name, resource): &(Arc<str>, Resource)| WireResource {
            name: name.to_string(),
            version: resource.version().to_owned(),
            resource: Some(resource.to_any(type_url)),
            ..WireResource::default()
        };
        DeltaDiscoveryResponse {
            system_version_info: version,
            resources: due.added.iter().map(wire).collect(),
            type_url: type_url.to_owned(),
            removed_resources: due.removed.iter().map(ToString::to_string).collect(),
            nonce: nonce.to_string(),
            ..DeltaDiscoveryResponse::default()
        }
    }

    /// Makes the endpoints of these clusters due again.
    fn forget_endpoints(&mut self, clusters: &[(Arc<str>, Resource)]) {
        if let Some(endpoints) = self.types.get_mut(type_url::ENDPOINTS) {
            for name in clusters.iter().filter_map(|(_, cluster)| endpoints_name(cluster)) {
                if let Some(Given::Version(_)) = endpoints.given.get(name.as_str()) {
                    endpoints.given.remove(name.as_str());
                }
            }
        }
    }

    fn next_nonce(&mut self) -> u64 {
        self.nonce += 1;
        self.nonce
    }
}

impl Type {
    fn answer(&mut self, request: &DeltaDiscoveryRequest) {
        let nonce = request.response_nonce.parse().ok();
        let Some(version) = nonce.and_then(|nonce: u64| self.unanswered.remove(&nonce)) else {
            return;
        };
        match &request.error_detail {
            Some(error) => {
                self.answer = Some(Answer::Nack { version, message: error.message.clone() });
            }
            None => {
                self.acked = Some(version);
                // A refusal of something else that is older stands until something newer is sent.
                if self.answer.is_none() {
                    self.answer = Some(Answer::Ack);
                }
            }
        }
    }

    fn subscribe(&mut self, request: &DeltaDiscoveryRequest, is_first: bool) {
        let names = &request.resource_names_subscribe;
        if is_first && names.is_empty() && request.resource_names_unsubscribe.is_empty() {
            self.wildcard = true;
            self.owes_reply = true;
        }
        for name in names {
            // What is subscribed to again is sent again: the client may have forgotten it.
            if name == WILDCARD {
                self.given.clear();
                self.wildcard = true;
                self.owes_reply = true;
            } else {
                self.given.remove(name.as_str());
                self.names.insert(name.as_str().into());
            }
        }
    }

    /// Takes what the client has from an earlier stream.
    fn assume(&mut self, versions: impl IntoIterator<Item = (String, String)>) {
        for (name, version) in versions {
            if self.wildcard || self.names.contains(name.as_str()) {
                self.given.insert(name.into(), Given::Version(version.into()));
            }
        }
    }

    fn unsubscribe(&mut self, names: &[String]) {
        for name in names {
            if name == WILDCARD {
                self.wildcard = false;
                self.uncertain.clear();
            } else if let Some(name) = self.names.take(name.as_str()) {
                self.given.remove(&name);
                if self.wildcard {
                    self.uncertain.insert(name);
                }
            }
        }
        if !self.wildcard {
            self.given.retain(|name, _| self.names.contains(name));
        }
    }

    /// What the client lacks or has in another version.
    fn missing(&self, all: &BTreeMap<Arc<str>, Resource>) -> Vec<(Arc<str>, Resource)> {
        let wanted: Vec<(&Arc<str>, &Resource)> = if self.wildcard {
            all.iter().collect()
        } else {
            self.names.iter().filter_map(|name| all.get_key_value(name)).collect()
        };
        let lacks = |name: &Arc<str>, resource: &Resource| !matches!(self.given.get(name), Some(Given::Version(it)) if **it == *resource.version());
        wanted
            .into_iter()
            .filter(|(name, resource)| lacks(name, resource))
            .map(|(name, resource)| (Arc::clone(name), resource.clone()))
            .collect()
    }

    /// What the client asked about and does not exist.
    fn absent(&self, all: &BTreeMap<Arc<str>, Resource>) -> BTreeSet<Arc<str>> {
        let unknown = self.names.iter().filter(|name| !self.given.contains_key(*name));
        let asked = unknown.chain(&self.uncertain);
        asked.filter(|name| !all.contains_key(*name)).cloned().collect()
    }

    /// What the client has and does not exist any more.
    fn deleted(&self, all: &BTreeMap<Arc<str>, Resource>) -> BTreeSet<Arc<str>> {
        let has = self.given.iter().filter(|(_, given)| **given != Given::Absent);
        has.map(|(name, _)| name).filter(|name| !all.contains_key(*name)).cloned().collect()
    }

    fn sent(&mut self, nonce: u64, version: String) {
        // A client that never answers must not make this grow.
        if self.unanswered.len() >= MAX_UNANSWERED {
            self.unanswered.pop_first();
        }
        self.unanswered.insert(nonce, version.clone());
        self.sent = Some(version);
        self.answer = None;
    }

    fn status(&self, is_due: bool) -> Subscription {
        let is_answered = self.unanswered.is_empty();
        Subscription {
            wildcard: self.wildcard,
            names: self.names.iter().map(ToString::to_string).collect(),
            sent: self.sent.clone(),
            answer: self.answer.clone().filter(|it| is_answered || *it != Answer::Ack),
            acked: self.acked.clone(),
            is_due,
        }
    }
}

/// Responses whose answers are awaited.
const MAX_UNANSWERED: usize = 256;
