use std::{error::Error, fs, path::Path};

use super::*;

const SMALL: Sizes = Sizes { by_chance: 5_000, exact: 200 };

/// Runs with the resources that come with the program, one text of one file replaced.
async fn run_with(file: &str, from: &str, to: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    let folder = tempfile::tempdir().unwrap();
    let resources = Path::new(env!("CARGO_MANIFEST_DIR")).join("resources/quickstart");
    for entry in fs::read_dir(resources).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let path = folder.path().join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replace(from, to)).unwrap();
    let arguments = Arguments { resources: Some(folder.path().to_owned()), serve: false };
    run(&arguments, SMALL).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_as_promised() {
    let arguments = Arguments { resources: None, serve: false };
    run(&arguments, Sizes { by_chance: SIZES.by_chance, ..SMALL }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_weight_is_noticed() {
    let wrong = run_with("routes-canary.yaml", "weight: 10", "weight: 30").await;
    let error = wrong.unwrap_err().to_string();
    assert!(error.starts_with("canary, 10 % to v2: v1-a answered 3"), "{error}");
    assert!(error.ends_with("% of 5000 calls instead of 45 ± 1.5 %"), "{error}");
}
