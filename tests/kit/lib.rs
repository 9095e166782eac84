//! The in-process kit that the tests of the whole mesh are written with.
