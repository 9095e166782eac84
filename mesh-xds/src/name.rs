//! What a resource is called: its type and its name.
//!
//! Old-style names are opaque. New-style names (`xdstp://authority/type/id?context`, gRFC A47) are
//! brought into one canonical form, so that names which mean the same resource are equal.

use std::fmt;
use std::sync::Arc;

const SCHEME: &str = "xdstp://";

/// The resource types this crate subscribes to, in the order in which they depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ResourceType {
    /// LDS: `envoy.config.listener.v3.Listener`.
    Listener,
    /// RDS: `envoy.config.route.v3.RouteConfiguration`.
    RouteConfiguration,
    /// CDS: `envoy.config.cluster.v3.Cluster`.
    Cluster,
    /// EDS: `envoy.config.endpoint.v3.ClusterLoadAssignment`.
    ClusterLoadAssignment,
    /// SDS: `envoy.extensions.transport_sockets.tls.v3.Secret`.
    Secret,
}

impl ResourceType {
    /// Every type, in the order in which a fresh stream asks for them.
    pub const ALL: [Self; 5] = [
        Self::Listener,
        Self::RouteConfiguration,
        Self::Cluster,
        Self::ClusterLoadAssignment,
        Self::Secret,
    ];

    /// The type whose URL is `url`, if it is one of ours.
    #[must_use]
    pub fn from_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == url)
    }

    /// The URL that names the type in `Any` and in discovery messages.
    #[must_use]
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::RouteConfiguration => {
                "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
            }
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::ClusterLoadAssignment => {
                "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
            }
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
        }
    }

    /// The message name, as it stands in `xdstp` names and in metric labels.
    #[must_use]
    pub const fn message_name(self) -> &'static str {
        match self {
            Self::Listener => "envoy.config.listener.v3.Listener",
            Self::RouteConfiguration => "envoy.config.route.v3.RouteConfiguration",
            Self::Cluster => "envoy.config.cluster.v3.Cluster",
            Self::ClusterLoadAssignment => "envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Secret => "envoy.extensions.transport_sockets.tls.v3.Secret",
        }
    }

    /// Whether a state-of-the-world response holds every resource there is, so that one it leaves
    /// out is deleted. True for Listener and Cluster (gRFC A53).
    #[must_use]
    pub const fn is_whole_in_response(self) -> bool {
        matches!(self, Self::Listener | Self::Cluster)
    }
}

/// The name of a resource, in canonical form. Cheap to clone.
///
/// In an `xdstp` name the context parameters are sorted by key and the directives (what follows
/// `#`) are left out: neither changes which resource is meant. Percent-encoding is kept as written.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName(Arc<str>);

impl ResourceName {
    /// The name `text` of a resource of type `kind`.
    ///
    /// # Errors
    ///
    /// [`NameError`] if the name is empty, or starts with `xdstp:` and is malformed or names a
    /// resource of another type.
    pub fn parse(kind: ResourceType, text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if !text.starts_with("xdstp:") {
            return Ok(Self(text.into()));
        }
        let rest = text.strip_prefix(SCHEME).ok_or(NameError::NoAuthority)?;
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (before_context, context) = rest.split_once('?').unwrap_or((rest, ""));
        let (_authority, path) = before_context.split_once('/').ok_or(NameError::NoType)?;
        let (named, id) = path.split_once('/').ok_or(NameError::NoId)?;
        if named != kind.message_name() {
            return Err(NameError::WrongType { expected: kind });
        }
        if id.is_empty() {
            return Err(NameError::NoId);
        }
        Ok(Self([SCHEME, before_context, &sorted(context)?].concat().into()))
    }

    /// The canonical name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The authority of an `xdstp` name, percent-encoded as written and possibly empty; `None` for
    /// an old-style name.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        let rest = self.0.strip_prefix(SCHEME)?;
        Some(rest.split_once('/').map_or(rest, |(authority, _)| authority))
    }

    /// Whether this is `*`, the name that asks for everything the server has for this node.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        &*self.0 == "*"
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is not the name of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The name is empty.
    #[error("resource name is empty")]
    Empty,
    /// `xdstp:` without `//`.
    #[error("xdstp resource name has no authority part")]
    NoAuthority,
    /// Nothing follows the authority.
    #[error("xdstp resource name has no resource type")]
    NoType,
    /// Nothing follows the resource type.
    #[error("xdstp resource name has no id")]
    NoId,
    /// The name is that of a resource of another type.
    #[error("xdstp resource name is not one of a {}", .expected.message_name())]
    WrongType {
        /// The type that was asked for.
        expected: ResourceType,
    },
    /// A context parameter is there twice, so that its meaning would depend on their order.
    #[error("xdstp resource name repeats a context parameter")]
    RepeatedContext,
}

/// `?` and the parameters of `context` in the order of their keys, or nothing.
fn sorted(context: &str) -> Result<String, NameError> {
    let mut pairs: Vec<(&str, &str)> = context
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| (pair.split_once('=').map_or(pair, |(key, _)| key), pair))
        .collect();
    pairs.sort_unstable();
    if pairs.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
        return Err(NameError::RepeatedContext);
    }
    let mut sorted = String::with_capacity(context.len() + 1);
    for (index, (_, pair)) in pairs.iter().enumerate() {
        sorted.push(if index == 0 { '?' } else { '&' });
        sorted.push_str(pair);
    }
    Ok(sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(text: &str) -> Result<String, NameError> {
        ResourceName::parse(ResourceType::Listener, text).map(|name| name.as_str().to_owned())
    }

    #[test]
    fn type_urls_lead_back_to_their_type() {
        for kind in ResourceType::ALL {
            assert_eq!(ResourceType::from_url(kind.type_url()), Some(kind));
            assert!(kind.type_url().ends_with(kind.message_name()));
        }
        assert_eq!(ResourceType::from_url("envoy.config.listener.v3.Listener"), None);
    }

    #[test]
    fn old_style_names_are_opaque() {
        for name in ["greeter", "a/b?y=1&x=2#z", "grpc/server?address=[::]:80", "xdst://a/b", "*"] {
            assert_eq!(listener(name).as_deref(), Ok(name));
        }
        let name = ResourceName::parse(ResourceType::Cluster, "reviews").unwrap();
        assert_eq!(name.authority(), None);
    }

    #[test]
    fn order_of_context_does_not_matter() {
        let expect = "xdstp://auth/envoy.config.listener.v3.Listener/a/b?x=1&xy=3&y=2";
        for query in ["x=1&xy=3&y=2", "y=2&xy=3&x=1", "&y=2&&xy=3&x=1&", "y=2&x=1&xy=3#alt=other"] {
            let text = format!("xdstp://auth/envoy.config.listener.v3.Listener/a/b?{query}");
            assert_eq!(listener(&text).as_deref(), Ok(expect));
        }
    }

    #[test]
    fn authority_is_kept() {
        for (text, authority) in [
            ("xdstp://auth.example/envoy.config.cluster.v3.Cluster/c", "auth.example"),
            ("xdstp:///envoy.config.cluster.v3.Cluster/c?b=2&a=1", ""),
        ] {
            let name = ResourceName::parse(ResourceType::Cluster, text).unwrap();
            assert_eq!(name.authority(), Some(authority));
        }
    }

    #[test]
    fn malformed_names_say_what_is_missing() {
        for (text, why) in [
            ("", NameError::Empty),
            ("xdstp:a", NameError::NoAuthority),
            ("xdstp://auth", NameError::NoType),
            ("xdstp://auth?a/b/c", NameError::NoType),
            ("xdstp://auth/envoy.config.listener.v3.Listener", NameError::NoId),
            ("xdstp://auth/envoy.config.listener.v3.Listener/", NameError::NoId),
            (
                "xdstp://auth/envoy.config.cluster.v3.Cluster/c",
                NameError::WrongType { expected: ResourceType::Listener },
            ),
            (
                "xdstp://auth/envoy.config.listener.v3.Listener/l?a=1&b=1&a=2",
                NameError::RepeatedContext,
            ),
        ] {
            assert_eq!(listener(text), Err(why), "{text}");
        }
    }
}
