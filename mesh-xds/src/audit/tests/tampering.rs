//! No changed chain verifies.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::chains::{key, signed};
use super::*;

static CHAIN: LazyLock<Vec<u8>> = LazyLock::new(|| signed().1);

fn lines() -> Vec<&'static [u8]> {
    CHAIN.split_inclusive(|byte| *byte == b'\n').collect()
}

#[test]
fn every_changed_byte_is_noticed_in_its_line_or_the_next() {
    let mut line = 1;
    for at in 0..CHAIN.len() {
        for flip in [1, 0x20, 0x80] {
            let mut bytes = CHAIN.clone();
            bytes[at] ^= flip;
            let broken = verify(&bytes, None).unwrap_err();
            assert_eq!(broken.line, line, "byte {at}");
        }
        if CHAIN[at] == b'\n' {
            line += 1;
        }
    }
}

#[test]
fn removed_doubled_and_swapped_lines_are_noticed() {
    let lines = lines();
    for at in 0..lines.len() - 1 {
        let broken = |change: &dyn Fn(&mut Vec<&[u8]>)| {
            let mut changed = lines.clone();
            change(&mut changed);
            verify(&changed.concat(), None).unwrap_err().line
        };
        let here = u64::try_from(at).unwrap() + 1;
        assert_eq!(broken(&|it| it.splice(at..=at, []).for_each(|_| ())), here);
        assert_eq!(broken(&|it| it.insert(at, lines[at])), here + 1);
        assert_eq!(broken(&|it| it.swap(at, at + 1)), here);
    }
}

#[test]
fn a_tail_that_is_cut_off_shows_only_in_the_hash() {
    let whole = verify(&CHAIN, Some(&key())).unwrap();
    let lines = lines();
    let cut = verify(&lines[..lines.len() - 1].concat(), Some(&key())).unwrap();
    assert_ne!(whole.head, cut.head);
    assert_eq!((whole.is_ended, cut.is_ended), (true, false));
}

/// A chain whose records are written anew from the one at `line` on, by somebody without the key.
fn forged(line: usize) -> Vec<u8> {
    let text = str::from_utf8(&CHAIN).unwrap();
    let (mut prev, mut bytes) = (String::new(), String::new());
    for (at, record) in text.lines().enumerate() {
        let hashed = &record[..record.len() - 75];
        let hashed = match at {
            _ if at < line => hashed.to_owned(),
            _ if at == line => hashed.replace("denied", "loved."),
            _ => {
                let from = hashed.find(r#""prev":""#).unwrap() + 8;
                format!("{}{prev}{}", &hashed[..from], &hashed[from + 64..])
            }
        };
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, hashed.as_bytes());
        prev = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        bytes += &format!("{hashed},\"hash\":\"{prev}\"}}\n");
    }
    bytes.into_bytes()
}

#[test]
fn who_rewrites_the_chain_needs_the_key() {
    for (line, caught) in [(1, 4), (2, 4), (4, 7), (7, 9)] {
        let bytes = forged(line);
        assert!(verify(&bytes, None).is_ok());
        let broken = verify(&bytes, Some(&key())).unwrap_err();
        assert_eq!((broken.line, broken.cause), (caught, Cause::Signature));
    }
    let lines = lines();
    let unsigned = &lines[..3].concat();
    assert_eq!(verify(unsigned, Some(&key())).unwrap().unsigned, 2);
}

proptest! {
    #[test]
    fn nothing_but_the_chain_verifies(
        at in any::<prop::sample::Index>(),
        removed in 0_usize..200,
        put_in in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let at = at.index(CHAIN.len() + 1);
        let end = (at + removed).min(CHAIN.len());
        let mut bytes = CHAIN.clone();
        bytes.splice(at..end, put_in);
        // What is left may be its beginning: only a hash that was kept elsewhere shows that.
        let is_beginning = CHAIN.starts_with(&bytes) && bytes.last() == Some(&b'\n');
        prop_assert_eq!(verify(&bytes, None).is_ok(), is_beginning);
    }

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(verify(&bytes, Some(&key())).is_err());
    }
}
