//! Chains in files.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;

pub(super) fn key() -> Key {
    Key::new(&[7; 32]).unwrap()
}

fn open(path: &Path, change: impl FnOnce(AuditLogBuilder) -> AuditLogBuilder) -> AuditLog {
    change(AuditLog::file(path).node("n").clock(then)).open().unwrap()
}

/// Writes the records of `count` decisions one by one.
fn write(log: &AuditLog, count: usize) {
    for at in 0..count {
        assert!(tell(log, &deny(), post(&format!("/{at}"))));
        log.flush(Duration::from_secs(60)).unwrap();
    }
}

/// A log of five decisions, with a checkpoint after every second record.
pub(super) fn signed() -> (TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let log = open(&path, |log| log.key(key()).checkpoint_every(2));
    write(&log, 5);
    drop(log);
    let bytes = fs::read(path).unwrap();
    (folder, bytes)
}

fn kinds(bytes: &[u8]) -> Vec<String> {
    let lines = str::from_utf8(bytes).unwrap().lines();
    let kind = |line| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        value["kind"].as_str().unwrap().to_owned()
    };
    lines.map(kind).collect()
}

/// The files of a log in order.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().map(|it| it.unwrap().path()).collect();
    files.sort();
    // The one that is written is the last, though its name is the first.
    files.rotate_left(1);
    files
}

fn verified(files: &[PathBuf], key: Option<Key>) -> Result<Report, Break> {
    let mut verifier = Verifier::new(key);
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy();
        verifier.file(&name, &fs::read(file).unwrap())?;
    }
    Ok(verifier.finish())
}

#[test]
fn a_chain_is_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    write(&open(&path, |log| log), 1);
    let text = fs::read_to_string(path).unwrap();
    let mut prev = "0".repeat(64);
    for (at, line) in text.lines().enumerate() {
        assert!(line.starts_with(&format!(r#"{{"seq":{at},"prev":"{prev}","kind":""#)), "{line}");
        let (hashed, end) = line.split_at(line.len() - 75);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, hashed.as_bytes());
        prev = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(end, format!(r#","hash":"{prev}"}}"#));
    }
    assert_eq!(kinds(text.as_bytes()), ["start", "decision", "end"]);
    let start = format!(
        r#""kind":"start","timestamp":"2023-11-14T22:13:20.000000005Z","format":"mesh-audit/1","node":"n","process":{},"hash""#,
        std::process::id()
    );
    assert!(text.contains(&start), "{text}");
}

#[test]
fn checkpoints_vouch_for_what_is_before() {
    let (_folder, bytes) = signed();
    let (check, decision) = ("checkpoint", "decision");
    assert_eq!(
        kinds(&bytes),
        ["start", decision, decision, check, decision, decision, check, decision, "end"]
    );
    let report = verify(&bytes, Some(&key())).unwrap();
    assert_eq!((report.records, report.decisions, report.signatures), (9, 5, 4));
    assert_eq!((report.unsigned, report.is_ended, report.range), (0, true, Some((0, 8))));
    assert_eq!(verify(&bytes, None).unwrap().unsigned, 9);
    let other = Key::new(&[8; 32]).unwrap();
    let broken = verify(&bytes, Some(&other)).unwrap_err();
    assert_eq!((broken.line, broken.cause), (1, Cause::Signature));
}

#[test]
fn segments_and_processes_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let small = |log: AuditLogBuilder| log.segment_bytes(2000).key(key());
    write(&open(&path, small), 12);
    write(&open(&path, small), 1);
    let files = files(&path);
    assert!(files.len() >= 4, "{files:?}");
    assert!(files.last() == Some(&path));
    let report = verified(&files, Some(key())).unwrap();
    assert_eq!((report.decisions, report.broken_off, report.is_ended), (13, 0, true));
    for file in &files {
        // A record, its checkpoint and the end may go beyond.
        assert!(fs::metadata(file).unwrap().len() < 4000);
        assert_eq!(kinds(&fs::read(file).unwrap())[0], "start");
    }
    let without_one: Vec<_> = files.iter().filter(|it| **it != files[1]).cloned().collect();
    let broken = verified(&without_one, None).unwrap_err();
    assert!(matches!(broken.cause, Cause::Sequence { .. }), "{broken}");
    assert_eq!(broken.line, 1);
    assert!(verified(&files[1..], None).unwrap().range.unwrap().0 > 0);
}

#[test]
fn a_torn_record_is_cut_off_and_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    write(&open(&path, |log| log), 1);
    let whole = fs::read_to_string(&path).unwrap();
    // A process that was killed while it wrote the end.
    let cut = whole.len() - 30;
    fs::write(&path, &whole[..cut]).unwrap();
    write(&open(&path, |log| log), 1);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(kinds(&bytes), ["start", "decision", "start", "gap", "decision", "end"]);
    let report = verify(&bytes, None).unwrap();
    assert_eq!((report.decisions, report.lost, report.broken_off), (2, 1, 1));
}

#[test]
fn a_damaged_log_is_not_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    write(&open(&path, |log| log), 1);
    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{}\n").unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(AuditLog::file(&path).open(), Err(OpenError::Damaged { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
    let broken = verify(&before, None).unwrap_err();
    assert_eq!((broken.line, broken.cause), (4, Cause::Changed));
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write(&path, [b'k'; 32]).unwrap();
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o640);
    assert!(matches!(Key::from_file(&path), Err(KeyError::Open { .. })));
    mode(0o600);
    assert!(Key::from_file(&path).is_ok());
    fs::write(&path, [b'k'; 31]).unwrap();
    assert!(matches!(Key::from_file(&path), Err(KeyError::Length)));
}
