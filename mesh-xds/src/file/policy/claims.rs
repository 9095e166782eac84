//! What a token says of whoever sends a request.
//!
//! The filter that verifies tokens (`envoy.filters.http.jwt_authn`) leaves what they say in the
//! metadata of the request, in a namespace of that name, under the key `payload`: a struct of the
//! claims as they are in the token, in which `aud` and others may be a text or a list of texts.
//! With Istio's RequestAuthentication Envoy does the same. Without such a filter nothing is there,
//! and conditions on it do not hold.

use envoy_types::pb::envoy::config::rbac::v3::Principal;
use envoy_types::pb::envoy::r#type::matcher::v3::metadata_matcher::PathSegment;
use envoy_types::pb::envoy::r#type::matcher::v3::metadata_matcher::path_segment::Segment;
use envoy_types::pb::envoy::r#type::matcher::v3::value_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{
    ListMatcher, MetadataMatcher, OrMatcher, StringMatcher, ValueMatcher, list_matcher,
};

use super::term::Term;
use super::text::{Case, Form};
use crate::file::cursor::Cursor;
use crate::file::error::FileError;

/// A request's principal, `ISSUER/SUBJECT`. Both may have slashes, so any of them may divide the two:
/// what matches is the whole.
pub(super) fn principal(cursor: &Cursor<'_>) -> Result<Principal, FileError> {
    let any = Form::Present;
    let pairs: Vec<(Form<'_>, Form<'_>)> = match Form::read(cursor)? {
        Form::Present => vec![(any, any)],
        Form::Exact(text) => {
            let pairs: Vec<_> =
                splits(text).map(|(iss, sub)| (Form::Exact(iss), Form::Exact(sub))).collect();
            if pairs.is_empty() {
                return Err(cursor.invalid("expected `ISSUER/SUBJECT`"));
            }
            pairs
        }
        Form::Prefix(text) => {
            let pairs = splits(text).map(|(iss, sub)| match sub {
                "" => (Form::Exact(iss), any),
                sub => (Form::Exact(iss), Form::Prefix(sub)),
            });
            pairs.chain([(Form::Prefix(text), any)]).collect()
        }
        Form::Suffix(text) => {
            let pairs = splits(text).map(|(iss, sub)| match iss {
                "" => (any, Form::Exact(sub)),
                iss => (Form::Suffix(iss), Form::Exact(sub)),
            });
            pairs.chain([(any, Form::Suffix(text))]).collect()
        }
    };
    let text = |claim, form: Form<'_>| {
        let value = value(MatchPattern::StringMatch(form.matcher(Case::Matters)));
        Principal::metadata(metadata(NAMESPACE, &[PAYLOAD, claim], value))
    };
    let pair = |(iss, sub)| Principal::all(vec![text("iss", iss), text("sub", sub)]);
    Ok(Principal::any(pairs.into_iter().map(pair).collect()))
}

/// What stands before and behind each slash of `text`.
fn splits(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices('/').filter_map(|(at, _)| Some((text.get(..at)?, text.get(at + 1..)?)))
}

/// The claim at the end of `path` is the value at `cursor`, or a list with it.
pub(super) fn claim<T: Term>(path: &[&str], cursor: &Cursor<'_>) -> Result<T, FileError> {
    let matcher = Form::read(cursor)?.matcher(Case::Matters);
    let full: Vec<&str> = [PAYLOAD].into_iter().chain(path.iter().copied()).collect();
    let either = vec![value(MatchPattern::StringMatch(matcher.clone())), listed(matcher)];
    let either = value(MatchPattern::OrMatch(OrMatcher { value_matchers: either }));
    Ok(T::metadata(metadata(NAMESPACE, &full, either)))
}

/// A list with a text that matches.
pub(super) fn listed(matcher: StringMatcher) -> ValueMatcher {
    let one = value(MatchPattern::StringMatch(matcher));
    let pattern = list_matcher::MatchPattern::OneOf(Box::new(one));
    value(MatchPattern::ListMatch(Box::new(ListMatcher { match_pattern: Some(pattern) })))
}

pub(super) fn value(pattern: MatchPattern) -> ValueMatcher {
    ValueMatcher { match_pattern: Some(pattern) }
}

/// The value at the end of `path` in `namespace` matches.
pub(super) fn metadata(namespace: &str, path: &[&str], value: ValueMatcher) -> MetadataMatcher {
    let segment = |key: &&str| PathSegment { segment: Some(Segment::Key((*key).to_owned())) };
    MetadataMatcher {
        filter: namespace.to_owned(),
        path: path.iter().map(segment).collect(),
        value: Some(value),
        invert: false,
    }
}

const NAMESPACE: &str = "envoy.filters.http.jwt_authn";
const PAYLOAD: &str = "payload";
