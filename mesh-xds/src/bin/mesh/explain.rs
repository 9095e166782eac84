//! `mesh explain authz`

use std::error::Error;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use mesh_core::authz::Facts;
use mesh_core::identity::{Certificate, Peer, Session};
use mesh_core::metadata::{Fields, Metadata, Value};
use mesh_core::request::RequestHead;
use mesh_xds::file::{self, Stage};
use mesh_xds::parse::Registry;

/// A request, and the files whose policies decide about it.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// A file, or a directory of .yaml, .yml and .json files.
    #[arg(long)]
    file: PathBuf,
    /// Ask also the listener of this server of the short form, such as 0.0.0.0:8080.
    #[arg(long)]
    server: Option<String>,
    /// The method.
    #[arg(long, default_value = "GET")]
    method: Method,
    /// The path, which may have a query.
    #[arg(long, default_value = "/")]
    path: Uri,
    /// The host as the client names it, with a port if it does.
    #[arg(long, default_value = "localhost")]
    host: String,
    /// A header field, as NAME=VALUE.
    #[arg(long)]
    header: Vec<String>,
    /// The client's SPIFFE ID, shown over mutual TLS. Without it the connection is in plain text.
    #[arg(long)]
    principal: Option<String>,
    /// The address that the client comes from.
    #[arg(long, default_value = "127.0.0.1")]
    source_ip: IpAddr,
    /// The port that the client has connected to.
    #[arg(long, default_value_t = 80)]
    port: u16,
    /// The name that the client has asked for in TLS.
    #[arg(long)]
    sni: Option<String>,
    /// A claim of the client's token, as NAME=VALUE; given several times it is a list.
    #[arg(long)]
    claim: Vec<String>,
}

/// Prints what each set of rules says, and exits with 0 if the request may pass, 1 if it may not,
/// and 2 if that cannot be said.
pub(crate) fn run(question: &Question) -> ExitCode {
    match stages(question) {
        Ok(stages) => {
            stages.iter().for_each(|stage| println!("{stage}"));
            let refusal = stages.iter().find(|stage| stage.allows == Some(false));
            match refusal {
                Some(stage) => println!("denied by {}", stage.place),
                None => println!("allowed"),
            }
            if refusal.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn stages(question: &Question) -> Result<Vec<Stage>, Box<dyn Error>> {
    let report = file::check(&question.file, &Registry::default().any_certificate_provider());
    if let Some(error) = report.errors.first() {
        return Err(error.to_string().into());
    }
    let mut headers = HeaderMap::new();
    for header in &question.header {
        let (name, value) = pair(header)?;
        headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
    }
    let (peer, metadata) = (peer(question), metadata(question)?);
    let Question { method, path, host, .. } = question;
    let head = RequestHead::from_pieces(method, path, &headers, host);
    let facts = Facts::request(&head, &metadata, Some(&peer));
    let listener = question.server.as_ref().map(|place| format!("server/{place}"));
    let stages = file::explain(&report, listener.as_deref(), &facts);
    stages.ok_or_else(|| "there is no such server".into())
}

fn peer(question: &Question) -> Peer {
    let certificate = question.principal.as_ref().map(|name| {
        let scheme = if name.starts_with("spiffe://") { "" } else { "spiffe://" };
        Certificate { uris: [format!("{scheme}{name}").into()].into(), ..Certificate::default() }
    });
    let server_name = question.sni.as_deref().map(Into::into);
    let is_tls = certificate.is_some() || server_name.is_some();
    let session = Session { server_name, certificate, protocol: None };
    Peer {
        remote: Some((question.source_ip, 0).into()),
        local: Some(([127, 0, 0, 1], question.port).into()),
        session: is_tls.then_some(session),
    }
}

/// What a filter that has verified the token would have left.
fn metadata(question: &Question) -> Result<Metadata, Box<dyn Error>> {
    let mut claims = Fields::default();
    for claim in &question.claim {
        let (name, value) = pair(claim)?;
        match claims.find(name).cloned() {
            None => claims.set(name, value),
            Some(Value::List(mut values)) => {
                values.push(value.into());
                claims.set(name, Value::List(values));
            }
            Some(first) => claims.set(name, Value::List(vec![first, value.into()])),
        }
    }
    let mut metadata = Metadata::default();
    let payload = Fields::from_iter([("payload", Value::Struct(claims))]);
    metadata.add("envoy.filters.http.jwt_authn", payload).map_err(|_| "too many claims")?;
    Ok(metadata)
}

fn pair(text: &str) -> Result<(&str, &str), Box<dyn Error>> {
    text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=VALUE").into())
}
