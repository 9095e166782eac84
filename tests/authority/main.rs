//! A development authority as a process, for tests that are not written in Rust.
//!
//! ```text
//! authority FOLDER
//! ```
//!
//! Writes `ca.pem` into the folder. Then each line of stdin, `FILE KIND PATH SECONDS`, makes
//! `FILE.pem` and `FILE.key` there: a certificate for the workload at PATH of the trust domain `td`
//! that is valid for so long, and that has what KIND says wrong with it. A line on stdout says that
//! it is done.

use std::{
    error::Error,
    fs,
    io::{self, BufRead},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::Parser;
use mesh_xds::identity::{DevCa, DevCaError, Issued};

/// Issues certificates into files, good ones and bad ones.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where files are written.
    folder: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { folder } = Arguments::parse();
    let authorities = Authorities { own: DevCa::new("td")?, other: DevCa::new("other")? };
    replace(&folder.join("ca.pem"), authorities.own.root_pem())?;
    println!("ready");
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<_> = line.split_whitespace().collect();
        let [file, kind, path, seconds] = words[..] else {
            return Err(format!("{line:?} is not FILE KIND PATH SECONDS").into());
        };
        let lifetime = Duration::from_secs(seconds.parse()?);
        let Some(issued) = authorities.issue(kind, path, lifetime)? else {
            return Err(format!("nothing is known of certificates that are {kind:?}").into());
        };
        replace(&folder.join(format!("{file}.key")), &issued.key_pem())?;
        replace(&folder.join(format!("{file}.pem")), issued.chain_pem())?;
        println!("issued {file} {}", issued.serial());
    }
    Ok(())
}

/// The one that everybody trusts, and one that nobody does.
struct Authorities {
    own: DevCa,
    other: DevCa,
}

impl Authorities {
    /// A certificate of a kind; none if there is no such kind.
    fn issue(
        &self,
        kind: &str,
        path: &str,
        lifetime: Duration,
    ) -> Result<Option<Issued>, DevCaError> {
        const HOUR: Duration = Duration::from_secs(3600);
        let now = SystemTime::now();
        let good = self.own.workload(path).lifetime(lifetime);
        let request = match kind {
            "good" => good,
            "wrong-name" => self.own.workload("/else"),
            "wrong-trust-domain" => return self.other.issue(&self.other.workload(path)).map(Some),
            "foreign-name" => good.without_uris().uri(&format!("spiffe://other{path}")),
            "expired" => good.valid(now - 2 * HOUR, now - HOUR),
            "not-yet-valid" => good.valid(now + HOUR, now + 2 * HOUR),
            "authority" => good.authority(),
            "two-names" => good.uri("spiffe://td/else"),
            // To a reader that stops at the NUL this is the name that is expected.
            "nul" => good.without_uris().uri(&format!("spiffe://td{path}\0/else")),
            _ => return Ok(None),
        };
        self.own.issue(&request).map(Some)
    }
}

/// Replaces a file as a whole.
fn replace(path: &Path, content: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    fs::write(&new, content)?;
    fs::rename(new, path)
}
