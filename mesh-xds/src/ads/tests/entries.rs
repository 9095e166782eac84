//! What may stand in a response, and what may not.

use super::*;

const OTHER: &str = "xdstp://auth/envoy.config.cluster.v3.Cluster";

/// The one thing that is wrong with the entry `any` of a CDS response, next to a good one.
fn wrong(type_url: &str, value: &[u8]) -> (Option<String>, EntryError) {
    let mut stage = sotw().open();
    stage.subscribe(CDS, ["good", "a"]);
    stage.client(["CDS [a,good] v= n= node"]);
    stage.server(reply(CDS, "1", "n1").with(["good"]).any(type_url, value));
    assert_eq!(stage.session.poll_event(), Some(Event::Reachable));
    let Some(Event::Update(update)) = stage.session.poll_event() else { panic!("no update") };
    assert_eq!(update.resources.len(), 1);
    let [malformed] = &update.malformed[..] else { panic!("{update:?}") };
    assert_eq!(malformed.index, 1);
    let name = malformed.name.as_ref().map(ToString::to_string);
    (name, malformed.error.clone())
}

fn wrapped(resource: &Resource) -> Vec<u8> {
    resource.encode_to_vec()
}

#[test]
fn entries_that_are_no_resource_are_named_as_far_as_possible() {
    use crate::name::NameError;

    let cds = CDS.type_url();
    let named = |resource| Resource { name: "a".to_owned(), resource, ..Resource::default() };
    let a = Some("a".to_owned());
    for (type_url, value, expect) in [
        (LDS.type_url(), vec![], (None, EntryError::WrongType(LDS.type_url().to_owned()))),
        ("", vec![], (None, EntryError::WrongType(String::new()))),
        (cds, vec![0xff], (None, EntryError::Encoding)),
        (cds, vec![], (None, EntryError::Name(NameError::Empty))),
        (cds, body(cds, "good").value, (Some("good".to_owned()), EntryError::Duplicate)),
        (
            cds,
            body(cds, "xdstp://a/b/c").value,
            (None, EntryError::Name(NameError::WrongType { expected: CDS })),
        ),
        (WRAPPER, vec![0xff], (None, EntryError::Encoding)),
        (WRAPPER, wrapped(&named(None)), (a.clone(), EntryError::Empty)),
        (
            WRAPPER,
            wrapped(&named(Some(body(LDS.type_url(), "a")))),
            (a, EntryError::WrongType(LDS.type_url().to_owned())),
        ),
        (WRAPPER, vec![], (None, EntryError::Name(NameError::Empty))),
    ] {
        assert_eq!(wrong(type_url, &value), expect);
    }
}

#[test]
fn wrapper_names_and_times_the_resource() {
    let mut stage = sotw().open();
    stage.subscribe(CDS, ["a", "b"]);
    stage.client(["CDS [a,b] v= n= node"]);
    let outer = Resource {
        name: "a".to_owned(),
        version: "7".to_owned(),
        resource: Some(body(CDS.type_url(), "a")),
        ttl: Some(ProtoDuration { seconds: 1, nanos: 500_000_000 }),
        ..Resource::default()
    };
    let unnamed = Resource { resource: Some(body(CDS.type_url(), "b")), ..Resource::default() };
    stage.server(
        reply(CDS, "1", "n1").any(WRAPPER, &wrapped(&outer)).any(WRAPPER, &wrapped(&unnamed)),
    );
    assert_eq!(stage.session.poll_event(), Some(Event::Reachable));
    let Some(Event::Update(update)) = stage.session.poll_event() else { panic!("no update") };
    assert_eq!(
        update.resources,
        [
            Raw {
                name: name(CDS, "a"),
                version: "7".to_owned(),
                body: body("", "a").value.into(),
                ttl: Some(Duration::from_millis(1_500)),
            },
            Raw {
                name: name(CDS, "b"),
                version: String::new(),
                body: body("", "b").value.into(),
                ttl: None,
            },
        ]
    );
}

#[test]
fn odd_times_to_live_count_as_none() {
    for (seconds, nanos) in [(0, 0), (-1, 0), (1, -1), (1, 1_000_000_000), (i64::MAX, 0)] {
        let mut stage = sotw().open();
        stage.subscribe(CDS, ["a"]);
        stage.client(["CDS [a] v= n= node"]);
        let outer = Resource {
            resource: Some(body(CDS.type_url(), "a")),
            ttl: Some(ProtoDuration { seconds, nanos }),
            ..Resource::default()
        };
        stage.server(reply(CDS, "1", "n1").any(WRAPPER, &wrapped(&outer)));
        stage.hears(["reachable", "CDS 1 [a]"]);
        assert_eq!(stage.wakes_in(), None);
    }
}

#[test]
fn names_are_compared_in_canonical_form() {
    for mut stage in [sotw().open(), delta().open()] {
        stage.subscribe(CDS, [&*format!("{OTHER}/c?b=2&a=1"), &*format!("{OTHER}/c?a=1&b=2")]);
        let request = stage.session.poll_request(stage.now).map(|request| told(&request)).unwrap();
        assert!(request.contains(&format!("[{OTHER}/c?a=1&b=2]")), "{request}");
        stage.server(reply(CDS, "1", "n1").with([&*format!("{OTHER}/c?b=2&a=1")]));
        stage.hears(["reachable", &*format!("CDS 1 [{OTHER}/c?a=1&b=2]")]);
    }
}
