//! Sources over files, and the rules of the trust bundle map.

mod bundles;
mod files;
mod kit;
