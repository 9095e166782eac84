//! Files that change in all the ways they do.

use std::os::unix::fs::symlink;

use mesh_core::identity::{Source, Trust};

use super::kit::{Directory, presents, until, watch, within, write_pair};
use crate::bootstrap::{Files, Identity};
use crate::identity::{DevCa, Issued};

#[tokio::test]
async fn files_are_read_at_once_and_again_when_they_change() {
    let (ca, directory) = (DevCa::new("td").unwrap(), Directory::new());
    let issue = || ca.issue(&ca.workload("/w")).unwrap();
    let (first, second) = (issue(), issue());
    directory.write("ca.pem", ca.root_pem());
    directory.write_pair(&first);
    let (watcher, notes) = watch(directory.files());
    assert!(presents(&watcher.current(), &first));
    assert_eq!(watcher.current().unwrap().trust, Trust::Authorities(vec![ca.root_der().clone()]));
    directory.write_pair(&second);
    until(&watcher, |current| presents(current, &second)).await;
    assert_eq!(notes.until(2).await, ["default: renewed", "default: renewed"]);
}

#[tokio::test]
async fn a_pair_that_does_not_go_together_is_never_used() {
    let (ca, directory) = (DevCa::new("td").unwrap(), Directory::new());
    let issue = || ca.issue(&ca.workload("/w")).unwrap();
    let (first, second) = (issue(), issue());
    directory.write("ca.pem", ca.root_pem());
    directory.write_pair(&first);
    let (watcher, notes) = watch(directory.files());
    // The new certificate with the old key: told as soon as that is no passing state.
    directory.write("cert.pem", second.chain_pem());
    let told = notes.until(2).await;
    let why = "certificate_file, private_key_file: the private key is not that of the certificate";
    assert_eq!(told, ["default: renewed".to_owned(), format!("default: failed: {why}")]);
    assert!(presents(&watcher.current(), &first));
    // Half of a certificate.
    directory.write("cert.pem", &second.chain_pem()[..200]);
    assert!(presents(&watcher.current(), &first));
    directory.write_pair(&second);
    until(&watcher, |current| presents(current, &second)).await;
}

#[tokio::test]
async fn links_are_swapped_as_kubernetes_does() {
    let (ca, directory) = (DevCa::new("td").unwrap(), Directory::new());
    let issue = || ca.issue(&ca.workload("/w")).unwrap();
    let (first, second, third) = (issue(), issue(), issue());
    let fill = |name: &str, issued| {
        std::fs::create_dir(directory.path(name)).unwrap();
        write_pair(&directory.path(name), issued);
        std::fs::write(directory.path(name).join("ca.pem"), ca.root_pem()).unwrap();
    };
    let swap = |to: &str| {
        symlink(to, directory.path("..next")).unwrap();
        std::fs::rename(directory.path("..next"), directory.path("..data")).unwrap();
    };
    fill("..1", &first);
    swap("..1");
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        symlink(format!("..data/{name}"), directory.path(name)).unwrap();
    }
    let (watcher, _) = watch(directory.files());
    assert!(presents(&watcher.current(), &first));
    for (name, before, issued) in [("..2", "..1", &second), ("..3", "..2", &third)] {
        fill(name, issued);
        swap(name);
        std::fs::remove_dir_all(directory.path(before)).unwrap();
        until(&watcher, |current| presents(current, issued)).await;
    }
}

#[tokio::test]
async fn more_watchers_than_the_system_has_share_one_and_all_rotate() {
    // Linux gives out 128 by default.
    const WATCHERS: usize = 300;
    let ca = DevCa::new("td").unwrap();
    let issue = || ca.issue(&ca.workload("/w")).unwrap();
    let (first, second, third) = (issue(), issue(), issue());
    let shared = Directory::new();
    shared.write("ca.pem", ca.root_pem());
    let mut all = Vec::new();
    for _ in 0..WATCHERS {
        let directory = Directory::new();
        directory.write_pair(&first);
        let files = Files { ca_certificate: Some(shared.path("ca.pem")), ..directory.files() };
        let (watcher, _) = watch(files);
        assert!(presents(&watcher.current(), &first));
        all.push((directory, watcher));
    }
    assert!(watchers_of_this_process() <= 2, "tests that begin and end may have one more");
    for (directory, watcher) in &all {
        directory.write_pair(&second);
        until(watcher, |current| presents(current, &second)).await;
    }
    // Those that stay are still told when others have gone.
    let rest = all.split_off(WATCHERS / 2);
    drop(all);
    for (directory, watcher) in &rest {
        directory.write_pair(&third);
        until(watcher, |current| presents(current, &third)).await;
    }
}

#[tokio::test]
async fn a_directory_that_is_replaced_is_watched_by_all() {
    let (ca, directory) = (DevCa::new("td").unwrap(), Directory::new());
    let issue = || ca.issue(&ca.workload("/w")).unwrap();
    let (inner, other) = (directory.path("certs"), directory.path("other"));
    let fill = |path: &std::path::Path, issued: &Issued| {
        std::fs::create_dir(path).unwrap();
        write_pair(path, issued);
        std::fs::write(path.join("ca.pem"), ca.root_pem()).unwrap();
    };
    fill(&inner, &issue());
    let files = || Files {
        identity: Some(Identity {
            certificate: inner.join("cert.pem"),
            private_key: inner.join("key.pem"),
        }),
        ca_certificate: Some(inner.join("ca.pem")),
        ..Files::default()
    };
    let watchers = [watch(files()), watch(files())];
    for _ in 0..3 {
        let (moved, written) = (issue(), issue());
        fill(&other, &moved);
        std::fs::remove_dir_all(&inner).unwrap();
        std::fs::rename(&other, &inner).unwrap();
        for (watcher, _) in &watchers {
            until(watcher, |current| presents(current, &moved)).await;
        }
        write_pair(&inner, &written);
        for (watcher, _) in &watchers {
            until(watcher, |current| presents(current, &written)).await;
        }
    }
}

fn watchers_of_this_process() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy() == "anon_inode:inotify").count()
}

#[tokio::test]
async fn files_that_come_late_are_waited_for() {
    let (ca, directory) = (DevCa::new("td").unwrap(), Directory::new());
    let (watcher, notes) = watch(directory.files());
    let why = watcher.current().unwrap_err().to_string();
    assert!(why.ends_with("cert.pem: No such file or directory (os error 2)"), "{why}");
    assert_eq!(notes.lines(), [format!("default: failed: {why}")]);
    directory.write("ca.pem", ca.root_pem());
    let issued = ca.issue(&ca.workload("/w")).unwrap();
    directory.write_pair(&issued);
    until(&watcher, |current| presents(current, &issued)).await;
}

#[tokio::test]
async fn what_was_in_force_survives_the_files() {
    let (ca, directory) = (DevCa::new("td").unwrap(), Directory::new());
    directory.write("ca.pem", ca.root_pem());
    let issued = ca.issue(&ca.workload("/w")).unwrap();
    directory.write_pair(&issued);
    let (watcher, notes) = watch(directory.files());
    std::fs::remove_file(directory.path("ca.pem")).unwrap();
    let told = notes.until(2).await;
    assert!(told[1].starts_with("default: failed: ") && told[1].contains("ca.pem"), "{told:?}");
    assert!(presents(&watcher.current(), &issued));
}

#[tokio::test]
async fn revocation_lists_are_read_with_the_rest() {
    let (ca, directory) = (DevCa::new("td").unwrap(), Directory::new());
    directory.write("ca.pem", ca.root_pem());
    let issued = ca.issue(&ca.workload("/w")).unwrap();
    directory.write_pair(&issued);
    let nobody = ca.revocation_list(&[]).unwrap();
    directory.write("crl.pem", &pem("X509 CRL", &nobody));
    let files = Files { crl: Some(directory.path("crl.pem")), ..directory.files() };
    let (watcher, notes) = watch(files);
    assert_eq!(watcher.current().unwrap().crls, [nobody]);
    let list = ca.revocation_list(&[&issued]).unwrap();
    directory.write("crl.pem", &pem("X509 CRL", &list));
    until(&watcher, |current| current.as_ref().is_ok_and(|m| m.crls == [list.clone()])).await;
    // A file that somebody has begun to write revokes as before.
    directory.write("crl.pem", "");
    let told = notes.until(3).await;
    assert_eq!(told[2], "default: failed: crl_file: it has no revocation list");
    assert_eq!(watcher.current().unwrap().crls, [list]);
}

#[tokio::test]
async fn the_bundle_map_wins_over_the_authorities() {
    let (ca, directory) = (DevCa::new("td").unwrap(), Directory::new());
    directory.write("ca.pem", ca.root_pem());
    let map = super::bundles::map(&[("td", &super::bundles::bundle(&ca))]);
    directory.write("map.json", &map);
    let map = Some(directory.path("map.json"));
    let files = Files { identity: None, spiffe_trust_bundle_map: map, ..directory.files() };
    let (watcher, notes) = watch(files);
    assert_eq!(watcher.current().unwrap().trust, ca.trust(&[]));
    assert_eq!(notes.lines(), ["default: renewed, without a certificate"]);
}

#[tokio::test]
async fn a_watcher_that_is_dropped_watches_no_more() {
    let (ca, directory) = (DevCa::new("td").unwrap(), Directory::new());
    directory.write("ca.pem", ca.root_pem());
    directory.write_pair(&ca.issue(&ca.workload("/w")).unwrap());
    let (watcher, notes) = watch(directory.files());
    let weak = std::sync::Arc::downgrade(&notes);
    drop((watcher, notes));
    within(async {
        while weak.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}
