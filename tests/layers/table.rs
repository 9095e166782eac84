//! The layers: every first-level module of every crate has its place here.
//!
//! A new module fails the test until it is added to a row.

/// What one crate is made of and what it may name.
pub(crate) struct Crate {
    /// The folder of the package, which is also its name.
    pub(crate) folder: &'static str,
    /// Low to high: a module imports from rows below its own, and from its own if that is open.
    pub(crate) rows: &'static [Row],
    /// Crates that code of this crate must not name.
    pub(crate) banned: &'static [Ban],
}

/// Modules of the same height.
pub(crate) struct Row {
    pub(crate) modules: &'static [&'static str],
    pub(crate) siblings: Siblings,
}

/// Whether modules of one row may import each other. A cycle is an error in any case.
pub(crate) enum Siblings {
    Free,
    /// Not at all, but for these pairs: the first may import the second.
    Closed(&'static [(&'static str, &'static str)]),
}

/// A crate that is not named, or only in some places.
pub(crate) struct Ban {
    pub(crate) name: &'static str,
    pub(crate) scope: Scope,
    pub(crate) why: &'static str,
}

/// Where a ban holds.
pub(crate) enum Scope {
    Everywhere,
    /// Everywhere but in these files, named from `src/`.
    ExceptFiles(&'static [&'static str]),
    /// In these first-level modules only.
    Modules(&'static [&'static str]),
}

const fn ban(name: &'static str, why: &'static str) -> Ban {
    Ban { name, scope: Scope::Everywhere, why }
}

const PURE: &str = "mesh-core is pure: decisions and values only";
const DOWN: &str = "dependencies point down: core, xds, hyper, tonic";
const SANS_IO: &str = "the sans-IO part of mesh-xds has no runtime and no transport";
const NO_PROTO: &str = "nothing above mesh-xds knows protobuf";

/// The part of mesh-xds that takes bytes and time as arguments.
const XDS_SANS_IO: &[&str] =
    &["proto", "name", "bootstrap", "parse", "ads", "graph", "lrs", "jwt", "limit", "side"];

pub(crate) const CRATES: &[Crate] = &[
    Crate {
        folder: "mesh-core",
        rows: &[
            Row {
                modules: &[
                    "request",
                    "rng",
                    "time",
                    "metadata",
                    "tenant",
                    "matcher",
                    "vocabulary",
                    "cell",
                    "backoff",
                ],
                siblings: Siblings::Free,
            },
            Row {
                modules: &[
                    "identity",
                    "classify",
                    "deadline",
                    "inherited",
                    "record",
                    "orca",
                    "side",
                ],
                siblings: Siblings::Free,
            },
            Row {
                modules: &[
                    "route",
                    "cluster",
                    "retry",
                    "hedge",
                    "limit",
                    "breaker",
                    "outlier",
                    "fault",
                    "authz",
                    "lb",
                    "listener",
                    "jwt",
                    "concurrency",
                    "admission",
                ],
                siblings: Siblings::Closed(&[
                    ("lb", "cluster"),
                    ("cluster", "breaker"),
                    ("cluster", "outlier"),
                    ("cluster", "retry"),
                    ("hedge", "retry"),
                    ("route", "retry"),
                    ("route", "hedge"),
                    // A route says what its requests are counted as.
                    ("route", "limit"),
                ]),
            },
            Row { modules: &["balance"], siblings: Siblings::Free },
            Row { modules: &["filter"], siblings: Siblings::Free },
            Row { modules: &["snapshot"], siblings: Siblings::Free },
            Row { modules: &["testing", "lib"], siblings: Siblings::Free },
        ],
        banned: &[
            ban("mesh_xds", DOWN),
            ban("mesh_hyper", DOWN),
            ban("mesh_tonic", DOWN),
            ban("tokio", PURE),
            ban("tower", PURE),
            ban("tracing", PURE),
            ban("log", PURE),
            ban("prost", PURE),
            ban("tonic", PURE),
            ban("rustls", PURE),
            ban("hyper", PURE),
            ban("rand", PURE),
            Ban {
                name: "arc_swap",
                scope: Scope::ExceptFiles(&["cell.rs"]),
                why: "the one publish/read cell is cell.rs",
            },
        ],
    },
    Crate {
        folder: "mesh-xds",
        rows: &[
            Row { modules: &["audit"], siblings: Siblings::Free },
            Row { modules: XDS_SANS_IO, siblings: Siblings::Free },
            Row {
                modules: &["error", "status", "roots", "watch", "edges"],
                siblings: Siblings::Free,
            },
            Row {
                modules: &[
                    "break_glass",
                    "client",
                    "identity",
                    "providers",
                    "file",
                    "tls",
                    "control_plane",
                    "mesh",
                    "builder",
                    "testing",
                ],
                siblings: Siblings::Free,
            },
            Row { modules: &["lib"], siblings: Siblings::Free },
            Row { modules: &["bin"], siblings: Siblings::Free },
        ],
        banned: &[
            ban("mesh_hyper", DOWN),
            ban("mesh_tonic", DOWN),
            Ban { name: "tokio", scope: Scope::Modules(XDS_SANS_IO), why: SANS_IO },
            Ban { name: "tokio_stream", scope: Scope::Modules(XDS_SANS_IO), why: SANS_IO },
            Ban { name: "tonic", scope: Scope::Modules(XDS_SANS_IO), why: SANS_IO },
        ],
    },
    Crate {
        folder: "mesh-hyper",
        rows: &[
            Row { modules: &["error", "runtime"], siblings: Siblings::Free },
            Row { modules: &["inherit"], siblings: Siblings::Free },
            Row { modules: &["transport"], siblings: Siblings::Free },
            Row { modules: &["context", "report", "pool"], siblings: Siblings::Free },
            Row { modules: &["body"], siblings: Siblings::Free },
            Row {
                modules: &[
                    "stage",
                    "layer",
                    "client",
                    "server",
                    "side",
                    "tls",
                    "xds",
                    "testing",
                    "middleware",
                ],
                siblings: Siblings::Free,
            },
            Row { modules: &["lib"], siblings: Siblings::Free },
        ],
        banned: &[
            ban("mesh_tonic", DOWN),
            Ban {
                name: "mesh_xds",
                scope: Scope::ExceptFiles(&[
                    "xds.rs",
                    "tls/client.rs",
                    "tls/open.rs",
                    "tls/server.rs",
                    "testing/feed.rs",
                ]),
                why: "the data plane does not depend on where a snapshot came from",
            },
            ban("prost", NO_PROTO),
            ban("envoy_types", NO_PROTO),
            ban("tonic", "everything of value lives below mesh-tonic, on http and tower"),
        ],
    },
    Crate {
        folder: "mesh-tonic",
        rows: &[
            Row {
                modules: &["status", "classify", "connect_info", "health", "channel", "server"],
                siblings: Siblings::Free,
            },
            Row { modules: &["lib"], siblings: Siblings::Free },
        ],
        banned: &[
            ban("mesh_xds", "mesh-tonic stands on mesh-hyper, which re-exports what users need"),
            ban("prost", NO_PROTO),
            ban("envoy_types", NO_PROTO),
        ],
    },
];
