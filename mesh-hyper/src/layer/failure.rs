//! What the error of a service says about its attempt.

use std::any::Any;
use std::error::Error as StdError;
use std::io;

use mesh_core::classify::Failure;

use crate::error::{BoxError, Error, Kind};

/// The kind of failure that `error` is.
///
/// Known are the errors of the mesh and those of sockets, in a box or as they are, or below
/// others. Everything else is a connection that broke: the request may have been carried out.
pub(super) fn of<E: Any>(error: &E) -> Failure {
    let error: &dyn Any = error;
    let known = match error.downcast_ref::<BoxError>() {
        Some(error) => below(&**error),
        None => match (error.downcast_ref::<Error>(), error.downcast_ref::<io::Error>()) {
            (Some(error), _) => below(error),
            (None, Some(error)) => below(error),
            (None, None) => None,
        },
    };
    known.unwrap_or(Failure::Reset)
}

/// The first that is known among an error and its sources.
fn below(error: &(dyn StdError + 'static)) -> Option<Failure> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<Error>() {
            return Some(of_mesh(error.kind()));
        }
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            return Some(Failure::Connect);
        }
        next = error.source();
    }
    None
}

/// What is no fault of a server, and would be the same again, is as good as an overflow.
fn of_mesh(kind: Kind) -> Failure {
    match kind {
        Kind::NoConfig | Kind::NoCluster | Kind::NoEndpoint => Failure::Connect,
        Kind::Outside
        | Kind::NoRoute
        | Kind::Dropped
        | Kind::Overloaded
        | Kind::Body
        | Kind::Request => Failure::Overflow,
        Kind::Deadline => Failure::TimedOut,
        Kind::Transport | Kind::Cancelled => Failure::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_known_wherever_they_are() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(of(&refused()), Failure::Connect);
        assert_eq!(of(&BoxError::from(refused())), Failure::Connect);
        let below = Error::with(Kind::Transport, "broke", refused());
        assert_eq!(of(&below), Failure::Reset);
        assert_eq!(of(&BoxError::from(Error::new(Kind::Overloaded, "full"))), Failure::Overflow);
        assert_eq!(of(&io::Error::other("x")), Failure::Reset);
        assert_eq!(of(&"text"), Failure::Reset);
    }
}
