//! Certificates that nobody replaces in time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_core::identity::{ClientRules, Clients, Feed, ServerTls, Source};
use mesh_core::record::Recorder;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::runtime::Handle;

use super::kit::Notes;
use crate::identity::clock::Clock;
use crate::identity::{DevCa, Identities};
use crate::tls::{Credentials, PeerCheck, Side};

const MINUTE: Duration = Duration::from_secs(60);

/// Whether a peer lets the identity of `feed` in at `now`.
fn is_let_in(feed: &Arc<Feed>, now: SystemTime) -> bool {
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let credentials = Arc::new(Credentials::new("peer", feed.clone(), crypto));
    let material = feed.current().unwrap();
    let chain = &material.identity.as_ref().unwrap().chain;
    let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let check = PeerCheck::new(credentials, &[], Side::Client);
    check.check(&chain, UnixTime::since_unix_epoch(since)).is_ok()
}

#[tokio::test(start_paused = true)]
async fn readiness_ends_before_the_first_handshake_fails_and_comes_back() {
    let (ca, notes) = (DevCa::new("td").unwrap(), Arc::new(Notes::default()));
    let clock = Clock::of_runtime();
    let start = clock.now();
    let valid = |until: Duration| {
        ca.material(&ca.workload("/w").valid(start - MINUTE, start + until)).unwrap()
    };
    let feed = Arc::new(Feed::of(valid(59 * MINUTE)));
    let identities = Identities::default().by(clock.clone());
    identities.insert("default", feed.clone());
    identities.watch(&Handle::current(), Some(notes.clone() as Arc<dyn Recorder>));
    tokio::time::sleep(47 * MINUTE - Duration::from_secs(1)).await;
    assert_eq!((identities.check_ready(), notes.lines()), (Ok(()), vec![]));
    // Four fifths of the hour.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        (identities.check_ready(), notes.lines()),
        (Ok(()), vec!["default: expiring".into()])
    );
    tokio::time::sleep(11 * MINUTE - Duration::from_secs(3)).await;
    assert_eq!(identities.check_ready(), Ok(()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    let why = "certificate provider default: its certificate is about to expire, and none has replaced it";
    assert_eq!(identities.check_ready().unwrap_err().to_string(), why);
    // Handshakes still succeed by then, and for the better part of a minute.
    assert!(is_let_in(&feed, clock.now() + Duration::from_secs(55)));
    assert!(!is_let_in(&feed, clock.now() + MINUTE));
    tokio::time::sleep(2 * MINUTE).await;
    let why = "certificate provider default: its certificate has expired";
    assert_eq!(identities.check_ready().unwrap_err().to_string(), why);
    assert_eq!(notes.lines(), ["default: expiring", "default: expired"]);
    feed.publish(valid(200 * MINUTE));
    assert_eq!(identities.check_ready(), Ok(()));
    tokio::time::sleep(120 * MINUTE).await;
    assert_eq!(notes.lines().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_identity_that_is_presented_and_gone_is_no_readiness() {
    let ca = DevCa::new("td").unwrap();
    let feed = Arc::new(Feed::empty("not there yet"));
    let identities = Identities::default();
    identities.insert("default", feed.clone());
    identities.insert("unused", Arc::new(Feed::empty("never there")));
    assert_eq!(identities.check_ready(), Ok(()));
    let rules = ClientRules { authorities: "default".into(), accepted: [].into() };
    let tls = ServerTls {
        identity: "default".into(),
        clients: Clients::Required(rules),
        protocols: Box::default(),
    };
    identities.server(&tls, Vec::new()).unwrap();
    let why = "certificate provider default: not there yet";
    assert_eq!(identities.check_ready().unwrap_err().to_string(), why);
    feed.publish(ca.material(&ca.workload("/w")).unwrap());
    assert_eq!(identities.check_ready(), Ok(()));
    feed.withdraw("revoked");
    let why = "certificate provider default: revoked";
    assert_eq!(identities.check_ready().unwrap_err().to_string(), why);
}
