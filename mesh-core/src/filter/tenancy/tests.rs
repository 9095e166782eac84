use http::{HeaderMap, Method, Uri};

use super::*;
use crate::filter::HeaderChanges;
use crate::identity::{Certificate, Session, SpiffeId};
use crate::jwt;
use crate::metadata::{Fields, Value};
use crate::rng::XorShift;

fn peer(id: &str) -> Peer {
    let spiffe_id = Some(SpiffeId::parse(id).unwrap());
    let certificate = Some(Certificate { spiffe_id, ..Certificate::default() });
    Peer { session: Some(Session { certificate, ..Session::default() }), ..Peer::default() }
}

fn identity() -> TenantSource {
    TenantSource::identity("spiffe://td/ns/{tenant}/sa/*").unwrap()
}

fn claim() -> TenantSource {
    TenantSource::claim("org.tenant").unwrap()
}

fn header() -> TenantSource {
    TenantSource::header("x-tenant", ["spiffe://td/ns/edge/*", "spiffe://td/gateway"]).unwrap()
}

/// A request of a peer, what its token claims, and what it says in header fields.
#[derive(Default)]
struct Ask<'a> {
    peer: Option<&'a str>,
    claimed: Option<Value>,
    says: &'a [&'a str],
}

/// The tenant, or why the request is refused; and whether what it says is removed.
fn seen(tenancy: &Tenancy, ask: Ask<'_>) -> (Result<Option<String>, String>, bool) {
    let mut headers = HeaderMap::new();
    for value in ask.says {
        headers.append("x-tenant", value.parse().unwrap());
    }
    let mut metadata = Metadata::default();
    if let Some(value) = ask.claimed {
        let org = Fields::from_iter([("tenant", value)]);
        let payload = Fields::from_iter([("org", Value::Struct(org))]);
        let fields = Fields::from_iter([("payload", Value::Struct(payload))]);
        metadata.add(jwt::NAMESPACE, fields).unwrap();
    }
    let peer = ask.peer.map(peer);
    let (mut rng, mut changes) = (XorShift::new(1), HeaderChanges::default());
    let mut context = Context {
        now: crate::testing::at(0),
        wall: 0,
        peer: peer.as_ref(),
        connection: None,
        route: None,
        cluster: None,
        metadata,
        rng: &mut rng,
        answer: None,
        body: None,
        changes: &mut changes,
    };
    let (method, uri) = (Method::GET, Uri::from_static("/"));
    let head = RequestHead::from_pieces(&method, &uri, &headers, "a");
    let outcome = match tenancy.poll_request(&mut Slot::Empty, &head, &mut context) {
        Step::Continue => Ok(context.tenant().map(ToString::to_string)),
        Step::Respond(response) => {
            assert_eq!((response.status.as_u16(), response.grpc), (403, 7));
            Err(response.why.into_owned())
        }
        step @ (Step::WaitUntil(_) | Step::WaitFor(..) | Step::Ask(_) | Step::Body { .. }) => {
            panic!("{step:?}")
        }
    };
    (outcome, !changes.remove.is_empty())
}

const RED: &str = "spiffe://td/ns/red/sa/web";
const EDGE: &str = "spiffe://td/ns/edge/sa/gateway";

#[test]
fn the_tenant_is_what_all_sources_say() {
    let tenancy = Tenancy::new([identity(), claim(), header()]);
    let red = || Ok(Some("red".to_owned()));
    let differ =
        |one: &str, other: &str| Err(format!("tenant: the request is of {one} and of {other}"));
    let claims = |text: &str| Some(Value::from(text));
    let none = Ask::default;
    for (ask, outcome) in [
        (Ask { peer: Some(RED), ..none() }, red()),
        (Ask { claimed: claims("red"), ..none() }, red()),
        (Ask { peer: Some(RED), claimed: claims("red"), ..none() }, red()),
        (Ask { peer: Some(RED), claimed: claims("blue"), ..none() }, differ("red", "blue")),
        // A gateway speaks for others, and otherwise for itself.
        (Ask { peer: Some(EDGE), says: &["red"], ..none() }, red()),
        (Ask { peer: Some(EDGE), ..none() }, Ok(Some("edge".to_owned()))),
        (Ask { peer: Some(EDGE), says: &["red"], claimed: claims("blue") }, differ("red", "blue")),
        // Nobody else does.
        (Ask { peer: Some(RED), says: &["blue"], ..none() }, red()),
        (Ask { says: &["blue"], ..none() }, Err("tenant: the request is nobody's".to_owned())),
        (none(), Err("tenant: the request is nobody's".to_owned())),
        // Of another trust domain.
        (
            Ask { peer: Some("spiffe://other/ns/red/sa/web"), ..none() },
            Err("tenant: the request is nobody's".to_owned()),
        ),
    ] {
        let told = format!("{:?} {:?} {:?}", ask.peer, ask.claimed, ask.says);
        let trusted = ask.peer == Some(EDGE);
        assert_eq!(seen(&tenancy, ask), (outcome, !trusted), "{told}");
    }
}

#[test]
fn what_is_no_name_refuses() {
    let tenancy = Tenancy::new([identity(), claim(), header()]).optional();
    let why = |ask: Ask<'_>| seen(&tenancy, ask).0.unwrap_err();
    let twice = why(Ask { peer: Some(EDGE), says: &["red", "red"], claimed: None });
    assert_eq!(twice, "tenant: the request x-tenant is not one text");
    why(Ask { peer: Some(EDGE), says: &["red,blue"], claimed: None });
    why(Ask { peer: Some(EDGE), says: &[""], claimed: None });
    why(Ask { claimed: Some(Value::Number(7.0)), ..Ask::default() });
    why(Ask { claimed: Some(Value::List(vec!["red".into()])), ..Ask::default() });
    why(Ask { claimed: Some("a b".into()), ..Ask::default() });
    let long = format!("spiffe://td/ns/{}/sa/web", "a".repeat(129));
    why(Ask { peer: Some(&long), ..Ask::default() });
    // Nobody's passes where it may.
    assert_eq!(seen(&tenancy, Ask::default()).0, Ok(None));
    assert!(seen(&Tenancy::new([]), Ask { peer: Some(RED), ..Ask::default() }).0.is_err());
}

#[test]
fn sources_that_anybody_may_write_are_refused() {
    use TenantSourceError::{Claim, Header, Untrusted};
    let header = |name, trusted: &[&str]| TenantSource::header(name, trusted.iter().copied()).err();
    assert_eq!(header("x-tenant", &[]), Some(Untrusted));
    for trusted in ["*", "spiffe://*", "spiffe:///*", "spiffe://td*", "td/ns/edge", ""] {
        assert_eq!(header("x-tenant", &[trusted]), Some(Untrusted), "{trusted}");
    }
    assert_eq!(header("host", &["spiffe://td/a"]), Some(Header("host".into())));
    assert_eq!(header("x tenant", &["spiffe://td/a"]), Some(Header("x tenant".into())));
    for claim in ["", ".", "a.", "a..b"] {
        assert_eq!(TenantSource::claim(claim).err(), Some(Claim), "{claim}");
    }
    assert!(TenantSource::identity("spiffe://*/{tenant}").is_err());
}

#[test]
fn filters_cannot_say_whose_a_request_is() {
    let mut metadata = Metadata::default();
    let fields = Fields::from_iter([(crate::tenant::NAME, Value::from("red"))]);
    assert!(metadata.add(crate::tenant::NAMESPACE, fields).is_err());
    assert!(metadata.tenant().is_none() && metadata.is_empty());
    metadata.set_tenant(Tenant::new("red").unwrap()).unwrap();
    let found = metadata.find(crate::tenant::NAMESPACE, &[crate::tenant::NAME]);
    assert_eq!(found, Some(&"red".into()));
    // It is said once.
    assert!(metadata.set_tenant(Tenant::new("blue").unwrap()).is_err());
    assert_eq!(metadata.tenant().map(Tenant::as_str), Some("red"));
}
