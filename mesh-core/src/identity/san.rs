//! Who a peer may be, by the names in its certificate (gRFC A29).

use super::names::{SubjectNames, stands_for};
use crate::matcher::{StringMatcher, StringPattern};

/// A predicate on the names in a certificate: one of them must match.
///
/// Addresses are compared as text in their canonical form (RFC 5952). Names without content never
/// match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SanMatcher {
    kind: Option<SanKind>,
    matcher: StringMatcher,
}

/// A kind of name (`SubjectAltNameMatcher.SanType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SanKind {
    /// A URI, such as a SPIFFE ID.
    Uri,
    /// A DNS name. Where it is compared as a whole it may be a wildcard, and case does not matter.
    Dns,
    /// An e-mail address.
    Email,
    /// An IP address.
    Ip,
}

impl SanMatcher {
    /// Matches names of any kind (`match_subject_alt_names`).
    #[must_use]
    pub fn any(matcher: StringMatcher) -> Self {
        Self { kind: None, matcher }
    }

    /// Matches names of one kind (`match_typed_subject_alt_names`).
    #[must_use]
    pub fn typed(kind: SanKind, matcher: StringMatcher) -> Self {
        Self { kind: Some(kind), matcher }
    }

    /// Whether one of `names` matches.
    #[must_use]
    pub fn matches(&self, names: &SubjectNames) -> bool {
        let is_asked = |kind| self.kind.is_none_or(|asked| asked == kind);
        let text = |name: &str| !name.is_empty() && self.matcher.matches(name.as_bytes());
        (is_asked(SanKind::Uri) && names.uris.iter().any(|name| text(name)))
            || (is_asked(SanKind::Dns) && names.dns_names.iter().any(|name| self.dns(name)))
            || (is_asked(SanKind::Email) && names.emails.iter().any(|name| text(name)))
            || (is_asked(SanKind::Ip) && names.ips.iter().any(|ip| text(&ip.to_string())))
    }

    fn dns(&self, name: &str) -> bool {
        match self.matcher.pattern() {
            StringPattern::Exact(host) => stands_for(name, host),
            StringPattern::Prefix(_)
            | StringPattern::Suffix(_)
            | StringPattern::Contains(_)
            | StringPattern::Regex(_) => !name.is_empty() && self.matcher.matches(name.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> SubjectNames {
        SubjectNames {
            uris: ["spiffe://td/ns/shop/sa/cart".into(), "".into()].into(),
            dns_names: ["*.Example.com".into()].into(),
            emails: ["ops@example.com".into()].into(),
            ips: ["2001:DB8:0:0:0:0:0:1".parse().unwrap(), "10.0.0.1".parse().unwrap()].into(),
        }
    }

    #[test]
    fn any_name_of_the_asked_kind_may_match() {
        use SanKind::*;
        let exact = StringMatcher::exact;
        let (prefix, suffix) = (StringMatcher::prefix, StringMatcher::suffix);
        let (contains, regex) = (StringMatcher::contains, StringMatcher::safe_regex);
        for (kind, matcher, expect) in [
            (None, exact("spiffe://td/ns/shop/sa/cart"), true),
            (None, exact("spiffe://td/ns/shop/sa/car"), false),
            (None, exact("SPIFFE://td/ns/shop/sa/cart"), false),
            (None, exact("SPIFFE://td/ns/shop/sa/cart").ignore_case().unwrap(), true),
            (None, exact("a.example.com"), true),
            (None, exact("a.b.example.com"), false),
            (None, exact("2001:db8::1"), true),
            (None, exact("2001:DB8:0::1"), false),
            (None, exact("10.0.0.1"), true),
            (None, exact(""), false),
            (None, regex(".*").unwrap(), true),
            (None, prefix("spiffe://td/").unwrap(), true),
            (None, suffix("@example.com").unwrap(), true),
            (None, contains("/shop/").unwrap(), true),
            (None, regex("spiffe://td/ns/[a-z]+/sa/cart").unwrap(), true),
            (None, regex("spiffe://td").unwrap(), false),
            (Some(Uri), suffix("/cart").unwrap(), true),
            (Some(Uri), exact("a.example.com"), false),
            (Some(Uri), exact(""), false),
            (Some(Dns), suffix(".Example.com").unwrap(), true),
            (Some(Dns), exact("A.EXAMPLE.com"), true),
            (Some(Dns), prefix("spiffe").unwrap(), false),
            (Some(Email), exact("ops@example.com"), true),
            (Some(Email), exact("10.0.0.1"), false),
            (Some(Ip), prefix("10.").unwrap(), true),
            (Some(Ip), contains("example").unwrap(), false),
        ] {
            let asked = match kind {
                Some(kind) => SanMatcher::typed(kind, matcher.clone()),
                None => SanMatcher::any(matcher.clone()),
            };
            assert_eq!(asked.matches(&names()), expect, "{kind:?} {matcher:?}");
        }
    }

    #[test]
    fn a_certificate_without_names_matches_nothing() {
        let all = StringMatcher::safe_regex(".*").unwrap();
        assert!(!SanMatcher::any(all).matches(&SubjectNames::default()));
    }
}
