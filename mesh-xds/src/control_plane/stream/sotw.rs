//! State of the world: every request names all that is wanted, and responses to it hold resources.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use envoy_types::pb::envoy::{
    config::core::v3::Node,
    service::discovery::v3::{DiscoveryRequest, DiscoveryResponse},
};

use super::{
    Injection, Machine, TRAFFIC, Violation, WILDCARD, check_type, endpoints_name, leads_traffic,
};
use crate::control_plane::{
    client::{Answer, Subscription, Variant},
    resources::{Resource, Snapshot},
    type_url::{self, is_full_state, rank},
};

/// The state-of-the-world side of one stream.
#[derive(Debug)]
pub(crate) struct Sotw {
    resources: Arc<Snapshot>,
    types: BTreeMap<String, Type>,
    nonce: u64,
}

#[derive(Debug, Default)]
struct Type {
    names: BTreeSet<Arc<str>>,
    wildcard: bool,
    /// Whether names were ever given: from then on no names mean nothing, not everything.
    is_explicit: bool,
    /// What the client has of what it subscribes to.
    given: BTreeMap<Arc<str>, Resource>,
    /// Whether a response is owed even without a change, to tell what does not exist.
    owes_reply: bool,
    last: Option<Last>,
    acked: Option<String>,
}

#[derive(Debug)]
struct Last {
    nonce: String,
    version: String,
    answer: Option<Answer>,
    /// Whether no request has come with the nonce yet.
    is_awaited: bool,
}

type Resources = BTreeMap<Arc<str>, Resource>;

impl Machine for Sotw {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;

    const VARIANT: Variant = Variant::Sotw;

    fn new(resources: Arc<Snapshot>) -> Self {
        Self { resources, types: BTreeMap::new(), nonce: 0 }
    }

    fn node(request: &mut DiscoveryRequest) -> Option<Node> {
        request.node.take()
    }

    fn handle_request(&mut self, request: DiscoveryRequest) -> Result<(), Violation> {
        check_type(&self.types, &request.type_url)?;
        let full_state = is_full_state(&request.type_url);
        let subscribed = self.types.entry(request.type_url.clone()).or_default();
        if subscribed.is_stale(&request) {
            // Another request will follow, as the client must answer the newer response.
            return Ok(());
        }
        subscribed.answer(&request);
        let names = request.resource_names.iter().map(|name| Arc::from(name.as_str())).collect();
        let has_new = subscribed.subscribe(names);
        subscribed.owes_reply |= has_new && full_state;
        Ok(())
    }

    fn handle_resources(&mut self, resources: Arc<Snapshot>) {
        self.resources = resources;
        for (type_url, subscribed) in &mut self.types {
            // There is no way to say that these are gone, but when they come back they are new.
            if !is_full_state(type_url) {
                let current = self.resources.resources(type_url);
                subscribed.given.retain(|name, _| current.contains_key(name));
            }
        }
    }

    fn poll_response(&mut self, held: &BTreeSet<String>) -> Option<DiscoveryResponse> {
        let mut order: Vec<String> =
            self.types.keys().filter(|it| !held.contains(*it)).cloned().collect();
        order.sort_by_key(|type_url| rank(type_url));
        if self.is_awaited(type_url::CLUSTER) {
            order.retain(|type_url| !leads_traffic(type_url));
        }
        order.iter().find_map(|type_url| {
            let resources = self.due(type_url)?;
            Some(self.response(type_url, resources))
        })
    }

    fn inject(&mut self, injection: &Injection) -> DiscoveryResponse {
        let nonce = self.next_nonce();
        let subscribed = self.types.entry(injection.type_url.clone()).or_default();
        subscribed.sent(nonce.clone(), injection.version.clone());
        DiscoveryResponse {
            version_info: injection.version.clone(),
            resources: injection.resources.clone(),
            type_url: injection.type_url.clone(),
            nonce,
            ..DiscoveryResponse::default()
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

impl Sotw {
    /// The resources to send next of a type, and the version to send them as.
    fn due(&self, type_url: &str) -> Option<(Resources, String)> {
        let subscribed = self.types.get(type_url)?;
        let version = self.resources.version(type_url);
        let wanted = subscribed.wanted(self.resources.resources(type_url));
        if !is_full_state(type_url) {
            let changed: Resources = wanted
                .into_iter()
                .filter(|(name, resource)| !subscribed.has(name, resource))
                .map(|(name, resource)| (Arc::clone(name), resource.clone()))
                .collect();
            return (!changed.is_empty()).then(|| (changed, version.to_string()));
        }

        let has_news = wanted.iter().any(|(name, resource)| !subscribed.has(name, resource));
        let mut state: Resources =
            wanted.into_iter().map(|(name, it)| (Arc::clone(name), it.clone())).collect();
        let gone: Resources = subscribed
            .given
            .iter()
            .filter(|(name, _)| !state.contains_key(*name))
            .map(|(name, resource)| (Arc::clone(name), resource.clone()))
            .collect();
        if gone.is_empty() || type_url != type_url::CLUSTER || !self.traffic_is_due() {
            let is_due = has_news || !gone.is_empty() || subscribed.owes_reply;
            return is_due.then(|| (state, version.to_string()));
        }
        // Routes still lead to clusters that are about to go. The new ones are sent beside them,
        // and once the client has the routes, the clusters without them.
        (has_news || subscribed.owes_reply).then(|| {
            state.extend(gone);
            (state, format!("{version}-transition"))
        })
    }

    /// Whether the client does not have all listeners and routes yet.
    fn traffic_is_due(&self) -> bool {
        TRAFFIC.iter().any(|it| self.due(it).is_some() || self.is_awaited(it))
    }

    /// Whether the client has not said anything to the last response yet.
    fn is_awaited(&self, type_url: &str) -> bool {
        let last = self.types.get(type_url).and_then(|subscribed| subscribed.last.as_ref());
        last.is_some_and(|last| last.is_awaited)
    }

    fn response(
        &mut self,
        type_url: &str,
        (resources, version): (Resources, String),
    ) -> DiscoveryResponse {
        let nonce = self.next_nonce();
        let subscribed = self.types.entry(type_url.to_owned()).or_default();
        let response = DiscoveryResponse {
            version_info: version.clone(),
            resources: resources.values().map(|resource| resource.to_any(type_url)).collect(),
            type_url: type_url.to_owned(),
            nonce: nonce.clone(),
            ..DiscoveryResponse::default()
        };
        let changed: Vec<Resource> = resources
            .iter()
            .filter(|(name, resource)| !subscribed.has(name, resource))
            .map(|(_, resource)| resource.clone())
            .collect();
        subscribed.sent(nonce, version);
        subscribed.owes_reply = false;
        if is_full_state(type_url) {
            subscribed.given = resources;
        } else {
            subscribed.given.extend(resources);
        }
        if type_url == type_url::CLUSTER {
            self.forget_endpoints(&changed);
        }
        response
    }

    /// Makes the endpoints of these clusters due again.
    fn forget_endpoints(&mut self, clusters: &[Resource]) {
        if let Some(endpoints) = self.types.get_mut(type_url::ENDPOINTS) {
            for name in clusters.iter().filter_map(endpoints_name) {
                endpoints.given.remove(name.as_str());
            }
        }
    }

    fn next_nonce(&mut self) -> String {
        self.nonce += 1;
        self.nonce.to_string()
    }
}

impl Type {
    /// Whether the client had not seen the last response when it wrote this.
    fn is_stale(&self, request: &DiscoveryRequest) -> bool {
        // Without a nonce it is a subscription sent ahead of the first response.
        !request.response_nonce.is_empty()
            && self.last.as_ref().is_some_and(|last| last.nonce != request.response_nonce)
    }

    fn answer(&mut self, request: &DiscoveryRequest) {
        let Some(last) = &mut self.last else { return };
        // The first request with a nonce answers; others with it change the subscription.
        if last.nonce != request.response_nonce || last.answer.is_some() {
            return;
        }
        last.is_awaited = false;
        if let Some(error) = &request.error_detail {
            let message = error.message.clone();
            last.answer = Some(Answer::Nack { version: last.version.clone(), message });
        } else if last.version == request.version_info {
            last.answer = Some(Answer::Ack);
            self.acked = Some(last.version.clone());
        }
    }

    /// Replaces the names; whether some are new.
    fn subscribe(&mut self, mut names: BTreeSet<Arc<str>>) -> bool {
        let is_explicit = self.is_explicit || !names.is_empty();
        let wildcard = names.remove(WILDCARD) || !is_explicit;
        let mut has_new = wildcard && !self.wildcard;
        for name in names.difference(&self.names) {
            // What is newly asked for is sent, even if it was sent without having been asked for.
            self.given.remove(name);
            has_new = true;
        }
        if !wildcard {
            self.given.retain(|name, _| names.contains(name));
        }
        self.names = names;
        self.wildcard = wildcard;
        self.is_explicit = is_explicit;
        has_new
    }

    fn wanted<'a>(&self, all: &'a Resources) -> Vec<(&'a Arc<str>, &'a Resource)> {
        if self.wildcard {
            return all.iter().collect();
        }
        self.names.iter().filter_map(|name| all.get_key_value(name)).collect()
    }

    fn has(&self, name: &str, resource: &Resource) -> bool {
        self.given.get(name).is_some_and(|given| given.version() == resource.version())
    }

    fn sent(&mut self, nonce: String, version: String) {
        self.last = Some(Last { nonce, version, answer: None, is_awaited: true });
    }

    fn status(&self, is_due: bool) -> Subscription {
        Subscription {
            wildcard: self.wildcard,
            names: self.names.iter().map(ToString::to_string).collect(),
            sent: self.last.as_ref().map(|last| last.version.clone()),
            answer: self.last.as_ref().and_then(|last| last.answer.clone()),
            acked: self.acked.clone(),
            is_due,
        }
    }
}
