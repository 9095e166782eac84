//! Targets whose resources are in files: in both forms, and when they change.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod documents;
mod reload;
mod targets;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mesh_tests::{EchoClient, Message};
use mesh_tonic::{Channel, Mesh};
use tempfile::TempDir;
use tonic::Status;

const SAY: &str = "/test.Echo/Say";

/// A directory with files, and the mesh that they describe.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            this.write(name, text);
        }
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts a file in place at once, as careful writers do.
    fn write(&self, name: &str, text: &str) {
        let new = self.path(".new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    fn mesh(&self) -> Mesh {
        Mesh::from_file(self.0.path()).unwrap()
    }
}

fn client(mesh: &Mesh, target: &str) -> EchoClient<Channel> {
    EchoClient::new(Channel::new(mesh, target).unwrap())
}

async fn call(client: &mut EchoClient<Channel>) -> Result<String, Status> {
    let answer = client.call(SAY, Message::default()).await;
    answer.map(|answer| answer.into_inner().text)
}

/// How often each backend answered `calls` calls.
async fn count(client: &mut EchoClient<Channel>, calls: u32) -> BTreeMap<String, u32> {
    let mut seen = BTreeMap::new();
    for _ in 0..calls {
        let answer = call(client).await;
        let text = answer.unwrap_or_else(|s| format!("{:?}: {}", s.code(), s.message()));
        *seen.entry(text).or_default() += 1;
    }
    seen
}

fn counts(expect: &[(&str, u32)]) -> BTreeMap<String, u32> {
    expect.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

/// The status, once `is_it` says so.
async fn status(mesh: &Mesh, is_it: impl Fn(&str) -> bool) -> String {
    let look = async {
        loop {
            let status = mesh.status().await.to_string();
            if is_it(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), look).await.unwrap()
}
