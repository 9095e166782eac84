//! The example does what its first lines say.

use std::{fs, io, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStdout, Command},
    time::timeout,
};

/// The next line that is printed, within thirty seconds.
async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> io::Result<String> {
    let line = timeout(Duration::from_secs(30), lines.next_line()).await??;
    line.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

#[tokio::test]
async fn control_plane_serves_and_reloads_a_directory() {
    let folder = tempfile::tempdir().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("resources/greeter.yaml");
    let file = folder.path().join("greeter.yaml");
    let text = fs::read_to_string(sample).unwrap();
    fs::write(&file, &text).unwrap();

    let mut process = Command::new(env!("CARGO_BIN_EXE_control-plane"))
        .args(["--listen", "127.0.0.1:0", "--resources"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert_eq!(
        line(&mut lines).await.unwrap(),
        format!("4 resources from {}", folder.path().display())
    );
    let listening = line(&mut lines).await.unwrap();
    let port = listening.strip_prefix("listening on 127.0.0.1:").unwrap();
    assert_ne!(port.parse::<u16>().unwrap(), 0);

    let replace = |text: &str| {
        fs::write(folder.path().join(".new"), text).unwrap();
        fs::rename(folder.path().join(".new"), &file).unwrap();
    };
    replace(&text.replace("type: EDS", "type: EDX"));
    assert_eq!(
        line(&mut lines).await.unwrap(),
        format!(
            "rejected: {}:26: type: unrecognized value `EDX` (did you mean `EDS`?)",
            file.display()
        )
    );
    replace(&text.replace("50051", "50052"));
    assert_eq!(line(&mut lines).await.unwrap(), "reloaded: 4 resources, revision 2");
}
