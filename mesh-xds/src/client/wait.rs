//! A bootstrap that comes later.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::handle::Command;
use super::names::{Names, Wanted};
use crate::bootstrap::Bootstrap;
use crate::status::Status;

/// How often a file that is waited for is looked for.
const LOOK: Duration = Duration::from_millis(250);

/// The bootstrap in the file at `path`, once it is there and good. Targets are told what is wrong.
pub(super) async fn wait_for(
    path: &Path,
    names: &mut Names,
    commands: &mut mpsc::UnboundedReceiver<Command>,
) -> Option<Box<Bootstrap>> {
    let mut said: Option<String> = None;
    loop {
        let why: Arc<str> = match Bootstrap::from_file(path) {
            Ok(bootstrap) => return Some(Box::new(bootstrap)),
            Err(error) => format!("the bootstrap is not there yet: {error}").into(),
        };
        if said.as_deref() != Some(&*why) {
            tracing::warn!(%why, "waiting for the bootstrap");
            said = Some(why.to_string());
        }
        names.wait(&why);
        let look = tokio::time::sleep(LOOK);
        tokio::pin!(look);
        loop {
            tokio::select! {
                command = commands.recv() => match command? {
                    Command::Add { key, target, cell } => {
                        names.add(key, Wanted::Target(target, cell));
                        names.wait(&why);
                    }
                    Command::Serve { key, address, cell } => {
                        names.add(key, Wanted::Server(address, cell));
                        names.wait(&why);
                    }
                    Command::Remove { key } => drop(names.remove(key)),
                    // Demands are made by requests, and those wait for configuration first.
                    Command::Demand { .. } => {}
                    Command::Status(answer) => drop(answer.send(Status::waiting(&why))),
                },
                () = &mut look => break,
            }
        }
    }
}
