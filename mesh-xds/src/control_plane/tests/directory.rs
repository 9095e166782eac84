use std::{fs, time::Duration};

use super::kit::{Server, soon};
use crate::{
    control_plane::{ControlPlane, Directory, type_url::CLUSTER},
    file::WatchOptions,
};

fn cluster(name: &str) -> String {
    format!("\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: {name}\n")
}

#[tokio::test]
async fn changes_of_files_reach_clients_and_bad_ones_do_not() {
    let server = Server::start(ControlPlane::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let write = |text: &str| {
        fs::write(folder.path().join(".new"), text).unwrap();
        fs::rename(folder.path().join(".new"), folder.path().join("c.yaml")).unwrap();
    };
    write(&cluster("a"));
    let options = WatchOptions::default().with_debounce(Duration::from_millis(5));
    let group = ControlPlane::DEFAULT_GROUP;
    let mut directory =
        Directory::open(&server.control_plane, group, folder.path(), options).await.unwrap();

    let mut client = server.sotw("one").await;
    client.subscribe(CLUSTER, &[]).await;
    assert_eq!(client.receive().await.unwrap().1, ["\n\u{1}a"]);

    write("name: [");
    let error = soon(directory.reload()).await.unwrap().unwrap_err();
    assert_eq!(error.file(), folder.path().join("c.yaml"));
    let names = |it: &ControlPlane| it.resources(group).names(CLUSTER).collect::<String>();
    assert_eq!(names(&server.control_plane), "a");

    write(&cluster("b"));
    while soon(directory.reload()).await.unwrap().is_err() {}
    assert_eq!(names(&server.control_plane), "b");
    assert_eq!(client.receive().await.unwrap().1, ["\n\u{1}b"]);
}
