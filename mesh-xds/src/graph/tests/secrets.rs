//! Secrets: what waits for them, what hears of them, and what becomes of them.

use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as pb;
use mesh_core::identity::{Feed, Material, Source, Trust};
use pb::common_tls_context::ValidationContextType;

use super::kit::{CDS, EDS, Kit, LDS, RDS, SDS, gone, now, words};
use crate::fixtures::{any, assignment, cluster, listener, locality, manager, rds, routes_to};
use crate::graph::{Event, SecretNews, State};
use crate::parse::secret::SecretReader;
use crate::parse::{Path, Registry, Reject};

/// Takes what it is given for an authority, unless that is `bad`.
#[derive(Debug)]
pub(crate) struct Reader;

impl SecretReader for Reader {
    fn read(&self, raw: &[u8]) -> Result<Material, Reject> {
        match raw {
            b"bad" => Err(Path::root().field("validation_context").reject("is bad")),
            raw => Ok(Material {
                identity: None,
                trust: Trust::Authorities(vec![raw.into()]),
                crls: Vec::new(),
            }),
        }
    }
}

/// EDS cluster `c` that trusts the authorities of the secret `roots`, with another timeout for each
/// secret.
fn secured(roots: &str) -> Cluster {
    let secret =
        pb::SdsSecretConfig { name: roots.into(), sds_config: Some(crate::fixtures::ads()) };
    let kind = ValidationContextType::ValidationContextSdsSecretConfig(secret);
    let common = pb::CommonTlsContext { validation_context_type: Some(kind), ..Default::default() };
    let context = pb::UpstreamTlsContext { common_tls_context: Some(common), ..Default::default() };
    let name = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
    Cluster {
        transport_socket: Some(TransportSocket {
            name: "envoy.transport_sockets.tls".into(),
            config_type: Some(ConfigType::TypedConfig(any(name, &context))),
        }),
        ..cluster("c", "e")
    }
}

fn said(text: &str) -> Event {
    Event::Value { raw: text.as_bytes().to_vec().into(), version: text.into() }
}

/// A root whose cluster has all but the secret `roots`, and what that is to be found in.
fn waiting() -> (Kit, Arc<Feed>) {
    let mut kit = Kit::over(Registry::default().secrets(Arc::new(Reader)));
    kit.put(LDS, "l", &listener("l", &manager(rds("r"))));
    kit.put(RDS, "r", &routes_to("r", &["c"]));
    let delta = kit.event(CDS, "c", super::kit::value(&secured("roots")), false);
    assert_eq!(words(&delta), "+EDS e, +SDS roots");
    let [(name, SecretNews::Wanted(feed))] = &delta.secrets[..] else {
        panic!("{:?}", delta.secrets)
    };
    assert_eq!(name.as_str(), "roots");
    assert_eq!(kit.put(EDS, "e", &assignment("e", vec![locality("z", 0, &["10.0.0.1:80"])])), "");
    assert_eq!(kit.why(), "waiting for cluster c");
    assert!(feed.current().is_err());
    (kit, feed.clone())
}

fn trusts(feed: &Feed) -> String {
    match &feed.current().unwrap().trust {
        Trust::Authorities(all) => String::from_utf8(all[0].to_vec()).unwrap(),
        other @ (Trust::Unknown | Trust::Domains(_)) => panic!("{other:?}"),
    }
}

/// What happened to `roots`.
fn news(kit: &mut Kit, event: Event, fail: bool) -> (String, String) {
    let delta = kit.event(SDS, "roots", event, fail);
    let told = delta.secrets.iter().map(|(name, news)| match news {
        SecretNews::Wanted(_) => format!("{name} wanted"),
        SecretNews::Renewed { .. } => format!("{name} renewed"),
        SecretNews::Failed(why) => format!("{name} failed: {why}"),
        SecretNews::Withdrawn(why) => format!("{name} withdrawn: {why}"),
    });
    let told = told.collect::<Vec<_>>().join(", ");
    (words(&delta), told)
}

#[test]
fn a_cluster_waits_for_its_secret_and_hears_of_no_later_version() {
    let (mut kit, feed) = waiting();
    assert_eq!(news(&mut kit, said("one"), false), ("ready 1".into(), "roots renewed".into()));
    assert_eq!(trusts(&feed), "one");
    let version = kit.version();
    assert_eq!(news(&mut kit, said("two"), false), (String::new(), "roots renewed".into()));
    assert_eq!(trusts(&feed), "two");
    // The same again is no news, though no bytes are kept that it could be compared with.
    let generation = feed.generation();
    assert_eq!(news(&mut kit, said("two"), false), Default::default());
    assert_eq!(feed.generation(), generation);
    assert!(Arc::ptr_eq(&version, &kit.version()));
    let status = kit.graph.status();
    let status = status.resources.iter().find(|resource| resource.kind == SDS).unwrap();
    assert_eq!((status.state, &*status.version, status.raw.len()), (State::Acked, "two", 0));
    assert_eq!(
        words(&kit.graph.remove_root(kit.roots[0], now())),
        "-CDS c, -EDS e, -LDS l, -RDS r, -SDS roots"
    );
}

#[test]
fn a_bad_secret_leaves_the_last_good_one() {
    let (mut kit, feed) = waiting();
    news(&mut kit, said("one"), false);
    let why = "refused: validation_context: is bad";
    let expect = ("!roots validation_context".into(), format!("roots failed: {why}"));
    assert_eq!(news(&mut kit, said("bad"), false), expect);
    assert_eq!(trusts(&feed), "one");
    assert_eq!(kit.version().note.as_deref(), Some(&*format!("secret roots: {why}")));
    // Taken away by the server, it stays in use, as everything does (gRFC A88).
    let (_, told) = news(&mut kit, gone(), false);
    assert_eq!(told, "roots failed: does not exist");
    assert_eq!(trusts(&feed), "one");
    news(&mut kit, said("one"), false);
    assert_eq!(kit.version().note, None);
    // Unless the server is known to mean it.
    let (words, told) = news(&mut kit, gone(), true);
    assert_eq!((&*words, &*told), ("", "roots withdrawn: does not exist"));
    assert_eq!(feed.current().unwrap_err().to_string(), "does not exist");
}

#[test]
fn a_secret_that_never_comes_ends_the_wait_and_handshakes_fail() {
    for (event, reject) in [
        (gone(), ""),
        (Event::Timeout("late".into()), ""),
        (Event::Unreachable("away".into()), ""),
        (said("bad"), "!roots validation_context, "),
    ] {
        let (mut kit, feed) = waiting();
        let (words, told) = news(&mut kit, event, false);
        assert_eq!(words, format!("{reject}ready 1"));
        let why = told.strip_prefix("roots failed: ").unwrap();
        assert_eq!(feed.current().unwrap_err().to_string(), why);
        // It comes after all.
        assert_eq!(news(&mut kit, said("one"), false), (String::new(), "roots renewed".into()));
        assert_eq!(trusts(&feed), "one");
    }
    // An empty message is none that was there before.
    let (mut kit, feed) = waiting();
    news(&mut kit, said("one"), false);
    assert_eq!(news(&mut kit, said(""), false).1, "roots renewed");
    assert_eq!(trusts(&feed), "");
}

#[test]
fn a_newer_configuration_waits_for_another_secret_and_the_one_in_use_keeps_its_own() {
    let (mut kit, feed) = waiting();
    news(&mut kit, said("one"), false);
    let before = kit.version();
    assert_eq!(kit.put(CDS, "c", &secured("other")), "+SDS other");
    assert!(Arc::ptr_eq(&before, &kit.version()));
    assert_eq!(news(&mut kit, said("two"), false).1, "roots renewed");
    assert_eq!(trusts(&feed), "two");
    // Back to the first: the other is needed no more.
    assert_eq!(kit.put(CDS, "c", &secured("roots")), "-SDS other");
    assert_eq!(kit.put(CDS, "c", &secured("other")), "+SDS other");
    let delta = kit.event(SDS, "other", said("three"), false);
    assert_eq!(words(&delta), "-SDS roots");
    let names: Vec<_> = kit.version().config.security.secrets().cloned().collect();
    assert_eq!(names, ["other".into()]);
    // Without TLS, without secrets.
    assert_eq!(kit.put(CDS, "c", &cluster("c", "e")), "-SDS other");
}
