//! What a failure of the mesh is to a gRPC caller: the one table.

use mesh_hyper::{Error, Kind};
use tonic::{Code, Status};

/// The status for `error` (gRFC A28, A31, A32; "HTTP/2 error code mapping" of gRPC over HTTP/2).
pub(crate) fn status(error: Error) -> Status {
    let code = match error.kind() {
        Kind::NoConfig
        | Kind::Outside
        | Kind::NoRoute
        | Kind::NoCluster
        | Kind::NoEndpoint
        | Kind::Dropped
        | Kind::Overloaded => Code::Unavailable,
        Kind::Deadline => Code::DeadlineExceeded,
        Kind::Cancelled => Code::Cancelled,
        Kind::Body => Code::Cancelled,
        Kind::Request => Code::Internal,
        Kind::Transport => error.http2_code().map_or(Code::Unavailable, transport),
        _ => Code::Unknown,
    };
    let mut status = Status::new(code, error.to_string());
    status.set_source(std::sync::Arc::new(error));
    status
}

fn transport(code: u32) -> Code {
    match code {
        // CANCEL
        0x8 => Code::Cancelled,
        // ENHANCE_YOUR_CALM
        0xb => Code::ResourceExhausted,
        // INADEQUATE_SECURITY
        0xc => Code::PermissionDenied,
        // REFUSED_STREAM, and a connection that broke without a code of its own
        0x7 => Code::Unavailable,
        _ => Code::Internal,
    }
}
