use std::{collections::BTreeSet, sync::Arc};

use envoy_types::pb::{
    envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse},
    google::rpc::Status,
};

use super::{
    super::{Injection, Machine, Sotw, Violation},
    Server, content, eds_cluster, resources, short, type_url, words,
};
use crate::control_plane::{
    client::Answer,
    resources::{ResourceSet, Snapshot},
    type_url::{CLUSTER, ENDPOINTS},
};

impl Server<Sotw> {
    /// The client's request: `names` it wants, the nonce and version it has.
    fn client(&mut self, r#type: &str, names: &str, nonce: &str, version: &str) {
        self.request(r#type, names, nonce, version, None);
    }

    /// An ACK of the last response.
    fn ack(&mut self, r#type: &str, names: &str) {
        let (nonce, version) = self.last(r#type);
        self.client(r#type, names, &nonce, &version);
    }

    /// A NACK of the last response.
    fn nack(&mut self, r#type: &str, names: &str, version: &str) {
        let (nonce, _) = self.last(r#type);
        self.request(r#type, names, &nonce, version, Some("bad"));
    }

    fn request(
        &mut self,
        r#type: &str,
        names: &str,
        nonce: &str,
        version: &str,
        error: Option<&str>,
    ) {
        let request = DiscoveryRequest {
            type_url: type_url(r#type).to_owned(),
            resource_names: words(names),
            response_nonce: nonce.to_owned(),
            version_info: version.to_owned(),
            error_detail: error.map(|it| Status { message: it.to_owned(), ..Status::default() }),
            ..DiscoveryRequest::default()
        };
        self.machine.handle_request(request).unwrap();
    }

    fn last(&self, r#type: &str) -> (String, String) {
        self.last[type_url(r#type)].clone()
    }

    /// All responses, such as `cds: 1 2` for the contents of two clusters.
    fn sends(&mut self) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(response) = self.poll() {
            sent.push(print(&response));
            let last = (response.nonce, response.version_info);
            self.last.insert(response.type_url, last);
        }
        sent
    }
}

fn print(response: &DiscoveryResponse) -> String {
    let contents: Vec<&str> = response.resources.iter().map(|it| content(&it.value)).collect();
    assert!(response.resources.iter().all(|it| it.type_url == response.type_url));
    format!("{}: {}", short(&response.type_url), contents.join(" ")).trim_end().to_owned()
}

const NOTHING: [&str; 0] = [];

#[test]
fn no_names_at_first_mean_everything() {
    let mut server = Server::<Sotw>::new("cds/a=1 cds/b=2 eds/a=3");
    server.client("cds", "", "", "");
    assert_eq!(server.sends(), ["cds: 1 2"]);
    server.ack("cds", "");
    assert_eq!(server.sends(), NOTHING);
    server.set("cds/a=1 cds/c=4");
    assert_eq!(server.sends(), ["cds: 1 4"]);
}

#[test]
fn a_wildcard_in_an_empty_world_is_answered() {
    let mut server = Server::<Sotw>::new("");
    server.client("lds", "", "", "");
    assert_eq!(server.sends(), ["lds:"]);
    assert_eq!(server.last("lds").1, "0", "an empty version would read as none");
    server.ack("lds", "");
    server.set("cds/a=1");
    assert_eq!(server.sends(), NOTHING);
    server.set("lds/a=1");
    assert_eq!(server.sends(), ["lds: 1"]);
}

#[test]
fn no_names_after_names_mean_nothing() {
    // The example of the protocol's description.
    let mut server = Server::<Sotw>::new("cds/A=a cds/B=b");
    server.client("cds", "", "", "");
    assert_eq!(server.sends(), ["cds: a b"]);
    server.ack("cds", "* A");
    assert_eq!(server.sends(), ["cds: a b"], "a newly named resource is sent again");
    server.ack("cds", "A");
    server.set("cds/A=a cds/B=changed");
    assert_eq!(server.sends(), NOTHING);
    server.ack("cds", "");
    server.set("cds/A=changed");
    assert_eq!(server.sends(), NOTHING);
    server.ack("cds", "*");
    assert_eq!(server.sends(), ["cds: changed"]);
}

#[test]
fn full_state_types_are_sent_whole() {
    let mut server = Server::<Sotw>::new("lds/a=1 lds/b=2 lds/c=3");
    server.client("lds", "a b", "", "");
    assert_eq!(server.sends(), ["lds: 1 2"]);
    server.ack("lds", "a b");
    server.set("lds/a=1 lds/b=4 lds/c=3");
    assert_eq!(server.sends(), ["lds: 1 4"]);
    server.ack("lds", "a b");
    server.set("lds/a=1 lds/b=4 lds/c=5");
    assert_eq!(server.sends(), NOTHING, "c is not subscribed to");
    server.set("lds/b=4 lds/c=5");
    assert_eq!(server.sends(), ["lds: 4"]);
    server.ack("lds", "a b");
    server.set("");
    assert_eq!(server.sends(), ["lds:"]);
}

#[test]
fn other_types_are_sent_in_parts() {
    let mut server = Server::<Sotw>::new("eds/a=1 eds/b=2 eds/c=3");
    server.client("eds", "a b", "", "");
    assert_eq!(server.sends(), ["eds: 1 2"]);
    server.ack("eds", "a b");
    server.set("eds/a=1 eds/b=4 eds/c=5");
    assert_eq!(server.sends(), ["eds: 4"]);
    server.ack("eds", "a b c");
    assert_eq!(server.sends(), ["eds: 5"]);
    server.ack("eds", "a b c");
    server.set("eds/b=4 eds/c=5");
    assert_eq!(server.sends(), NOTHING, "what is gone cannot be said");
    server.set("eds/a=1 eds/b=4 eds/c=5");
    assert_eq!(server.sends(), ["eds: 1"], "and is new when it is back");
}

#[test]
fn missing_resources_show_as_absent_and_come_later() {
    let mut server = Server::<Sotw>::new("cds/a=1");
    server.client("cds", "a b", "", "");
    server.client("eds", "a", "", "");
    assert_eq!(server.sends(), ["cds: 1"]);
    server.ack("cds", "a b c");
    assert_eq!(server.sends(), ["cds: 1"], "the new name is answered");
    server.ack("cds", "a b c");
    server.set("cds/a=1 cds/b=2 eds/a=3");
    assert_eq!(server.sends(), ["cds: 1 2", "eds: 3"]);
}

#[test]
fn a_name_that_comes_back_is_sent_again() {
    for r#type in ["cds", "eds"] {
        let mut server = Server::<Sotw>::new(&format!("{type}/a=1 {type}/b=2"));
        server.client(r#type, "a b", "", "");
        assert_eq!(server.sends().len(), 1);
        server.ack(r#type, "a");
        assert_eq!(server.sends(), NOTHING);
        server.ack(r#type, "a b");
        let expected = if r#type == "cds" { "cds: 1 2" } else { "eds: 2" };
        assert_eq!(server.sends(), [expected]);
    }
}

#[test]
fn stale_requests_are_ignored() {
    let mut server = Server::<Sotw>::new("eds/a=1 eds/b=2");
    server.client("eds", "a", "", "");
    assert_eq!(server.sends(), ["eds: 1"]);
    let (nonce, version) = server.last("eds");
    server.set("eds/a=3 eds/b=2");
    assert_eq!(server.sends(), ["eds: 3"]);
    server.client("eds", "a b", &nonce, &version);
    assert_eq!(server.sends(), NOTHING);
    server.ack("eds", "a b");
    assert_eq!(server.sends(), ["eds: 2"]);
}

#[test]
fn a_subscription_may_grow_before_the_first_response() {
    let mut server = Server::<Sotw>::new("eds/a=1 eds/b=2");
    server.client("eds", "a", "", "");
    server.client("eds", "a b", "", "");
    assert_eq!(server.sends(), ["eds: 1 2"]);
    server.client("eds", "b", "", "");
    assert_eq!(server.sends(), NOTHING);
}

#[test]
fn a_nonce_of_another_stream_starts_anew() {
    let mut server = Server::<Sotw>::new("cds/a=1");
    server.client("cds", "a", "77", "old");
    assert_eq!(server.sends(), ["cds: 1"]);
}

#[test]
fn answers_are_kept() {
    let mut server = Server::<Sotw>::new("rds/a=1");
    let status = |server: &Server<Sotw>| server.status("rds");
    server.client("rds", "a", "", "");
    assert!(status(&server).is_due && status(&server).sent.is_none());
    server.sends();
    let (nonce, first) = server.last("rds");
    assert_eq!((status(&server).answer, status(&server).is_in_force()), (None, false));

    server.nack("rds", "a", "");
    let refused = Answer::Nack { version: first.clone(), message: "bad".to_owned() };
    assert_eq!((status(&server).answer, status(&server).acked), (Some(refused.clone()), None));
    // A change of subscription after a refusal looks like an ACK when the version is the same.
    server.client("rds", "a b", &nonce, &first);
    assert_eq!(status(&server).answer, Some(refused));
    assert_eq!(server.sends(), NOTHING, "what was refused is not sent again");

    server.set("rds/a=2");
    server.sends();
    let (_, second) = server.last("rds");
    // With the version of before it is no ACK yet.
    let (nonce, _) = server.last("rds");
    server.client("rds", "a", &nonce, &first);
    assert_eq!(status(&server).answer, None);
    server.ack("rds", "a");
    assert_eq!((status(&server).answer, status(&server).acked), (Some(Answer::Ack), Some(second)));
    assert!(status(&server).is_in_force());
}

#[test]
fn changes_come_in_the_order_that_makes_before_it_breaks() {
    let mut server = Server::<Sotw>::new("cds/a=1 eds/a=1 lds/a=1 rds/a=1 other/a=1");
    for r#type in ["other", "rds", "lds", "eds", "cds"] {
        server.client(r#type, "a", "", "");
    }
    let order = |text: Vec<String>| text.join(", ");
    assert_eq!(order(server.sends()), "cds: 1, eds: 1, other: 1");
    server.ack("cds", "a");
    assert_eq!(order(server.sends()), "lds: 1, rds: 1");
    server.set("cds/a=2 eds/a=2 lds/a=2 rds/a=2 other/a=2");
    assert_eq!(order(server.sends()), "cds: 2, eds: 2, other: 2");
    server.nack("cds", "a", "1");
    assert_eq!(order(server.sends()), "lds: 2, rds: 2", "refused clusters hold up nothing");
}

#[test]
fn clusters_go_after_the_routes_that_lead_to_them() {
    let mut server = Server::<Sotw>::new("cds/old=1 rds/r=to-old");
    server.client("cds", "", "", "");
    server.client("rds", "r", "", "");
    assert_eq!(server.sends(), ["cds: 1"]);
    server.ack("cds", "");
    assert_eq!(server.sends(), ["rds: to-old"]);
    server.ack("rds", "r");
    server.set("cds/new=2 rds/r=to-new");
    assert_eq!(server.sends(), ["cds: 2 1"]);
    server.ack("cds", "");
    assert_eq!(server.sends(), ["rds: to-new"]);
    server.ack("rds", "r");
    assert_eq!(server.sends(), ["cds: 2"]);
    server.ack("cds", "");
    server.set("rds/r=nowhere");
    assert_eq!(server.sends(), ["rds: nowhere"]);
    server.ack("rds", "r");
    assert_eq!(server.sends(), ["cds:"]);
    server.ack("cds", "");
    server.set("cds/x=1 rds/r=nowhere");
    server.sends();
    server.set("cds/y=2 rds/r=nowhere");
    assert_eq!(server.sends(), ["cds: 2"], "no traffic is led elsewhere");
}

#[test]
fn endpoints_follow_a_changed_cluster() {
    let snapshot = |content: &str| {
        let mut set = ResourceSet::new();
        set.insert(CLUSTER, "a", eds_cluster("a", content));
        set.insert(ENDPOINTS, "a", b"e".to_vec());
        set.insert(ENDPOINTS, "b", b"f".to_vec());
        Arc::new(Snapshot::new(set))
    };
    let mut server = Server::<Sotw>::with(snapshot("1"));
    server.client("cds", "", "", "");
    server.poll().unwrap();
    server.client("eds", "a b", "", "");
    assert_eq!(server.sends(), ["eds: e f"]);
    server.machine.handle_resources(snapshot("2"));
    let types: Vec<_> = std::iter::from_fn(|| server.poll()).map(|it| it.type_url).collect();
    assert_eq!(types, [CLUSTER, ENDPOINTS]);
    server.machine.handle_resources(snapshot("2"));
    assert_eq!(server.sends(), NOTHING);
}

#[test]
fn held_types_wait() {
    let mut server = Server::<Sotw>::new("cds/a=1 eds/a=2");
    server.client("cds", "a", "", "");
    server.client("eds", "a", "", "");
    let held = BTreeSet::from([CLUSTER.to_owned()]);
    assert_eq!(server.machine.poll_response(&held).map(|it| print(&it)), Some("eds: 2".to_owned()));
    assert_eq!(server.machine.poll_response(&held), None);
    assert_eq!(server.sends(), ["cds: 1"]);
}

#[test]
fn made_up_responses_can_be_refused() {
    let mut server = Server::<Sotw>::new("cds/a=1");
    server.client("cds", "a", "", "");
    server.sends();
    server.ack("cds", "a");
    let injection = Injection {
        streams: 1,
        number: 1,
        type_url: CLUSTER.to_owned(),
        version: "junk".to_owned(),
        resources: Vec::new(),
    };
    let response = server.machine.inject(&injection);
    assert_eq!((response.version_info.as_str(), response.nonce.as_str()), ("junk", "2"));
    server.request("cds", "a", "2", "1", Some("bad"));
    assert_eq!(
        server.status("cds").answer,
        Some(Answer::Nack { version: "junk".to_owned(), message: "bad".to_owned() })
    );
    assert_eq!(server.sends(), NOTHING);
}

#[test]
fn violations_end_the_stream() {
    let mut machine = Sotw::new(resources(""));
    assert_eq!(machine.handle_request(DiscoveryRequest::default()), Err(Violation::NoType));
    let request = |number: usize| DiscoveryRequest {
        type_url: format!("t/{number}"),
        ..DiscoveryRequest::default()
    };
    assert!((0..64).all(|number| machine.handle_request(request(number)).is_ok()));
    assert_eq!(machine.handle_request(request(64)), Err(Violation::TooManyTypes));
    assert_eq!(machine.handle_request(request(1)), Ok(()));
}
