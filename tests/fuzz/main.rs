//! Every input of the fuzz targets' corpus, once: what a fuzzer has found stays found.
#![expect(clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a library of its own")]
mod bodies;

use std::path::Path;

#[test]
fn every_target_takes_its_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, body) in bodies::BODIES {
        let folder = corpus.join(name);
        let mut inputs = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            body(&std::fs::read(entry.unwrap().path()).unwrap());
            inputs += 1;
        }
        assert_ne!(inputs, 0, "{} is empty", folder.display());
    }
}
