//! The command line.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};

/// Sends requests through a mesh and prints one line of JSON for each.
///
/// Lines come in the order in which requests end. What the mesh decides itself (no route, no
/// endpoint, a deadline) is in the statuses, as a proxy would answer, with the reason in `why`;
/// `error` is for requests that could not be tried. Redirects are not followed.
#[derive(Debug, Parser)]
#[command(name = "meshcurl", version)]
pub(crate) struct Arguments {
    /// The gRPC bootstrap file. Default: GRPC_XDS_BOOTSTRAP, or GRPC_XDS_BOOTSTRAP_CONFIG.
    #[arg(long, value_name = "FILE")]
    pub(crate) bootstrap: Option<PathBuf>,
    /// What to ask, such as xds:///greeter.
    #[arg(long, value_name = "NAME")]
    pub(crate) target: String,
    /// Sends one unary gRPC message, the data, to the method PATH (/package.Service/Method).
    #[arg(long, conflicts_with = "method")]
    pub(crate) grpc: bool,
    /// The method. Default: GET, or POST with data.
    #[arg(short = 'X', value_name = "METHOD")]
    pub(crate) method: Option<Method>,
    /// A header field, 'name: value'; may be repeated. 'host' sets the authority.
    #[arg(short = 'H', value_name = "FIELD", value_parser = field)]
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, or the bytes of the gRPC message.
    #[arg(short = 'd', value_name = "DATA")]
    pub(crate) data: Option<String>,
    /// How many requests.
    #[arg(short = 'n', value_name = "COUNT", default_value = "1")]
    pub(crate) count: NonZeroU64,
    /// How many of them at a time.
    #[arg(short = 'c', value_name = "CONCURRENCY", default_value = "1")]
    pub(crate) concurrency: NonZeroUsize,
    /// Bounds each request, waiting for configuration included: 2s, 500ms; at most 24h. Default:
    /// no bound of its own. With --interactive, the default of its lines.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Prints to stderr why requests are routed as they are, before sending them.
    #[arg(long)]
    pub(crate) explain: bool,
    /// Reads requests from stdin, one JSON object a line, all sent over the same channel:
    /// {"path":"/","method":"GET","headers":{"k":"v"},"body":"","grpc":false,"n":1,"c":1,
    /// "timeout_ms":1000}. All keys but "path" may be left out, and a header may have a list of
    /// values. After the results of each comes {"done":true}.
    #[arg(
        long,
        conflicts_with_all = ["path", "grpc", "method", "headers", "data", "count", "concurrency"]
    )]
    pub(crate) interactive: bool,
    /// The path, with the query if there is one.
    #[arg(required_unless_present = "interactive", value_parser = path)]
    pub(crate) path: Option<PathAndQuery>,
}

fn field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("there is no colon")?;
    let name = HeaderName::try_from(name.trim()).map_err(|error| error.to_string())?;
    let value = HeaderValue::try_from(value.trim()).map_err(|error| error.to_string())?;
    Ok((name, value))
}

/// A path as it stands in a request.
pub(crate) fn path(text: &str) -> Result<PathAndQuery, String> {
    if !text.starts_with('/') {
        return Err(format!("the path {text:?} does not start with /"));
    }
    PathAndQuery::try_from(text).map_err(|error| format!("the path {text:?}: {error}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let unit = units
        .iter()
        .find_map(|(unit, seconds)| text.strip_suffix(unit).map(|number| (number, *seconds)));
    let (number, seconds) = unit.ok_or("it needs a unit: 500ms, 2s, 1m or 1h")?;
    let number: f64 = number.parse().map_err(|_| format!("{number:?} is not a number"))?;
    let duration = Duration::try_from_secs_f64(number * seconds).map_err(|e| e.to_string())?;
    bounded(duration)
}

/// `duration` if it is of use as a bound.
pub(crate) fn bounded(duration: Duration) -> Result<Duration, String> {
    match duration.is_zero() || duration > Duration::from_secs(24 * 3600) {
        true => Err("a timeout is more than zero and at most 24 hours".to_owned()),
        false => Ok(duration),
    }
}
