//! Where rules are read, and how much of them there may be.

use std::cell::Cell;

use mesh_core::authz::{MAX_DEPTH, TooDeep};

use super::Auditing;
use crate::parse::{Path, Reject};

/// What the rules that are read are about, and how much more of them there may be.
pub(super) struct Scope<'a> {
    layer: Layer,
    /// Who is told of what the rules say.
    pub(super) auditing: &'a Auditing,
    /// Conditions that may still come.
    left: Cell<u32>,
}

/// What is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    Requests,
    Connections,
}

/// How many more levels an expression may have.
#[derive(Clone, Copy)]
pub(super) struct Levels(usize);

impl<'a> Scope<'a> {
    pub(super) fn new(layer: Layer, auditing: &'a Auditing) -> Self {
        Self { layer, auditing, left: Cell::new(MAX_CONDITIONS) }
    }

    /// Refuses what a connection does not have.
    pub(super) fn of_requests(&self, path: &Path<'_>) -> Result<(), Reject> {
        match self.layer {
            Layer::Requests => Ok(()),
            Layer::Connections => Err(path.reject("is not known of a connection")),
        }
    }

    /// Counts a condition.
    pub(super) fn count(&self, path: &Path<'_>) -> Result<(), Reject> {
        let left = self.left.get().checked_sub(1);
        let why = || path.reject(format_args!("is one of more than {MAX_CONDITIONS} conditions"));
        self.left.set(left.ok_or_else(why)?);
        Ok(())
    }
}

impl Levels {
    pub(super) const ALL: Self = Self(MAX_DEPTH);

    /// One level down.
    pub(super) fn below(self, path: &Path<'_>) -> Result<Self, Reject> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| path.reject(TooDeep))
    }
}

/// Conditions of one filter at the most. 10 000 policies of ten conditions each are far more than
/// anybody has; each takes about a hundred bytes.
const MAX_CONDITIONS: u32 = 200_000;
