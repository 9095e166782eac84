mod audit;
mod connections;
mod judged;
mod refused;
mod trees;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::rbac::v3 as pb;
use envoy_types::pb::envoy::config::rbac::v3::permission::Rule;
use envoy_types::pb::envoy::config::rbac::v3::principal::Identifier;
use envoy_types::pb::envoy::config::route::v3::HeaderMatcher;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac;
use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::google::protobuf::Any;
use mesh_core::authz::{Authorizer, Facts};
use mesh_core::filter::Factory;
use mesh_core::identity::{Certificate, Peer, Session};
use mesh_core::metadata::{Fields, Metadata};
use mesh_core::request::RequestHead;
use prost::{Message, Name};

use super::RbacFactory;
use crate::fixtures::u32v;

fn permission(rule: Rule) -> pb::Permission {
    pb::Permission { rule: Some(rule) }
}

fn principal(identifier: Identifier) -> pb::Principal {
    pb::Principal { identifier: Some(identifier) }
}

fn policy(rule: Rule, identifier: Identifier) -> pb::Policy {
    pb::Policy {
        permissions: vec![permission(rule)],
        principals: vec![principal(identifier)],
        ..Default::default()
    }
}

/// What allows what `policy` is for.
fn allowing(policy: pb::Policy) -> pb::Rbac {
    pb::Rbac { policies: [("p".to_owned(), policy)].into(), ..Default::default() }
}

fn filter(rules: pb::Rbac) -> Rbac {
    Rbac { rules: Some(rules), ..Default::default() }
}

fn exact(text: &str) -> matcher::StringMatcher {
    matcher::StringMatcher {
        match_pattern: Some(MatchPattern::Exact(text.into())),
        ignore_case: false,
    }
}

fn header(name: &str, value: &str) -> HeaderMatcher {
    HeaderMatcher {
        name: name.into(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(exact(value))),
        ..Default::default()
    }
}

fn cidr(address: &str, length: u32) -> core::CidrRange {
    core::CidrRange { address_prefix: address.into(), prefix_len: u32v(length) }
}

fn path(text: &str) -> matcher::PathMatcher {
    matcher::PathMatcher { rule: Some(matcher::path_matcher::Rule::Path(exact(text))) }
}

fn metadata(namespace: &str, key: &str, value: &str) -> matcher::MetadataMatcher {
    let segment = matcher::metadata_matcher::path_segment::Segment::Key(key.into());
    matcher::MetadataMatcher {
        filter: namespace.into(),
        path: vec![matcher::metadata_matcher::PathSegment { segment: Some(segment) }],
        value: Some(matcher::ValueMatcher {
            match_pattern: Some(matcher::value_matcher::MatchPattern::StringMatch(exact(value))),
        }),
        invert: false,
    }
}

fn packed<M: Message + Name>(message: &M) -> Any {
    crate::fixtures::any(&M::full_name(), message)
}

fn extension<M: Message + Name>(message: &M) -> core::TypedExtensionConfig {
    core::TypedExtensionConfig { name: "x".into(), typed_config: Some(packed(message)) }
}

/// The rules in `message`, or where and why they are refused.
fn parse(message: &Rbac) -> Result<Authorizer, String> {
    let settings = RbacFactory::default().parse(&message.encode_to_vec())?;
    Ok((*settings.downcast::<Authorizer>().unwrap()).clone())
}

/// Whether `rules` allow `POST https://shop/pkg.Svc/Do`, from 10.0.0.1 to port 443 of 10.0.9.9,
/// over mutual TLS with `spiffe://td/a`, with one header field and one value of metadata.
fn allows(rules: &Authorizer) -> bool {
    let certificate = Certificate {
        uris: ["spiffe://td/a".into()].into(),
        dns_names: ["a.test".into()].into(),
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
    let request =
        http::Request::post("https://shop/pkg.Svc/Do").header("x-a", "1").body(()).unwrap();
    let (parts, ()) = request.into_parts();
    let head = RequestHead::new(&parts, "shop");
    rules.judge(&Facts::request(&head, &metadata, Some(&peer)).on_route(&metadata)).is_allowed()
}
