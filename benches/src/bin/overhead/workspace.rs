//! The cargo workspaces that clients are built in.

use std::path::{Path, PathBuf};
use std::process::Command;

use mesh_benches::shared::Error;

/// The profile of every binary under measurement: `release`, with the line tables that make a
/// callgrind file readable. Each workspace states it alike.
const PROFILE: &str = "bench";

/// The peers, whose dependencies stay out of the main workspace.
pub(crate) static PEERS: Workspace = Workspace {
    manifest: "benches/peers/Cargo.toml",
    package: "mesh-bench-peers",
    target: "peers",
};

/// The main workspace: the mesh itself.
pub(crate) static MESH: Workspace =
    Workspace { manifest: "Cargo.toml", package: "mesh-benches", target: "" };

/// All there are.
pub(crate) static WORKSPACES: [&Workspace; 2] = [&PEERS, &MESH];

#[derive(Debug)]
pub(crate) struct Workspace {
    /// Relative to the repository.
    manifest: &'static str,
    package: &'static str,
    /// Relative to the target directory; empty for the main workspace.
    target: &'static str,
}

impl Workspace {
    pub(crate) fn build(&self, target: &Path) -> Result<(), Error> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let status = Command::new("cargo")
            .current_dir(repository)
            .args(["build", "--locked", "--bins", "--profile", PROFILE])
            .args(["--manifest-path", self.manifest, "--package", self.package])
            .arg("--target-dir")
            .arg(target.join(self.target))
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("{} does not build", self.package).into())
        }
    }

    pub(crate) fn binary(&self, target: &Path, name: &str) -> PathBuf {
        target.join(self.target).join("release").join(name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    /// What both sides of a ratio stand on.
    const SHARED: [&str; 12] = [
        "bytes",
        "h2",
        "http",
        "http-body",
        "http-body-util",
        "hyper",
        "hyper-util",
        "prost",
        "tokio",
        "tokio-stream",
        "tonic",
        "tonic-prost",
    ];

    fn locked(lock: &str) -> BTreeMap<&str, &str> {
        lock.split("[[package]]")
            .filter_map(|package| {
                let field = |key| {
                    let line = package.lines().find_map(|line| line.strip_prefix(key))?;
                    Some(line.trim_matches(['=', ' ', '"']))
                };
                Some((field("name")?, field("version")?))
            })
            .filter(|(name, _)| SHARED.contains(name))
            .collect()
    }

    #[test]
    fn both_workspaces_stand_on_the_same_versions() {
        let ours = locked(include_str!("../../../../Cargo.lock"));
        let mut peers = locked(include_str!("../../../peers/Cargo.lock"));
        peers.retain(|name, _| ours.contains_key(name));
        let shared: BTreeMap<_, _> =
            ours.into_iter().filter(|(name, _)| peers.contains_key(name)).collect();
        assert_eq!(
            shared, peers,
            "bring benches/peers/Cargo.lock up to date: cargo update --precise"
        );
    }
}
