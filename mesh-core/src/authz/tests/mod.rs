mod audit;
mod leaves;
mod rules;
mod tree;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;
use crate::identity::{Certificate, Peer, Session};
use crate::matcher::StringMatcher;
use crate::metadata::{Fields, Metadata};
use crate::request::{Protocol, RequestHead};

/// A request with all that authorization looks at. The default is a gRPC call over mutual TLS.
struct Request {
    protocol: Protocol,
    path: &'static str,
    query: Option<&'static str>,
    headers: HeaderMap,
    peer: Option<Peer>,
    metadata: Metadata,
    route: Option<Metadata>,
}

impl Default for Request {
    fn default() -> Self {
        let certificate = Certificate {
            uris: [Arc::from("spiffe://td/a")].into(),
            dns_names: [Arc::from("a.test"), Arc::from("b.test")].into(),
            subject: "CN=a".into(),
            ..Certificate::default()
        };
        let peer = Peer {
            remote: Some(([10, 0, 0, 1], 4711).into()),
            local: Some(([10, 0, 9, 9], 443).into()),
            session: Some(Session {
                server_name: Some("shop".into()),
                protocol: None,
                certificate: Some(certificate),
            }),
        };
        let mut metadata = Metadata::default();
        metadata.add("ns", Fields::from_iter([("k", "v".into())])).unwrap();
        Self {
            protocol: Protocol::Grpc,
            path: "/pkg.Svc/Do",
            query: None,
            headers: HeaderMap::new(),
            peer: Some(peer),
            route: Some(metadata.clone()),
            metadata,
        }
    }
}

impl Request {
    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut request = Self::default();
        change(&mut request);
        request
    }

    fn header(mut self, name: &'static str, value: &[u8]) -> Self {
        let value = HeaderValue::from_bytes(value).unwrap();
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    fn judged<R>(&self, judge: impl FnOnce(&Facts<'_>) -> R) -> R {
        let head = RequestHead {
            method: &Method::POST,
            scheme: "https",
            authority: "shop:80",
            path: self.path,
            query: self.query,
            headers: &self.headers,
            protocol: self.protocol,
        };
        let facts = Facts::request(&head, &self.metadata, self.peer.as_ref());
        judge(&match &self.route {
            Some(route) => facts.on_route(route),
            None => facts,
        })
    }
}

fn exact(text: &str) -> StringMatcher {
    StringMatcher::exact(text)
}

fn policy(permission: impl Into<Expression>, principal: impl Into<Expression>) -> Policy {
    Policy { permissions: vec![permission.into()], principals: vec![principal.into()] }
}

fn rules<const N: usize>(action: Action, policies: [(&str, Policy); N]) -> Rules {
    let policies = policies.into_iter().map(|(name, policy)| (name.into(), policy)).collect();
    Rules::new(action, policies).unwrap()
}
