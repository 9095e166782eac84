//! The check fails on planted trees, for the reason it should.

use std::collections::BTreeMap;

use crate::check::violations;

/// What the check says about a tree of these files.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let own = |(path, source): &(&str, &str)| ((*path).to_owned(), (*source).to_owned());
    violations(&files.iter().map(own).collect::<BTreeMap<_, _>>())
}

#[track_caller]
fn check(files: &[(&str, &str)], expect: &[&str]) {
    assert_eq!(found(files), expect);
}

#[test]
fn a_layered_tree_passes() {
    check(
        &[
            ("mesh-core/src/lib.rs", "pub mod lb;\npub mod testing;\npub use lb::Pick;"),
            ("mesh-core/src/request.rs", "use http::Uri;"),
            ("mesh-core/src/lb/mod.rs", "mod ring;\npub use self::ring::Ring;"),
            ("mesh-core/src/lb/ring.rs", "use super::Pick;\nuse crate::cluster::Endpoint;"),
            ("mesh-core/src/cluster.rs", "use crate::{request::RequestHead, rng::Rng};"),
            ("mesh-core/src/rng.rs", ""),
            ("mesh-core/src/cell.rs", "use arc_swap::ArcSwap;"),
            ("mesh-core/src/testing.rs", "use crate::Pick;"),
            ("mesh-xds/src/client/driver.rs", "use tokio::select;\nuse crate::ads::Session;"),
            ("mesh-xds/src/ads/mod.rs", "use mesh_core::route::Table;"),
            ("mesh-hyper/src/xds.rs", "pub use mesh_xds::Mesh;"),
            ("mesh-tonic/src/channel.rs", "use crate::status;\nuse tonic::Status;"),
            ("mesh-tonic/src/status.rs", ""),
        ],
        &[],
    );
}

#[test]
fn an_unknown_module_is_named() {
    check(
        &[("mesh-core/src/util/mod.rs", ""), ("mesh-tonic/src/lib.rs", "pub mod prelude {}")],
        &[
            "mesh-core/src/util/mod.rs: mesh-core has a module `util` that is in no row; \
             add it to tests/layers/table.rs",
            "mesh-tonic/src/lib.rs: mesh-tonic has a module `prelude` that is in no row; \
             add it to tests/layers/table.rs",
        ],
    );
}

#[test]
fn an_upward_import_is_found() {
    let route = |source| [("mesh-core/src/route/mod.rs", source), ("mesh-core/src/filter.rs", "")];
    let expect = ["mesh-core/src/route/mod.rs:2: `route` imports `filter`, which is above it"];
    for source in [
        "\nuse crate::filter::Chain;",
        "\nuse crate::{filter::{Chain}};",
        "\nuse {crate::filter as seam};",
        "\nuse super::filter::*;",
        "\nstatic CHAIN: Option<crate::filter::Chain> = None;",
        "\nfn f() { <crate::filter::Chain>::new() }",
        "mod inner {\nuse super::super::filter::Chain; }",
    ] {
        check(&route(source), &expect);
    }
}

#[test]
fn the_root_is_above_its_modules() {
    check(
        &[
            ("mesh-core/src/lib.rs", "pub struct Lost;"),
            ("mesh-core/src/lb.rs", "use crate::Lost;"),
        ],
        &["mesh-core/src/lb.rs:1: `lb` imports `lib`, which is above it"],
    );
}

#[test]
fn a_reexport_counts_as_its_module() {
    check(
        &[
            ("mesh-core/src/lib.rs", "pub use snapshot::{Plan, cell::Cell as Published};"),
            ("mesh-core/src/snapshot/mod.rs", ""),
            ("mesh-core/src/lb.rs", "use crate::Published;"),
        ],
        &["mesh-core/src/lb.rs:1: `lb` imports `snapshot`, which is above it"],
    );
}

#[test]
fn siblings_are_strangers_but_for_the_named_pairs() {
    check(
        &[
            ("mesh-core/src/lb.rs", "use crate::cluster::Endpoint;"),
            ("mesh-core/src/outlier.rs", ""),
            ("mesh-core/src/cluster/mod.rs", "use crate::outlier::Config;"),
            ("mesh-core/src/retry.rs", "use crate::cluster::Endpoint;"),
        ],
        &["mesh-core/src/retry.rs:1: `retry` imports its sibling `cluster`"],
    );
}

#[test]
fn a_cycle_is_told_once() {
    check(
        &[
            ("mesh-hyper/src/client.rs", "use crate::stage::A;"),
            ("mesh-hyper/src/stage/mod.rs", ""),
            ("mesh-hyper/src/stage/plan.rs", "\nuse crate::layer::B;"),
            ("mesh-hyper/src/layer/h2/mod.rs", "\n\nuse super::super::client::C;"),
        ],
        &["mesh-hyper: a cycle: `client` imports `stage` (mesh-hyper/src/client.rs:1), \
           `stage` imports `layer` (mesh-hyper/src/stage/plan.rs:2), \
           `layer` imports `client` (mesh-hyper/src/layer/h2/mod.rs:3)"],
    );
}

#[test]
fn the_pure_floor_names_no_shell() {
    for name in ["tokio", "tower", "tracing", "prost", "rustls", "hyper", "rand", "mesh_xds"] {
        let source = format!("fn f() {{ ::{name}::g() }}");
        let found = found(&[("mesh-core/src/rng.rs", &source)]);
        let [only] = &found[..] else { panic!("{found:?}") };
        let prefix = format!("mesh-core/src/rng.rs:1: names `{name}`: ");
        assert!(only.starts_with(&prefix), "{only}");
    }
}

#[test]
fn only_the_cell_names_arc_swap() {
    check(
        &[("mesh-core/src/snapshot/plan.rs", "use arc_swap::ArcSwap;")],
        &["mesh-core/src/snapshot/plan.rs:1: names `arc_swap`: \
           the one publish/read cell is cell.rs"],
    );
}

#[test]
fn the_sans_io_part_stays_without_io() {
    let why = "the sans-IO part of mesh-xds has no runtime and no transport";
    check(
        &[
            ("mesh-xds/src/ads/session.rs", "use tokio::time::Instant;"),
            ("mesh-xds/src/client/mod.rs", ""),
            ("mesh-xds/src/graph/mod.rs", "use crate::client::Handle;"),
            ("mesh-xds/src/parse/route.rs", "#[derive(Clone)]\nstruct A(tonic::Status);"),
        ],
        &[
            &format!("mesh-xds/src/ads/session.rs:1: names `tokio`: {why}"),
            &format!("mesh-xds/src/parse/route.rs:2: names `tonic`: {why}"),
            "mesh-xds/src/graph/mod.rs:1: `graph` imports `client`, which is above it",
        ],
    );
}

#[test]
fn only_some_files_of_the_data_plane_name_the_control_side() {
    let why = "the data plane does not depend on where a snapshot came from";
    check(
        &[
            ("mesh-hyper/src/client/mod.rs", "extern crate mesh_xds;"),
            ("mesh-hyper/src/tls/client.rs", "use mesh_xds::tls::Reload;"),
            ("mesh-hyper/src/transport/tls.rs", "use {mesh_xds::tls, std::io};"),
        ],
        &[
            &format!("mesh-hyper/src/client/mod.rs:1: names `mesh_xds`: {why}"),
            &format!("mesh-hyper/src/transport/tls.rs:1: names `mesh_xds`: {why}"),
        ],
    );
}

#[test]
fn protobuf_stops_at_the_control_side() {
    let why = "nothing above mesh-xds knows protobuf";
    check(
        &[
            ("mesh-hyper/src/error.rs", "use prost::DecodeError;"),
            ("mesh-tonic/src/status.rs", "#[derive(prost::Message)]\nstruct Status;"),
        ],
        &[
            &format!("mesh-hyper/src/error.rs:1: names `prost`: {why}"),
            &format!("mesh-tonic/src/status.rs:1: names `prost`: {why}"),
        ],
    );
}

#[test]
fn comments_strings_and_tests_are_not_imports() {
    let source = r####"
        //! See [`filter`](crate::filter) and use crate::filter::Chain;
        /* use tokio::spawn; /* nested */ tokio::spawn() */
        const A: &str = "use tokio::spawn; \" tokio::spawn()";
        const B: &[u8] = br##"tokio::spawn("#)"##;
        const C: [char; 3] = ['"', '\'', '\u{22}'];
        fn d<'tokio>(r#type: &'tokio str) -> impl Sized + use<'tokio> { r#type.len::<u8>() }
        fn e() { my::tokio::spawn() }
        #[cfg(test)]
        use tokio::{spawn, task};
        #[cfg(all(test, unix))]
        #[derive(Debug)]
        pub(crate) struct F<A, B>(tokio::A, [B; 2], A) where A: tokio::B;
        struct G { #[cfg(test)] pub(crate) h: tokio::A, i: u8 }
        #[cfg(test)]
        mod tests { mod inner { use tokio::spawn; } }
        #[cfg(test)]
        mod fixtures;
    "####;
    let tests = "use tokio::spawn;";
    check(
        &[
            ("mesh-core/src/lb/mod.rs", source),
            ("mesh-core/src/lb/tests.rs", tests),
            ("mesh-core/src/lb/tests/table.rs", tests),
            ("mesh-core/src/lb/fixtures/mod.rs", tests),
            ("mesh-core/src/filter.rs", ""),
        ],
        &[],
    );
}

#[test]
fn code_behind_a_test_is_read_again() {
    for before in [
        "#[cfg(test)] mod tests {}\n",
        "#[cfg(test)] use std::{fmt};\n",
        "struct G { #[cfg(test)] h: u8,\n i: tokio::A }",
        "#[cfg(any(test, feature = \"testing\"))]\n",
        "#[cfg(not(test))]\n",
        "const Q: char = '\"';\n",
        "const R: &str = r#\"\"#;\n",
        "fn l<'a>() {}\n",
    ] {
        let source = format!("{before}use tokio::spawn;");
        let found = found(&[("mesh-core/src/lb.rs", &source)]);
        let line = "mesh-core/src/lb.rs:2: names `tokio`: ";
        assert!(found.iter().all(|one| one.starts_with(line)), "{before}: {found:?}");
        assert!(!found.is_empty(), "{before}");
    }
}
