//! What a mesh knows, waits for and has refused: for people.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use mesh_core::request::RoutingPriority;
use mesh_core::snapshot::{ClusterSlot, Root, ServerRoot};

use crate::ads;
use crate::graph;

/// What a mesh knows, waits for and has refused. `Display` prints it for people.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Status {
    /// What everything waits for, if there is such a thing: a bootstrap that is not there.
    pub waiting: Option<String>,
    /// Why handshakes fail or are about to, for want of a certificate.
    pub not_ready: Option<String>,
    /// The files that resources come from, if they do.
    pub files: Option<FilesStatus>,
    /// The targets and the resources they lead to.
    pub graph: Option<graph::Status>,
    /// The management servers, by their URI.
    pub servers: Vec<(String, ads::Status)>,
}

/// What is known of the files that resources come from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FilesStatus {
    /// The file or directory.
    pub path: PathBuf,
    /// The number of the set that is in use: 1 for the one that was there at the start. Resources
    /// have it as their version.
    pub set: u64,
    /// When it was read.
    pub since: SystemTime,
    /// Why the files as they are now are not in use, with file, line and field.
    pub error: Option<graph::Failure>,
}

#[cfg(feature = "ads")]
impl Status {
    pub(crate) fn waiting(why: &str) -> Self {
        Self { waiting: Some(why.to_owned()), ..Self::default() }
    }

    pub(crate) fn new(graph: graph::Status, servers: Vec<(String, ads::Status)>) -> Self {
        Self { graph: Some(graph), servers, ..Self::default() }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.waiting {
            writeln!(f, "waiting: {why}")?;
        }
        if let Some(why) = &self.not_ready {
            writeln!(f, "not ready: {why}")?;
        }
        for (uri, server) in &self.servers {
            writeln!(f, "server {uri}: {:?}", server.stream)?;
        }
        if let Some(files) = &self.files {
            let FilesStatus { path, set, since, error } = files;
            write!(f, "files {}: set {set}, {} ago", path.display(), age(*since))?;
            if let Some(error) = error {
                write!(f, "; refused {} ago: {}", age(error.time), error.message)?;
            }
            writeln!(f)?;
        }
        let Some(graph) = &self.graph else { return Ok(()) };
        for root in &graph.roots {
            write!(f, "target {} (listener {}): ", root.target, root.listener)?;
            match &*root.state {
                Root::Ready(snapshot) => {
                    write!(f, "ready, configuration {}", snapshot.stamp().number)?;
                    for slot in snapshot.clusters() {
                        left(slot, f)?;
                    }
                }
                Root::Waiting { why, since, .. } => write!(f, "waiting {} for {why}", age(*since))?,
                Root::Failed { why, since, .. } => write!(f, "failed {} ago: {why}", age(*since))?,
            }
            for name in &root.waiting {
                write!(f, ", next one waits for cluster {name}")?;
            }
            writeln!(f)?;
        }
        for server in &graph.servers {
            write!(f, "server at {} (listener {}): ", server.address, server.listener)?;
            match &*server.state {
                ServerRoot::Serving(snapshot) => {
                    write!(f, "serving, configuration {}", snapshot.stamp.number)?
                }
                ServerRoot::Waiting { why, since } => {
                    write!(f, "waiting {} for {why}", age(*since))?
                }
                ServerRoot::NotServing { why, since } => {
                    write!(f, "not serving since {} ago: {why}", age(*since))?
                }
            }
            for name in &server.waiting {
                write!(f, ", next one waits for routes {name}")?;
            }
            writeln!(f)?;
        }
        for resource in &graph.resources {
            write!(f, "{} {}: {:?}", resource.kind.message_name(), resource.name, resource.state)?;
            if !resource.version.is_empty() {
                write!(f, ", version {}", resource.version)?;
            }
            write!(f, ", {} ago", age(resource.since))?;
            if let Some(error) = &resource.error {
                write!(f, "; refused {} ago: {}", age(error.time), error.message)?;
            }
            for ignored in &resource.ignored {
                write!(f, "; ignores {ignored}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// What is left of the limits of a cluster that wants it told (`track_remaining`).
fn left(slot: &ClusterSlot, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let ClusterSlot::Ready(cluster) = slot else { return Ok(()) };
    for priority in RoutingPriority::ALL {
        let Some(left) = cluster.remaining(priority) else { continue };
        let name = cluster.name();
        let (requests, pending, connections) = (left.requests, left.pending, left.connections);
        write!(
            f,
            ", cluster {name} can take {requests} requests of {priority:?} priority, {pending} \
             that wait and {connections} connections"
        )?;
    }
    Ok(())
}

fn age(since: SystemTime) -> String {
    let elapsed = SystemTime::now().duration_since(since).unwrap_or_default();
    format!("{:.1} s", elapsed.as_secs_f64())
}
