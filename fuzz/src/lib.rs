//! What the fuzz targets do with their input: everything that reads bytes which are not ours.
//!
//! A body takes any bytes, and fails by panicking. The targets in `targets/` hand it what the
//! fuzzer makes up; the test `fuzz` of the workspace hands it the files of the corpus.

mod request;
mod session;

use std::path::Path;

use mesh_core::identity::SpiffeId;
use mesh_xds::bootstrap::{Bootstrap, ServerUri};
use mesh_xds::file;
use mesh_xds::name::{ResourceName, ResourceType};
use mesh_xds::parse::{self, Registry};

/// A target's name, which is also that of its folder of inputs, and what it does.
pub type Body = (&'static str, fn(&[u8]));

/// All of them.
pub const BODIES: &[Body] = &[
    ("bootstrap", bootstrap),
    ("clusters", clusters),
    ("endpoints", endpoints),
    ("files", files),
    ("listeners", listeners),
    ("names", names),
    ("request", request::request),
    ("routes", routes),
    ("session", session::session),
];

/// Does with `input` what the target `name` does.
///
/// # Panics
/// When there is no such target, or it has found something.
pub fn run(name: &str, input: &[u8]) {
    let found = BODIES.iter().find(|(known, _)| *known == name);
    let (_, body) = found.unwrap_or_else(|| panic!("no target is called {name}"));
    body(input);
}

fn bootstrap(input: &[u8]) {
    let Ok(json) = std::str::from_utf8(input) else { return };
    if let Ok(bootstrap) = Bootstrap::from_json(json) {
        let target = bootstrap.listener_name("xds:///a b/%25");
        drop(target);
        drop(bootstrap.server_listener_name(([127, 0, 0, 1], 80).into()));
    }
}

fn listeners(input: &[u8]) {
    drop(parse::listener::parse(input, &Registry::default()));
}

fn routes(input: &[u8]) {
    if let Ok(table) = parse::route::parse(input, &Registry::default()) {
        request::ask(&table, b"GET /a/b?x=1\nhost: greeter:80\nx-a: 1");
    }
}

fn clusters(input: &[u8]) {
    drop(parse::cluster::parse(input));
}

/// Two versions of an assignment: the second shares what it can with the first.
fn endpoints(input: &[u8]) {
    let (first, second) = halves(input);
    let old = parse::endpoints::update(None, first).ok();
    let shared = parse::endpoints::update(old.as_ref().map(|old| (first, old)), second);
    let alone = parse::endpoints::update(None, second);
    // Sharing never decides whether a resource is good, nor how many endpoints it has.
    let size = |result: &Result<mesh_core::cluster::Assignment, parse::Reject>| {
        result.as_ref().ok().map(|a| a.localities.iter().map(|l| l.endpoints.len()).sum::<usize>())
    };
    assert_eq!(size(&shared), size(&alone));
}

fn files(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match file::parse(text, Path::new("mesh.yaml")) {
        Ok(resources) => drop(resources),
        Err(error) => assert!(error.to_string().contains("mesh.yaml"), "{error}"),
    }
}

fn names(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    for kind in ResourceType::ALL {
        if let Ok(name) = ResourceName::parse(kind, text) {
            // The canonical form is canonical.
            assert_eq!(ResourceName::parse(kind, name.as_str()), Ok(name));
        }
    }
    if let Ok(id) = SpiffeId::parse(text) {
        assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text);
    }
    drop(ServerUri::parse(text));
}

/// What comes before the first byte `0xff`, and what comes after it.
fn halves(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == 0xff) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, input),
    }
}
