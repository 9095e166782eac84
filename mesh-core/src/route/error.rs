use std::sync::Arc;

/// Why a [`Table`](super::Table) cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A virtual host without domains would never be found.
    #[error("virtual host {virtual_host:?} has no domains")]
    NoDomains {
        /// The name of the virtual host.
        virtual_host: Arc<str>,
    },
    /// A domain is empty, or has a `*` that is neither its first nor its last character.
    #[error("virtual host {virtual_host:?}: invalid domain {domain:?}")]
    Domain {
        /// The name of the virtual host.
        virtual_host: Arc<str>,
        /// The domain as it was given.
        domain: String,
    },
    /// A domain, in whatever case, is listed twice, by one virtual host or two.
    #[error("virtual host {virtual_host:?}: domain {domain:?} is listed before")]
    DuplicateDomain {
        /// The name of the second virtual host to list it.
        virtual_host: Arc<str>,
        /// The domain in lower case.
        domain: String,
    },
    /// A route refers to a cluster that this table does not know.
    #[error("virtual host {virtual_host:?}: route {route} refers to no cluster of this table")]
    UnknownCluster {
        /// The name of the virtual host.
        virtual_host: Arc<str>,
        /// The position of the route in its virtual host, from 0.
        route: usize,
    },
    /// The path patterns of a virtual host together exceed 32 MiB when compiled.
    #[error("virtual host {virtual_host:?}: path patterns are too large together: {why}")]
    Patterns {
        /// The name of the virtual host.
        virtual_host: Arc<str>,
        /// What the compiler says.
        why: String,
    },
    /// More than 2^32 - 1 clusters, virtual hosts or routes.
    #[error("more than 2^32 - 1 clusters, virtual hosts or routes")]
    TooMany,
    /// No weighted cluster has a weight.
    #[error("sum of cluster weights is 0")]
    NoWeight,
    /// The weights of a weighted cluster sum up to more than `u32::MAX`.
    #[error("sum of cluster weights exceeds {}", u32::MAX)]
    TooMuchWeight,
}

/// Why no route was found. [`Table::explain`](super::Table::explain) says more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoRoute {
    /// No virtual host has a domain for the authority.
    #[error("no virtual host for this authority")]
    VirtualHost,
    /// No route of the virtual host matches.
    #[error("no route of virtual host {virtual_host:?} matches")]
    Route {
        /// The name of the virtual host.
        virtual_host: Arc<str>,
    },
}
