use std::sync::Arc;

use envoy_types::pb::{
    envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse},
    google::rpc::Status,
};

use super::{
    super::{Delta, Machine, Violation},
    Server, content, eds_cluster, resources, short, type_url, words,
};
use crate::control_plane::{
    client::Answer,
    resources::{ResourceSet, Snapshot},
    type_url::{CLUSTER, ENDPOINTS},
};

impl Server<Delta> {
    /// The client's request: `a -b` subscribes to a and unsubscribes from b.
    fn client(&mut self, r#type: &str, names: &str) {
        self.request(r#type, names, DeltaDiscoveryRequest::default());
    }

    /// The client has these versions, such as `a=1`, from an earlier stream.
    fn resumes(&mut self, r#type: &str, names: &str, versions: &[(&str, &str)]) {
        let versions = versions.iter().map(|(name, it)| ((*name).to_owned(), (*it).to_owned()));
        let request = DeltaDiscoveryRequest {
            initial_resource_versions: versions.collect(),
            ..DeltaDiscoveryRequest::default()
        };
        self.request(r#type, names, request);
    }

    fn answers(&mut self, r#type: &str, nonce: &str, error: Option<&str>) {
        let request = DeltaDiscoveryRequest {
            response_nonce: nonce.to_owned(),
            error_detail: error.map(|it| Status { message: it.to_owned(), ..Status::default() }),
            ..DeltaDiscoveryRequest::default()
        };
        self.request(r#type, "", request);
    }

    fn request(&mut self, r#type: &str, names: &str, rest: DeltaDiscoveryRequest) {
        let (without, with): (Vec<String>, Vec<String>) =
            words(names).into_iter().partition(|name| name.starts_with('-'));
        let request = DeltaDiscoveryRequest {
            type_url: type_url(r#type).to_owned(),
            resource_names_subscribe: with,
            resource_names_unsubscribe: without.iter().map(|it| it[1..].to_owned()).collect(),
            ..rest
        };
        self.machine.handle_request(request).unwrap();
    }

    /// All responses, such as `cds: a=1 -b`: a resource and a name that is gone.
    fn sends(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.poll()).map(|it| print(&it)).collect()
    }
}

fn print(response: &DeltaDiscoveryResponse) -> String {
    let added = response.resources.iter().map(|resource| {
        let any = resource.resource.as_ref().unwrap();
        assert_eq!(any.type_url, response.type_url);
        assert!(!resource.version.is_empty());
        format!("{}={}", resource.name, content(&any.value))
    });
    let removed = response.removed_resources.iter().map(|name| format!("-{name}"));
    let all: Vec<String> = added.chain(removed).collect();
    format!("{}: {}", short(&response.type_url), all.join(" ")).trim_end().to_owned()
}

const NOTHING: [&str; 0] = [];

#[test]
fn only_changes_are_sent() {
    let mut server = Server::<Delta>::new("cds/a=1 cds/b=2");
    server.client("cds", "*");
    assert_eq!(server.sends(), ["cds: a=1 b=2"]);
    server.set("cds/a=1 cds/b=3 cds/c=4");
    assert_eq!(server.sends(), ["cds: b=3 c=4"]);
    server.set("cds/b=3");
    assert_eq!(server.sends(), ["cds: -a -c"]);
    server.set("cds/b=3");
    assert_eq!(server.sends(), NOTHING);
}

#[test]
fn an_empty_first_request_is_a_wildcard() {
    // The example of the protocol's description.
    let mut server = Server::<Delta>::new("cds/A=a cds/B=b");
    server.client("cds", "");
    assert_eq!(server.sends(), ["cds: A=a B=b"]);
    server.client("cds", "A");
    assert_eq!(server.sends(), ["cds: A=a"]);
    server.client("cds", "-*");
    assert_eq!(server.sends(), NOTHING);
    server.set("cds/A=a cds/B=changed");
    assert_eq!(server.sends(), NOTHING);
    server.client("cds", "-A");
    server.set("cds/A=changed");
    assert_eq!(server.sends(), NOTHING);
    server.client("cds", "");
    assert_eq!(server.sends(), NOTHING);
}

#[test]
fn a_wildcard_in_an_empty_world_is_answered() {
    let mut server = Server::<Delta>::new("");
    server.client("cds", "");
    server.client("lds", "*");
    assert_eq!(server.sends(), ["cds:"]);
    server.answers("cds", "1", None);
    assert_eq!(server.sends(), ["lds:"]);
    assert_eq!(server.sends(), NOTHING);
}

#[test]
fn names_that_do_not_exist_are_told() {
    let mut server = Server::<Delta>::new("eds/a=1");
    server.client("eds", "a b");
    assert_eq!(server.sends(), ["eds: a=1 -b"]);
    server.set("eds/a=1 eds/b=2");
    assert_eq!(server.sends(), ["eds: b=2"]);
    server.set("eds/a=1");
    assert_eq!(server.sends(), ["eds: -b"]);
    server.client("eds", "b");
    assert_eq!(server.sends(), ["eds: -b"], "asked again, told again");
}

#[test]
fn a_name_subscribed_to_again_is_sent_again() {
    let mut server = Server::<Delta>::new("eds/a=1 eds/b=2");
    server.client("eds", "a b");
    assert_eq!(server.sends(), ["eds: a=1 b=2"]);
    server.client("eds", "a");
    assert_eq!(server.sends(), ["eds: a=1"]);
    server.client("eds", "-a -phantom");
    server.set("eds/a=3 eds/b=2");
    assert_eq!(server.sends(), NOTHING);
    server.client("eds", "a");
    assert_eq!(server.sends(), ["eds: a=3"]);
}

#[test]
fn a_name_dropped_under_a_wildcard_is_settled() {
    let mut server = Server::<Delta>::new("cds/a=1");
    server.client("cds", "* a b");
    assert_eq!(server.sends(), ["cds: a=1 -b"]);
    server.client("cds", "-a -b");
    assert_eq!(server.sends(), ["cds: a=1 -b"]);
    server.client("cds", "-a");
    assert_eq!(server.sends(), NOTHING, "it was not subscribed to");
}

#[test]
fn what_a_client_has_from_before_is_not_sent() {
    let before = resources("cds/a=1 cds/b=2 cds/c=3");
    let version = |name: &str| before.resources(CLUSTER)[name].version().to_owned();
    let versions =
        [("a", version("a")), ("b", version("b")), ("gone", version("c")), ("other", version("c"))];
    let versions: Vec<(&str, &str)> =
        versions.iter().map(|(name, version)| (*name, version.as_str())).collect();

    let mut server = Server::<Delta>::new("cds/a=1 cds/b=4 cds/c=3");
    server.resumes("cds", "a b c gone", &versions);
    assert_eq!(server.sends(), ["cds: b=4 c=3 -gone"]);

    let mut server = Server::<Delta>::new("cds/a=1 cds/b=4 cds/c=3");
    server.resumes("cds", "", &versions);
    assert_eq!(server.sends(), ["cds: b=4 c=3 -gone -other"]);

    let mut server = Server::<Delta>::new("cds/a=1 cds/b=2 cds/c=3");
    server.client("cds", "a");
    server.resumes("cds", "b", &versions);
    assert_eq!(server.sends(), ["cds: a=1 b=2"], "only the first request resumes");
}

#[test]
fn stale_nonces_do_not_make_subscriptions_stale() {
    let mut server = Server::<Delta>::new("eds/a=1 eds/b=2");
    server.client("eds", "a");
    assert_eq!(server.sends(), ["eds: a=1"]);
    server.set("eds/a=3 eds/b=2");
    assert_eq!(server.sends(), ["eds: a=3"]);
    let request = DeltaDiscoveryRequest {
        response_nonce: "1".to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    server.request("eds", "b", request);
    assert_eq!(server.sends(), ["eds: b=2"]);
}

#[test]
fn answers_are_kept() {
    let mut server = Server::<Delta>::new("rds/a=1");
    let status = |server: &Server<Delta>| server.status("rds");
    server.client("rds", "a");
    assert!(status(&server).is_due);
    server.sends();
    server.set("rds/a=2");
    server.sends();
    server.answers("rds", "1", None);
    assert!(!status(&server).is_in_force(), "the second response is not answered");
    server.answers("rds", "2", Some("bad"));
    assert!(
        matches!(status(&server).answer, Some(Answer::Nack { message, .. }) if message == "bad")
    );
    assert!(!status(&server).is_in_force());
    server.answers("rds", "nonsense", None);

    server.set("rds/a=3");
    server.sends();
    server.answers("rds", "3", None);
    assert!(status(&server).is_in_force());
    assert_eq!(status(&server).acked, status(&server).sent);
}

#[test]
fn a_refusal_stands_beside_a_later_acceptance() {
    let mut server = Server::<Delta>::new("rds/a=1");
    server.client("rds", "a");
    server.sends();
    server.set("rds/a=2");
    server.sends();
    server.answers("rds", "1", Some("bad"));
    server.answers("rds", "2", None);
    assert!(matches!(server.status("rds").answer, Some(Answer::Nack { .. })));
}

#[test]
fn what_clients_never_answer_is_bounded() {
    let mut server = Server::<Delta>::new("");
    server.client("rds", "a");
    for content in 0..1_000 {
        server.set(&format!("rds/a={content}"));
        server.sends();
    }
    server.answers("rds", "744", None);
    assert_eq!(server.status("rds").acked, None, "forgotten");
    server.answers("rds", "745", None);
    assert!(server.status("rds").acked.is_some());
}

#[test]
fn removals_of_clusters_follow_the_routes() {
    let mut server = Server::<Delta>::new("cds/old=1 eds/old=1 lds/l=1 rds/r=to-old");
    for r#type in ["cds", "lds"] {
        server.client(r#type, "*");
    }
    server.client("eds", "old");
    server.client("rds", "r");
    assert_eq!(server.sends(), ["cds: old=1", "eds: old=1"]);
    server.answers("cds", "1", None);
    assert_eq!(server.sends(), ["lds: l=1", "rds: r=to-old"]);
    server.answers("lds", "3", None);
    server.answers("rds", "4", None);
    server.set("cds/new=2 rds/r=to-new");
    assert_eq!(server.sends(), ["cds: new=2"]);
    server.answers("cds", "5", None);
    assert_eq!(server.sends(), ["lds: -l", "rds: r=to-new"]);
    server.answers("lds", "6", None);
    assert_eq!(server.sends(), NOTHING, "the old routes may still be in use");
    server.answers("rds", "7", None);
    assert_eq!(server.sends(), ["cds: -old", "eds: -old"]);
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
    let mut server = Server::<Delta>::with(snapshot("1"));
    server.client("cds", "*");
    server.poll().unwrap();
    server.client("eds", "a b c");
    assert_eq!(server.sends(), ["eds: a=e b=f -c"]);
    server.machine.handle_resources(snapshot("2"));
    assert_eq!(server.poll().unwrap().type_url, CLUSTER);
    assert_eq!(server.sends(), ["eds: a=e"]);
}

#[test]
fn requests_without_a_type_are_refused() {
    let mut machine = Delta::new(resources(""));
    assert_eq!(machine.handle_request(DeltaDiscoveryRequest::default()), Err(Violation::NoType));
}
