//! Records that are chained by their hashes, in files.
//!
//! ```text
//! {"seq":0,"prev":"00…","kind":"start",…,"hash":"ab…"}
//! {"seq":1,"prev":"ab…","kind":"decision",…,"hash":"cd…"}
//! {"seq":2,"prev":"cd…","kind":"checkpoint",…,"mac":"12…","hash":"ef…"}
//! ```
//!
//! `hash` is the SHA-256 of what stands before it in the line, from the brace to the comma, which
//! it does not include; `prev` is the `hash` of the line before, across files. `mac`, in records
//! that start, end or check, is the HMAC-SHA-256 of what stands before it. So both can be checked
//! with `sed` and `openssl`. Numbers go on over files and processes.

mod file;
mod key;
mod line;
mod link;
mod resume;

pub(super) use file::{FileSettings, FileSink};
pub use key::{Key, KeyError};
pub(super) use line::Line;
pub(super) use link::{Kind, ORIGIN};
