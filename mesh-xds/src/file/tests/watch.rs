use std::{fs, path::Path, time::Duration};

use tokio::time::timeout;

use crate::file::{FileError, FileResource, WatchOptions, Watcher};

const OPTIONS: WatchOptions = WatchOptions { debounce: Duration::from_millis(5) };

fn cluster(name: &str) -> String {
    format!("\"@type\": type.googleapis.com/envoy.config.cluster.v3.Cluster\nname: {name}\n")
}

fn names(resources: &[FileResource]) -> Vec<&str> {
    resources.iter().map(|resource| resource.name.as_str()).collect()
}

/// The next update, which must come within ten seconds.
async fn next(watcher: &mut Watcher) -> Result<Vec<FileResource>, FileError> {
    timeout(Duration::from_secs(10), watcher.next()).await.unwrap().unwrap()
}

/// Updates until one that is `expected`: a change in several steps may be seen in several steps.
async fn expect(watcher: &mut Watcher, expected: &[&str]) {
    loop {
        if next(watcher).await.is_ok_and(|resources| names(&resources) == expected) {
            return;
        }
    }
}

fn replace(path: &Path, text: &str) {
    let new = path.with_file_name(".new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

#[tokio::test]
async fn a_directory_is_read_again_when_it_changes() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.yaml"), cluster("a")).unwrap();
    let (first, mut watcher) = Watcher::start(directory.path(), OPTIONS).await.unwrap();
    assert_eq!(names(&first), ["a"]);

    fs::write(directory.path().join("b.yaml"), cluster("b")).unwrap();
    expect(&mut watcher, &["a", "b"]).await;
    replace(&directory.path().join("a.yaml"), &cluster("c"));
    expect(&mut watcher, &["c", "b"]).await;
    fs::remove_file(directory.path().join("b.yaml")).unwrap();
    expect(&mut watcher, &["c"]).await;
}

#[tokio::test]
async fn a_file_is_read_again_after_a_rename_over_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.yaml");
    fs::write(&file, cluster("a")).unwrap();
    let (_, mut watcher) = Watcher::start(&file, OPTIONS).await.unwrap();
    for name in ["b", "c", "d"] {
        replace(&file, &cluster(name));
        expect(&mut watcher, &[name]).await;
    }
}

#[tokio::test]
async fn a_bad_set_is_reported_and_a_good_one_follows() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.yaml");
    fs::write(&file, cluster("a")).unwrap();
    let (_, mut watcher) = Watcher::start(directory.path(), OPTIONS).await.unwrap();

    replace(&file, &(cluster("a") + "typ: EDS\n"));
    let error = next(&mut watcher).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{}:3: unrecognized field `typ` (did you mean `type`?)", file.display())
    );
    replace(&file, &cluster("a"));
    expect(&mut watcher, &["a"]).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_swapped_link_is_followed() {
    use std::os::unix::fs::symlink;

    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let swap = |version: &str, name: &str| {
        fs::create_dir(path(version)).unwrap();
        fs::write(path(version).join("a.yaml"), cluster(name)).unwrap();
        symlink(version, path("..data_tmp")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();
    };
    swap("..1", "first");
    symlink("..data/a.yaml", path("a.yaml")).unwrap();
    let (first, mut watcher) = Watcher::start(directory.path(), OPTIONS).await.unwrap();
    assert_eq!(names(&first), ["first"]);
    let (_, mut file) = Watcher::start(&path("a.yaml"), OPTIONS).await.unwrap();

    swap("..2", "second");
    fs::remove_dir_all(path("..1")).unwrap();
    expect(&mut watcher, &["second"]).await;
    expect(&mut file, &["second"]).await;
    swap("..3", "third");
    expect(&mut watcher, &["third"]).await;
    expect(&mut file, &["third"]).await;
}

#[tokio::test]
async fn a_directory_that_is_made_again_is_watched_again() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("resources");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("a.yaml"), cluster("a")).unwrap();
    let (_, mut watcher) = Watcher::start(&directory, OPTIONS).await.unwrap();

    fs::remove_dir_all(&directory).unwrap();
    let mut says = async |why: &str| {
        while !next(&mut watcher).await.is_err_and(|error| error.to_string().contains(why)) {}
    };
    says("No such file").await;
    fs::create_dir(&directory).unwrap();
    says("the directory holds no .yaml").await;
    fs::write(directory.join("a.yaml"), cluster("b")).unwrap();
    expect(&mut watcher, &["b"]).await;
}
