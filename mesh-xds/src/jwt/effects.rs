//! What valid tokens leave behind: header fields, and claims for the filters after.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue};
use mesh_core::filter::HeaderChanges;
use mesh_core::jwt::{Failure, NAMESPACE, Place};
use mesh_core::metadata::{Fields, Metadata, Value};

use super::Provider;
use super::token::Token;

/// What the tokens of a request leave behind once they are enough.
#[derive(Debug, Default)]
pub(super) struct Effects {
    remove: Vec<HeaderName>,
    append: Vec<(HeaderName, HeaderValue)>,
    notes: Fields,
}

impl Effects {
    /// Adds those of a valid token.
    pub(super) fn add(&mut self, provider: &Provider, token: &Token<'_>, place: &Place) {
        if let Some((name, is_padded)) = &provider.payload_header {
            let mut payload = token.payload.to_owned();
            while *is_padded && !payload.len().is_multiple_of(4) {
                payload.push('=');
            }
            self.append(name, payload);
        }
        for claim in &provider.claim_headers {
            if let Some(text) = find(&token.claims, &claim.path).and_then(text) {
                self.append(&claim.header, text);
            }
        }
        // A token in the query or a cookie goes on: filters change header fields only.
        if let (false, Place::Header(name)) = (provider.forward, place) {
            self.remove.push(name.clone());
        }
        if let Some(name) = &provider.header_as {
            self.notes.set(name, Value::Struct(token.header.clone()));
        }
        if let Some(name) = &provider.payload_as {
            self.notes.set(name, Value::Struct(listed(&token.claims, &provider.lists)));
        }
    }

    /// Notes why a provider's tokens are not good enough, if it is configured to.
    pub(super) fn fail(&mut self, provider: &Provider, why: Failure) {
        if let Some(name) = &provider.failure_as {
            let code = Value::from(&*why.code().to_string());
            let message = Value::from(&*why.to_string());
            let status = Fields::from_iter([("code", code), ("message", message)]);
            self.notes.set(name, Value::Struct(status));
        }
    }

    fn append(&mut self, name: &HeaderName, value: String) {
        // What cannot stand in a header field does not; nobody can have put it there either.
        let Ok(value) = HeaderValue::try_from(value) else { return };
        let field = (name.clone(), value);
        // Two parts of a requirement may be about the same token.
        if !self.append.contains(&field) {
            self.append.push(field);
        }
    }

    /// Makes the changes, if there is room for the claims.
    pub(super) fn apply(
        self,
        metadata: &mut Metadata,
        changes: &mut HeaderChanges,
    ) -> Result<(), Failure> {
        self.note(metadata)?;
        changes.remove.extend(self.remove);
        changes.append.extend(self.append);
        Ok(())
    }

    /// Leaves the notes only.
    pub(super) fn note(&self, metadata: &mut Metadata) -> Result<(), Failure> {
        if self.notes.iter().next().is_none() {
            return Ok(());
        }
        metadata.add(NAMESPACE, self.notes.clone()).map_err(|_| Failure::TooMuch)
    }
}

fn find<'a>(claims: &'a Fields, path: &[Box<str>]) -> Option<&'a Value> {
    let (last, before) = path.split_last()?;
    let mut fields = claims;
    for name in before {
        let Value::Struct(inner) = fields.find(name)? else { return None };
        fields = inner;
    }
    fields.find(last)
}

/// A claim as a header field says it: lists and objects as JSON in base64url.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.to_string()),
        Value::List(_) | Value::Struct(_) => Some(URL_SAFE_NO_PAD.encode(json(value).to_string())),
    }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => (*number).into(),
        Value::String(text) => (&**text).into(),
        Value::List(all) => all.iter().map(json).collect(),
        Value::Struct(fields) => {
            fields.iter().map(|(name, value)| (name.to_owned(), json(value))).collect()
        }
    }
}

/// The claims, with those of `names` as lists of their words.
fn listed(claims: &Fields, names: &[Box<str>]) -> Fields {
    let mut claims = claims.clone();
    for name in names {
        if let Some(Value::String(words)) = claims.find(name) {
            let words = words.split(' ').filter(|it| !it.is_empty()).map(Into::into).collect();
            claims.set(name, Value::List(words));
        }
    }
    claims
}
