//! The files of one workload, laid out as Kubernetes does, and the ways in which they change.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh_xds::identity::{DevCa, Issued};
use tempfile::TempDir;

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A new directory is filled, and the link to it swapped.
    Swap,
    /// Each file is emptied, and filled again.
    Overwrite,
    /// Each file is written beside the old one, and renamed over it.
    Rename,
}

/// Where somebody stops who writes files.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Half {
    CertificateWithoutItsKey,
    KeyWithoutItsCertificate,
    CutCertificate,
    CutKey,
    EmptyCertificate,
    EmptyKey,
    CutAuthority,
    EmptyAuthorities,
    EmptyRevocationList,
}

/// What the files say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) authorities: String,
    pub(crate) revoked: String,
}

/// The directory of a workload.
pub(crate) struct Place {
    directory: TempDir,
    version: u32,
    files: Files,
}

impl Files {
    /// What `issued` says, where all of `trusted` are.
    pub(crate) fn of(issued: &Issued, trusted: &[&DevCa]) -> Self {
        let empty = trusted[0].revocation_list(&[]).unwrap();
        Self { revoked: list(&empty), ..Self::default() }.issued(issued).trusting(trusted)
    }

    pub(crate) fn issued(self, issued: &Issued) -> Self {
        Self { certificate: issued.chain_pem().to_owned(), key: issued.key_pem(), ..self }
    }

    pub(crate) fn trusting(self, trusted: &[&DevCa]) -> Self {
        Self { authorities: trusted.iter().map(|ca| ca.root_pem()).collect(), ..self }
    }

    /// Where `issued` of `ca` are revoked.
    pub(crate) fn revoking(self, ca: &DevCa, issued: &[&Issued]) -> Self {
        Self { revoked: list(&ca.revocation_list(issued).unwrap()), ..self }
    }

    /// What is there when whoever replaces these by `new` stops.
    fn half(&self, new: &Self, half: Half) -> Self {
        let mut files = self.clone();
        let cut = |text: &str| text[..text.len() / 2].to_owned();
        match half {
            Half::CertificateWithoutItsKey => files.certificate.clone_from(&new.certificate),
            Half::KeyWithoutItsCertificate => files.key.clone_from(&new.key),
            Half::CutCertificate => files.certificate = cut(&new.certificate),
            Half::CutKey => files.key = cut(&new.key),
            Half::EmptyCertificate => files.certificate.clear(),
            Half::EmptyKey => files.key.clear(),
            // Cut where it says something: a list cut between two authorities is a whole one.
            Half::CutAuthority => files.authorities.truncate(files.authorities.len() - 40),
            Half::EmptyAuthorities => files.authorities.clear(),
            Half::EmptyRevocationList => files.revoked.clear(),
        }
        files
    }

    fn each(&self) -> [(&'static str, &str); 4] {
        [
            ("cert.pem", &self.certificate),
            ("key.pem", &self.key),
            ("ca.pem", &self.authorities),
            ("crl.pem", &self.revoked),
        ]
    }
}

impl Place {
    pub(crate) fn new(files: &Files) -> Self {
        let mut place =
            Self { directory: tempfile::tempdir().unwrap(), version: 0, files: Files::default() };
        place.write(files, Way::Swap);
        for (name, _) in files.each() {
            symlink(format!("..data/{name}"), place.path(name)).unwrap();
        }
        place
    }

    /// What was written last.
    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes what has changed.
    pub(crate) fn write(&mut self, files: &Files, way: Way) {
        match way {
            Way::Swap => self.swap(files),
            Way::Overwrite => self.replace(files, |path, text| fs::write(path, text).unwrap()),
            Way::Rename => self.replace(files, |path, text| {
                let new = path.with_extension("new");
                fs::write(&new, text).unwrap();
                fs::rename(new, path).unwrap();
            }),
        }
        self.files = files.clone();
    }

    /// Writes half of what has changed.
    pub(crate) fn write_half(&mut self, files: &Files, way: Way, half: Half) {
        self.write(&self.files.half(files, half), way);
    }

    fn replace(&self, files: &Files, write: impl Fn(&Path, &str)) {
        // Behind the link, as `rename` would replace that.
        let data = self.path("..data");
        for ((name, old), (_, new)) in self.files.each().into_iter().zip(files.each()) {
            if old != new {
                write(&data.join(name), new);
            }
        }
    }

    fn swap(&mut self, files: &Files) {
        let name = |version| format!("..{version}");
        self.version += 1;
        let next = self.path(&name(self.version));
        fs::create_dir(&next).unwrap();
        for (name, text) in files.each() {
            fs::write(next.join(name), text).unwrap();
        }
        symlink(name(self.version), self.path("..next")).unwrap();
        fs::rename(self.path("..next"), self.path("..data")).unwrap();
        if self.version > 1 {
            fs::remove_dir_all(self.path(&name(self.version - 1))).unwrap();
        }
    }
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Swap, Self::Overwrite, Self::Rename];
}

impl Half {
    pub(crate) const ALL: [Self; 9] = [
        Self::CertificateWithoutItsKey,
        Self::KeyWithoutItsCertificate,
        Self::CutCertificate,
        Self::CutKey,
        Self::EmptyCertificate,
        Self::EmptyKey,
        Self::CutAuthority,
        Self::EmptyAuthorities,
        Self::EmptyRevocationList,
    ];
}

fn list(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    format!("-----BEGIN X509 CRL-----\n{body}\n-----END X509 CRL-----\n")
}
