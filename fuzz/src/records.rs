//! Audit logs.

use std::sync::OnceLock;

use aws_lc_rs::{digest, hmac};
use mesh_xds::audit::{Key, verify};

/// The bytes of the key that the input may be signed with.
const OWN: [u8; 32] = [7; 32];

/// The input is a log, and also what becomes one: in each line a `@` stands for the hash before, a
/// `%` for a signature, and the line's own hash is added.
///
/// A log that is whole is whole without its key, too, and not if its last byte is missing. Nobody
/// makes one that a stranger's key has signed.
pub(crate) fn records(input: &[u8]) {
    static KEYS: OnceLock<[Key; 2]> = OnceLock::new();
    let [own, stranger] =
        KEYS.get_or_init(|| [OWN, [9; 32]].map(|it| Key::new(&it).expect("it is long enough")));
    for log in [input.to_vec(), mended(input)] {
        let (plain, signed) = (verify(&log, None), verify(&log, Some(own)));
        assert!(verify(&log, Some(stranger)).is_err(), "a stranger has signed it");
        if let Ok(signed) = signed {
            let plain = plain.as_ref().expect("it is whole by its signatures");
            assert_eq!((plain.records, &plain.head), (signed.records, &signed.head));
            assert!(signed.signatures > 0);
        }
        if let Ok(report) = plain {
            let lines = log.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(report.records, u64::try_from(lines).expect("there are not that many"));
            assert!(verify(&log[..log.len() - 1], None).is_err(), "it lacks its end");
        }
    }
}

fn mended(input: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &OWN);
    let (mut log, mut before) = (Vec::new(), "0".repeat(64));
    for line in input.strip_suffix(b"\n").unwrap_or(input).split(|byte| *byte == b'\n') {
        let mut hashed = Vec::new();
        for byte in line {
            match byte {
                b'@' => hashed.extend_from_slice(before.as_bytes()),
                b'%' => {
                    let mac = hex(hmac::sign(&key, &hashed).as_ref());
                    hashed.extend_from_slice(format!(",\"mac\":\"{mac}\"").as_bytes());
                }
                byte => hashed.push(*byte),
            }
        }
        before = hex(digest::digest(&digest::SHA256, &hashed).as_ref());
        log.extend_from_slice(&hashed);
        log.extend_from_slice(format!(",\"hash\":\"{before}\"}}\n").as_bytes());
    }
    log
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
