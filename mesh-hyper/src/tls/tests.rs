//! Handshakes through a pipe, and what becomes of them.

use std::sync::Arc;

use mesh_core::identity::{
    Authorities, ClientRules, ClientTls, Clients, Feed, SanMatcher, ServerName, ServerTls,
};
use mesh_core::matcher::StringMatcher;
use mesh_xds::identity::{DevCa, Identities};
use tokio_rustls::TlsConnector;

use super::Greetings;
use crate::server::secure::{Greet, Secured};

/// TLS with clients that `accepted` is about.
fn tls(accepted: Option<&str>) -> Arc<ServerTls> {
    let matcher = |name| SanMatcher::any(StringMatcher::exact(name));
    let accepted = accepted.into_iter().map(matcher).collect();
    let rules = ClientRules { authorities: "default".into(), accepted };
    let clients = Clients::Required(rules);
    Arc::new(ServerTls { identity: "default".into(), clients, protocols: Box::default() })
}

/// What a handshake of `spiffe://td/client` comes to.
async fn secured(ca: &DevCa, greetings: &Greetings, tls: &Arc<ServerTls>) -> Secured {
    let identities = Identities::default();
    let material = ca.material(&ca.workload("/client")).unwrap();
    identities.insert("default", Arc::new(Feed::of(material)));
    let client = ClientTls {
        identity: Some("default".into()),
        authorities: Authorities::Provider("default".into()),
        accepted: Box::default(),
        server_name: ServerName::default(),
    };
    let client = identities.client(&client, None, vec![b"h2".to_vec()]).unwrap();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    tokio::spawn(TlsConnector::from(client.config).connect(client.name, ours));
    let greeted = greetings.greet(Box::new(theirs)).await.unwrap();
    assert_eq!(greeted.hello().protocols, [Box::from(*b"h2")]);
    greeted.secure(tls.clone()).await.unwrap()
}

#[tokio::test]
async fn a_client_is_judged_anew_by_what_it_has_shown() {
    let ca = DevCa::new("td").unwrap();
    let identities = Arc::new(Identities::default());
    let feed = Arc::new(Feed::of(ca.material(&ca.workload("/server")).unwrap()));
    identities.insert("default", feed.clone());
    let greetings = Greetings::new(identities);
    let secured = secured(&ca, &greetings, &tls(None)).await;
    assert_eq!(&*secured.own, ["spiffe://td/server".into()]);
    assert_eq!(secured.digest.len(), 32);
    let shown = secured.session.certificate.as_ref().unwrap();
    assert_eq!(secured.judge.chain().first(), Some(&&*shown.der));
    let judge = |tls: &Arc<ServerTls>| secured.judge.judge(tls);
    assert_eq!(judge(&tls(Some("spiffe://td/client"))), Ok(()));
    let why = r#"none of its names is accepted: "spiffe://td/client""#;
    assert_eq!(judge(&tls(Some("spiffe://td/other"))), Err(why.to_owned()));
    let unknown = ServerTls {
        identity: "other".into(),
        clients: Clients::Anonymous,
        protocols: Box::default(),
    };
    let why = "certificate provider \"other\" is not known";
    assert_eq!(judge(&Arc::new(unknown)), Err(why.to_owned()));
    feed.withdraw("gone");
    assert!(judge(&tls(None)).is_err());
}

#[tokio::test]
async fn a_provider_that_takes_the_place_of_another_counts_at_once() {
    let ca = DevCa::new("td").unwrap();
    let identities = Arc::new(Identities::default());
    let feed = |ca: &DevCa, path: &str| Feed::of(ca.material(&ca.workload(path)).unwrap());
    identities.insert("default", Arc::new(feed(&ca, "/server")));
    let greetings = Greetings::new(identities.clone());
    let tls = tls(None);
    let before = secured(&ca, &greetings, &tls).await;
    identities.insert("default", Arc::new(feed(&ca, "/other")));
    // The configuration that was made for the one before presents the new one's certificate.
    let after = secured(&ca, &greetings, &tls).await;
    assert_eq!(
        (&*before.own, &*after.own),
        (&["spiffe://td/server".into()][..], &["spiffe://td/other".into()][..])
    );
    assert_eq!(greetings.len(), 1);
    let stranger = DevCa::new("td").unwrap();
    identities.insert("default", Arc::new(feed(&stranger, "/server")));
    for open in [before, after] {
        let why = open.forbidden.unwrap().await;
        assert!(why.starts_with("the peer is not accepted any more: "), "{why}");
    }
}

#[tokio::test]
async fn one_configuration_serves_all_handshakes_of_a_chain() {
    let ca = DevCa::new("td").unwrap();
    let identities = Arc::new(Identities::default());
    let material = ca.material(&ca.workload("/server")).unwrap();
    identities.insert("default", Arc::new(Feed::of(material)));
    let greetings = Greetings::new(identities);
    let first = tls(None);
    drop(secured(&ca, &greetings, &first).await);
    drop(secured(&ca, &greetings, &first).await);
    assert_eq!(greetings.len(), 1);
    drop(first);
    drop(secured(&ca, &greetings, &tls(None)).await);
    // That of a chain that is gone is gone with the next one.
    assert_eq!(greetings.len(), 1);
}
