//! Tables and requests as plain descriptions.

use mesh_core::request::Protocol;

use crate::pattern::Pattern;

#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) ignore_port: bool,
    pub(crate) hosts: Vec<Host>,
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) domains: Vec<String>,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) path: Path,
    /// Not of a regular expression, which says so itself.
    pub(crate) any_case: bool,
    pub(crate) headers: Vec<(&'static str, Question, bool)>,
    pub(crate) query: Option<(&'static str, Option<&'static str>)>,
    pub(crate) grpc_only: bool,
    pub(crate) fraction: Option<u32>,
}

#[derive(Debug)]
pub(crate) enum Path {
    Exact(String),
    Prefix(String),
    Separated(String),
    Regex(Pattern),
}

#[derive(Debug)]
pub(crate) enum Question {
    Exact(&'static str),
    Below(i64),
    Present(bool),
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) query: Option<&'static str>,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) protocol: Protocol,
}
