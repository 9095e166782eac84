//! The search as the definitions say it.

use mesh_core::request::Protocol;
use mesh_core::rng::{Rng, XorShift};

use crate::model::{Config, Host, Path, Question, Request, Rule};

pub(crate) fn naive(config: &Config, request: &Request, rng: &mut XorShift) -> String {
    let Some((at, host)) = naive_host(config, &request.authority) else { return "-".to_owned() };
    for (number, rule) in host.rules.iter().enumerate() {
        let holds = path_matches(rule, &request.path)
            && (!rule.grpc_only || request.protocol == Protocol::Grpc)
            && rule.headers.iter().all(|header| header_matches(header, request))
            && rule.query.is_none_or(|query| query_matches(query, request));
        if holds && rule.fraction.is_none_or(|share| rng.below(1_000_000) < share) {
            return format!("{at}/{number}");
        }
    }
    format!("{at}/-")
}

fn naive_host<'c>(config: &'c Config, authority: &str) -> Option<(usize, &'c Host)> {
    let mut name = authority.to_lowercase();
    if config.ignore_port
        && let Some(colon) = name.find(':')
    {
        name.truncate(colon);
    }
    let mut best: Option<((u8, usize), usize)> = None;
    for (at, host) in config.hosts.iter().enumerate() {
        for domain in &host.domains {
            let domain = domain.to_lowercase();
            let longer = name.len() >= domain.len();
            let rank = if domain == "*" {
                1
            } else if let Some(suffix) = domain.strip_prefix('*') {
                if longer && name.ends_with(suffix) { 3 } else { 0 }
            } else if let Some(prefix) = domain.strip_suffix('*') {
                if longer && name.starts_with(prefix) { 2 } else { 0 }
            } else {
                if name == domain { 4 } else { 0 }
            };
            let rank = (rank, domain.len());
            if rank.0 > 0 && best.is_none_or(|(other, _)| rank > other) {
                best = Some((rank, at));
            }
        }
    }
    best.map(|(_, at)| (at, &config.hosts[at]))
}

fn path_matches(rule: &Rule, path: &str) -> bool {
    let fold = |text: &str| if rule.any_case { text.to_lowercase() } else { text.to_owned() };
    match &rule.path {
        Path::Exact(text) => fold(path) == fold(text),
        Path::Prefix(text) => fold(path).starts_with(&fold(text)),
        Path::Separated(text) => format!("{}/", fold(path)).starts_with(&fold(&format!("{text}/"))),
        Path::Regex(pattern) => pattern.matches(path),
    }
}

fn header_matches((name, question, invert): &(&str, Question, bool), request: &Request) -> bool {
    let sent = request.headers.iter().filter(|(sent, _)| sent == name).map(|(_, value)| *value);
    let values: Vec<_> = sent.collect();
    let hidden = request.protocol == Protocol::Grpc && name.ends_with("-bin");
    let value = (!values.is_empty() && !hidden).then(|| values.join(","));
    let answer = match (question, value) {
        (Question::Present(wanted), value) => value.is_some() == *wanted,
        (_, None) => return false,
        (Question::Exact(wanted), Some(value)) => value == *wanted,
        (Question::Below(end), Some(value)) => {
            value.parse::<i64>().is_ok_and(|number| 0 <= number && number < *end)
        }
    };
    answer != *invert
}

fn query_matches((name, wanted): (&str, Option<&str>), request: &Request) -> bool {
    for pair in request.query.unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key == name {
            return wanted.is_none_or(|wanted| value == wanted);
        }
    }
    false
}
