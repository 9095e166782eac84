//! Brings the head of a request into its one canonical form, before anything is decided by it.

use http::header::{HOST, HeaderName};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use mesh_core::identity;
use mesh_core::inherited::{CRITICALITY, Caller};
use mesh_core::request::RequestHead;
use mesh_core::retry::Asked;
use mesh_core::snapshot::{Connections, Underscores};

/// Says who the client of a proxy is; only proxies that are trusted may say it.
const CLIENT_CERTIFICATE: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// Says that the caller belongs here.
const INTERNAL: HeaderName = HeaderName::from_static("x-envoy-internal");

/// What is wrong with a request before any route is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// None, several, or none that is one.
    Authority,
    /// A path that is neither one nor `*` of OPTIONS, or the method CONNECT, which asks for a tunnel.
    Target,
    /// A gRPC path that is not `/package.Service/Method`.
    GrpcPath,
    /// A `grpc-timeout` that is none.
    GrpcTimeout,
    /// More header fields than there may be.
    TooManyFields,
    /// A header field whose name has an underscore, where there may be none.
    Underscore,
}

/// What the heads of the requests of a connection may say.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadRules {
    forwarding: Forwarding,
    max_fields: Option<usize>,
    underscores: Underscores,
    caller: Option<Caller>,
}

impl HeadRules {
    pub(super) fn new(
        forwarding: identity::Forwarding,
        caller: Caller,
        connections: &Connections,
    ) -> Self {
        let max = connections.max_header_fields;
        let max_fields = max.map(|max| usize::try_from(max).unwrap_or(usize::MAX));
        let underscores = connections.underscores;
        let (forwarding, caller) = (Forwarding::new(forwarding), Some(caller));
        Self { forwarding, max_fields, underscores, caller }
    }

    fn apply(&self, headers: &mut HeaderMap) -> Result<(), Malformed> {
        if self.max_fields.is_some_and(|max| headers.len() > max) {
            return Err(Malformed::TooManyFields);
        }
        let has_underscore = |name: &&HeaderName| name.as_str().contains('_');
        match self.underscores {
            Underscores::Allow => {}
            Underscores::Refuse => {
                if headers.keys().any(|name| has_underscore(&name)) {
                    return Err(Malformed::Underscore);
                }
            }
            Underscores::Drop => {
                let names: Vec<_> = headers.keys().filter(has_underscore).cloned().collect();
                for name in names {
                    headers.remove(name);
                }
            }
        }
        self.forwarding.apply(headers);
        if self.caller == Some(Caller::Stranger) && headers.keys().any(commands) {
            obey_nobody(headers);
        }
        Ok(())
    }
}

/// Whether a field may tell the mesh what to do.
fn commands(name: &HeaderName) -> bool {
    name.as_str().starts_with("x-envoy-") || *name == CRITICALITY
}

/// Removes the fields by which callers tell the mesh what to do. A service that passes fields on
/// would otherwise say them in its own name.
#[cold]
fn obey_nobody(headers: &mut HeaderMap) {
    let _ = Asked::take(headers);
    headers.remove(CRITICALITY);
    headers.remove(INTERNAL);
}

/// What is done with what requests of a connection say of others' certificates.
#[derive(Clone, Debug, Default)]
enum Forwarding {
    #[default]
    Remove,
    Keep,
    Append(HeaderValue),
    Replace(HeaderValue),
}

impl Forwarding {
    /// As decided. What cannot be in a header field is not said.
    fn new(decided: identity::Forwarding) -> Self {
        let value = |text: String| HeaderValue::try_from(text).ok();
        match decided {
            identity::Forwarding::Remove => Self::Remove,
            identity::Forwarding::Keep => Self::Keep,
            identity::Forwarding::Append(text) => value(text).map_or(Self::Remove, Self::Append),
            identity::Forwarding::Replace(text) => value(text).map_or(Self::Remove, Self::Replace),
        }
    }

    fn apply(&self, headers: &mut HeaderMap) {
        match self {
            Self::Keep => {}
            Self::Remove => drop(headers.remove(CLIENT_CERTIFICATE)),
            Self::Replace(value) => drop(headers.insert(CLIENT_CERTIFICATE, value.clone())),
            Self::Append(value) => {
                let before = headers.get_all(CLIENT_CERTIFICATE).iter().map(HeaderValue::as_bytes);
                let all: Vec<_> = before.chain([value.as_bytes()]).collect();
                // Values that are valid one by one are so together.
                match HeaderValue::from_bytes(&all.join(&b',')) {
                    Ok(all) => drop(headers.insert(CLIENT_CERTIFICATE, all)),
                    Err(_) => drop(headers.remove(CLIENT_CERTIFICATE)),
                }
            }
        }
    }
}

/// Makes a request say one thing only about whom it is for (gRFC A41), and of others only what
/// `rules` let it.
pub(super) fn canonicalise<B>(
    request: &mut Request<B>,
    rules: &HeadRules,
) -> Result<(), Malformed> {
    rules.apply(request.headers_mut())?;
    let path = request.uri().path();
    let is_target = path.starts_with('/') || path == "*" && *request.method() == Method::OPTIONS;
    if !is_target || *request.method() == Method::CONNECT {
        return Err(Malformed::Target);
    }
    let version = request.version();
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Malformed::Authority);
    }
    match (request.uri().authority(), host) {
        //= A41
        //# if both :authority and Host are present, Host is dropped
        (Some(authority), host) => {
            if authority.as_str().contains('@') {
                return Err(Malformed::Authority);
            }
            if version == Version::HTTP_2 {
                if host.is_some() {
                    request.headers_mut().remove(HOST);
                }
            } else if let Ok(value) = authority.as_str().parse() {
                request.headers_mut().insert(HOST, value);
            }
        }
        (None, Some(host)) => {
            let authority = Authority::try_from(host.as_bytes());
            let authority = authority.map_err(|_| Malformed::Authority)?;
            if authority.as_str().contains('@') {
                return Err(Malformed::Authority);
            }
            if version == Version::HTTP_2 {
                name(request.uri_mut(), authority);
                request.headers_mut().remove(HOST);
            }
        }
        // HTTP/1.0 knows requests that are for nobody in particular; rules on hosts do not.
        (None, None) => return Err(Malformed::Authority),
    }
    Ok(())
}

fn name(uri: &mut Uri, authority: Authority) {
    let mut pieces = std::mem::take(uri).into_parts();
    pieces.authority = Some(authority);
    pieces.scheme.get_or_insert(http::uri::Scheme::HTTP);
    *uri = Uri::from_parts(pieces).unwrap_or_default();
}

/// The view of a canonical request that decisions look at. `scheme` is the connection's: what the
/// client says of it proves nothing.
pub(super) fn view<'a, B>(request: &'a Request<B>, scheme: &'a str) -> RequestHead<'a> {
    let (uri, headers) = (request.uri(), request.headers());
    let authority = uri.authority().map_or_else(|| host(headers), |found| found.as_str());
    let mut head = RequestHead::from_pieces(request.method(), uri, headers, authority);
    head.scheme = scheme;
    head
}

fn host(headers: &HeaderMap) -> &str {
    headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// Whether a gRPC call names a method in the one way there is, so that no two readers can see
/// different methods in it.
pub(super) fn is_grpc_path(head: &RequestHead<'_>) -> bool {
    let is_name = |name: &str, also: &[u8]| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !name.is_empty() && name.bytes().all(|byte| is_plain(byte) || also.contains(&byte))
    };
    let names = head.path.strip_prefix('/').and_then(|path| path.split_once('/'));
    let is_method = names.is_some_and(|(service, method)| {
        is_name(service, b".-") && is_name(method, b"-") && !service.starts_with('.')
    });
    is_method && head.query.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_do_not_tell_the_mesh_what_to_do() {
        let fields = [
            ("x-envoy-retry-on", "5xx"),
            ("x-envoy-max-retries", "4294967295"),
            ("x-envoy-upstream-rq-timeout-ms", "0"),
            ("x-envoy-hedge-on-per-try-timeout", "true"),
            ("x-envoy-internal", "true"),
            ("x-mesh-criticality", "critical_plus"),
            ("x-envoy-attempt-count", "2"),
            ("x-request-id", "7"),
        ];
        let said: HeaderMap = fields
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        for (caller, left) in [(Caller::Stranger, 2), (Caller::Trusted, fields.len())] {
            let connections = Connections::default();
            let rules = HeadRules::new(identity::Forwarding::Remove, caller, &connections);
            let mut headers = said.clone();
            assert_eq!(rules.apply(&mut headers), Ok(()));
            assert_eq!(headers.len(), left, "{headers:?}");
            assert!(headers.contains_key("x-envoy-attempt-count"));
        }
    }
}
