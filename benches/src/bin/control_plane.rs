//! Serves a file of resources until standard input ends, and prints where.
//!
//! ```text
//! control_plane FILE ADDRESS...
//! ```
//!
//! `${1}` in the file stands for the port of the first address, and so on. Beside `echo` of the file
//! there is `guarded`, which is the same with a policy of each kind that has nothing to do.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use mesh_benches::shared::Error;
use mesh_xds::control_plane::ControlPlane;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("missing FILE")?;
    let mut text = std::fs::read_to_string(&file)?;
    for (number, address) in (1..).zip(arguments) {
        let address: SocketAddr = address.parse()?;
        text = text.replace(&format!("${{{number}}}"), &address.port().to_string());
    }

    text.push_str(&guarded(&text)?);

    let plane = ControlPlane::new();
    let resources = mesh_xds::file::parse(&text, Path::new(&file))?;
    plane.set(ControlPlane::DEFAULT_GROUP, resources.into_iter().collect());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("ads {}", listener.local_addr()?);
    let end = async {
        // Whoever started this has gone, one way or the other.
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    Ok(plane.serve(listener, end).await?)
}

/// The resources of `echo` in `text`, with policies, under another name.
fn guarded(text: &str) -> Result<String, Error> {
    let documents = text.split("\n---\n").filter(|document| document.contains(": echo"));
    let documents = documents.map(|document| document.replace(": echo", ": guarded"));
    let mut guarded = documents.fold(String::new(), |all, document| all + "\n---\n" + &document);
    for (after, policy) in POLICIES {
        let (before, rest) = guarded.split_once(after).ok_or(after)?;
        guarded = [before, after, policy, rest].concat();
    }
    Ok(guarded)
}

/// What is said after which line.
const POLICIES: [(&str, &str); 4] = [
    ("    http_filters:\n", FILTERS),
    (
        "    domains: [\"*\"]\n",
        "    retry_policy: { retry_on: 'unavailable,cancelled,resource-exhausted', num_retries: 2 }\n",
    ),
    (
        "    - { max_requests: 1000, max_pending_requests: 1000",
        ", max_connections: 100, track_remaining: true, retry_budget: { budget_percent: { value: 20 } }",
    ),
    (
        "lb_policy: LEAST_REQUEST\n",
        "outlier_detection: { consecutive_5xx: 5, enforcing_success_rate: 100, failure_percentage_threshold: 85, enforcing_failure_percentage: 100 }\n",
    ),
];

const FILTERS: &str = r#"      - name: fault
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
          abort: { grpc_status: 14, percentage: { numerator: 0 } }
          delay: { fixed_delay: 1s, percentage: { numerator: 0 } }
      - name: limit
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
          stat_prefix: limit
          token_bucket: { max_tokens: 4000000000, tokens_per_fill: 4000000000, fill_interval: 1s }
          filter_enabled: { default_value: { numerator: 100 } }
          filter_enforced: { default_value: { numerator: 100 } }
"#;
