//! What the fuzz targets do with their input: everything that reads bytes which are not ours.
//!
//! A body takes any bytes, and fails by panicking. The targets in `targets/` hand it what the
//! fuzzer makes up; the test `fuzz` of the workspace hands it the files of the corpus.

mod asked;
mod authz;
mod certificates;
mod limits;
mod listener;
mod policies;
mod records;
mod replies;
mod request;
mod session;
mod streams;
mod texts;
mod tokens;

use std::path::Path;

use mesh_core::cluster::{Address, Assignment};
use mesh_xds::bootstrap::Bootstrap;
use mesh_xds::file;
use mesh_xds::name::ResourceType;
use mesh_xds::parse::{self, Registry, Reject};

/// A target's name, which is also that of its folder of inputs, and what it does.
pub type Body = (&'static str, fn(&[u8]));

/// All of them.
pub const BODIES: &[Body] = &[
    ("authz", authz::authz),
    ("bootstrap", bootstrap),
    ("bundles", certificates::bundles),
    ("clusters", clusters),
    ("connections", authz::connections),
    ("downstream", listener::downstream),
    ("endpoints", endpoints),
    ("files", files),
    ("forwarded", texts::forwarded),
    ("inbound", streams::inbound),
    ("keys", tokens::keys),
    ("leaf", certificates::leaf),
    ("limits", limits::limits),
    ("listeners", listener::listeners),
    ("names", texts::names),
    ("outbound", streams::outbound),
    ("paths", texts::paths),
    ("pem", certificates::pem),
    ("policies", policies::policies),
    ("records", records::records),
    ("replies", replies::replies),
    ("request", request::request),
    ("requirements", tokens::requirements),
    ("revocation", certificates::revocation),
    ("routes", routes),
    ("secrets", certificates::secrets),
    ("session", session::session),
    ("timeouts", texts::timeouts),
    ("tokens", tokens::tokens),
    ("upstream", listener::upstream),
];

fn bootstrap(input: &[u8]) {
    let Ok(json) = std::str::from_utf8(input) else { return };
    if let Ok(bootstrap) = Bootstrap::from_json(json) {
        drop(bootstrap.listener_name("xds:///a b/%25"));
        let address = Address::Socket(([127, 0, 0, 1], 80).into());
        drop(bootstrap.server_listener_name(&address));
    }
}

fn routes(input: &[u8]) {
    if let Ok(table) = parse::route::parse(input, &Registry::default()) {
        request::ask(&table, b"GET /a/b?x=1\nhost: greeter:80\nx-a: 1");
    }
}

fn clusters(input: &[u8]) {
    drop(parse::cluster::parse(input, &Registry::default()));
}

/// Two versions of an assignment: the second shares what it can with the first.
fn endpoints(input: &[u8]) {
    let (first, second) = halves(input);
    let old = parse::endpoints::update(None, first).ok();
    let shared = parse::endpoints::update(old.as_ref().map(|old| (first, old)), second);
    let alone = parse::endpoints::update(None, second);
    // Sharing never decides whether a resource is good, nor how many endpoints it has.
    let size = |result: &Result<Assignment, Reject>| {
        result.as_ref().ok().map(|a| a.localities.iter().map(|l| l.endpoints.len()).sum::<usize>())
    };
    assert_eq!(size(&shared), size(&alone));
}

/// The input is a file of resources or of the short form, which are read as others are.
fn files(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let resources = match file::parse(text, Path::new("mesh.yaml")) {
        Ok(resources) => resources,
        Err(error) => return assert!(error.to_string().contains("mesh.yaml"), "{error}"),
    };
    for resource in resources {
        match ResourceType::from_url(&resource.type_url) {
            Some(ResourceType::Listener) => listener::listeners(&resource.value),
            Some(ResourceType::RouteConfiguration) => routes(&resource.value),
            Some(ResourceType::Cluster) => clusters(&resource.value),
            Some(ResourceType::ClusterLoadAssignment) => endpoints(&resource.value),
            Some(_) | None => {}
        }
    }
}

/// What comes before the first byte `0xff`, and what comes after it.
fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == 0xff) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, input),
    }
}
