mod actions;
mod domains;
mod explain;
mod redirects;
mod rules;
mod timeouts;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;
use crate::matcher::PathMatcher;
use crate::request::{Protocol, RequestHead};
use crate::rng::Rng;

/// Gives these numbers, scaled so that `below(1 << 32)` returns them, and counts.
struct Script(Vec<u32>);

impl Rng for Script {
    fn next_u64(&mut self) -> u64 {
        u64::from(self.0.remove(0)) << 32
    }
}

/// No decision of the test may need chance.
fn certain() -> Script {
    Script(Vec::new())
}

/// The owned parts of a request.
struct Request {
    authority: &'static str,
    path: &'static str,
    query: Option<&'static str>,
    headers: HeaderMap,
    protocol: Protocol,
}

fn request(authority: &'static str, path: &'static str) -> Request {
    Request { authority, path, query: None, headers: HeaderMap::new(), protocol: Protocol::Http }
}

impl Request {
    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    fn grpc(mut self) -> Self {
        self.protocol = Protocol::Grpc;
        self
    }

    fn query(mut self, query: &'static str) -> Self {
        self.query = Some(query);
        self
    }

    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &Method::POST,
            scheme: "http",
            authority: self.authority,
            path: self.path,
            query: self.query,
            headers: &self.headers,
            protocol: self.protocol,
        }
    }
}

/// A route that says who it is.
fn named(name: &str, matcher: RouteMatch) -> Route {
    let mut route = Route::new(matcher, Action::NonForwarding);
    route.name = name.into();
    route
}

fn table(hosts: impl IntoIterator<Item = VirtualHost>) -> Table {
    let mut builder = Table::builder();
    for host in hosts {
        builder.virtual_host(host);
    }
    builder.build().unwrap()
}

fn one_host(routes: impl IntoIterator<Item = (&'static str, RouteMatch)>) -> Table {
    let start = VirtualHost::new("v", &["*"]);
    let routes = routes.into_iter().map(|(name, matcher)| named(name, matcher));
    table([routes.fold(start, VirtualHost::route)])
}

/// The name of the route for `request`, or `-`.
fn found(table: &Table, request: &Request, rng: &mut Script) -> Arc<str> {
    table.find(&request.head(), rng).map_or("-".into(), |route| Arc::clone(&route.name))
}

fn all() -> RouteMatch {
    RouteMatch::new(PathMatcher::prefix(""))
}
