//! Permissions and principals, as far as they are built alike.

use envoy_types::pb::envoy::config::core::v3::CidrRange;
use envoy_types::pb::envoy::config::rbac::v3::permission::{self, Rule};
use envoy_types::pb::envoy::config::rbac::v3::principal::{self, Authenticated, Identifier};
use envoy_types::pb::envoy::config::rbac::v3::{
    MetadataSource, Permission, Principal, SourcedMetadata,
};
use envoy_types::pb::envoy::r#type::matcher::v3::{MetadataMatcher, StringMatcher};

/// A permission or a principal.
pub(super) trait Term: Sized {
    /// Holds always.
    fn always() -> Self;
    /// All of `parts` hold. `parts` has at least two.
    fn every(parts: Vec<Self>) -> Self;
    /// One of `parts` holds. `parts` has at least two.
    fn either(parts: Vec<Self>) -> Self;
    /// It does not hold.
    fn negated(self) -> Self;
    /// The metadata of the request matches.
    fn metadata(matcher: MetadataMatcher) -> Self;

    /// All of `parts` hold: always, if there is none.
    fn all(mut parts: Vec<Self>) -> Self {
        match parts.len() {
            0 => Self::always(),
            1 => parts.remove(0),
            _ => Self::every(parts),
        }
    }

    /// One of `parts` holds. There is at least one: a list that is empty is refused where it is
    /// read.
    fn any(mut parts: Vec<Self>) -> Self {
        match parts.len() {
            0 => Self::always().negated(),
            1 => parts.remove(0),
            _ => Self::either(parts),
        }
    }
}

impl Term for Permission {
    fn always() -> Self {
        permit(Rule::Any(true))
    }

    fn every(rules: Vec<Self>) -> Self {
        permit(Rule::AndRules(permission::Set { rules }))
    }

    fn either(rules: Vec<Self>) -> Self {
        permit(Rule::OrRules(permission::Set { rules }))
    }

    fn negated(self) -> Self {
        permit(Rule::NotRule(Box::new(self)))
    }

    fn metadata(matcher: MetadataMatcher) -> Self {
        permit(Rule::SourcedMetadata(dynamic(matcher)))
    }
}

impl Term for Principal {
    fn always() -> Self {
        identify(Identifier::Any(true))
    }

    fn every(ids: Vec<Self>) -> Self {
        identify(Identifier::AndIds(principal::Set { ids }))
    }

    fn either(ids: Vec<Self>) -> Self {
        identify(Identifier::OrIds(principal::Set { ids }))
    }

    fn negated(self) -> Self {
        identify(Identifier::NotId(Box::new(self)))
    }

    fn metadata(matcher: MetadataMatcher) -> Self {
        identify(Identifier::SourcedMetadata(dynamic(matcher)))
    }
}

pub(super) fn permit(rule: Rule) -> Permission {
    Permission { rule: Some(rule) }
}

pub(super) fn identify(identifier: Identifier) -> Principal {
    Principal { identifier: Some(identifier) }
}

/// Whoever has a name that matches.
pub(super) fn named(matcher: StringMatcher) -> Principal {
    identify(Identifier::Authenticated(Authenticated { principal_name: Some(matcher) }))
}

/// Whoever connects from `range`.
pub(super) fn from_range(range: CidrRange) -> Principal {
    identify(Identifier::DirectRemoteIp(range))
}

fn dynamic(matcher: MetadataMatcher) -> SourcedMetadata {
    let metadata_source = MetadataSource::Dynamic.into();
    SourcedMetadata { metadata_matcher: Some(matcher), metadata_source }
}
