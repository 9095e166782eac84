//! Structured values that say more about a request or a route (Envoy's `Metadata`).
//!
//! Filters leave values for the filters after them, under a namespace each, which by custom is the
//! name of the filter that writes: `jwt_authn` its claims, authorization what its shadow rules say.
//! Routes carry the values that their configuration gives them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use crate::tenant::{self, Tenant};

/// Values by namespace. Empty, it is one word and no allocation.
#[derive(Clone, Default, PartialEq)]
pub struct Metadata(Option<Box<Content>>);

impl Metadata {
    /// Adds `fields` to those of `namespace`, in place of fields of the same name.
    ///
    /// # Errors
    /// [`Overflow`] when a value is nested too deeply, everything together would be too large, or the
    /// namespace is the mesh's own. Nothing has changed then.
    pub fn add(&mut self, namespace: &str, fields: Fields) -> Result<(), Overflow> {
        if namespace == tenant::NAMESPACE {
            return Err(Overflow::Reserved);
        }
        self.put(namespace, fields)
    }

    /// Says whose the request is. It is said once: a filter that comes later changes nothing.
    ///
    /// # Errors
    /// [`Overflow`] when it was said before, or there is no room.
    pub fn set_tenant(&mut self, tenant: Tenant) -> Result<(), Overflow> {
        if self.tenant().is_some() {
            return Err(Overflow::Reserved);
        }
        let fields = Fields::from_iter([(tenant::NAME, Value::from(tenant.as_str()))]);
        self.put(tenant::NAMESPACE, fields)?;
        self.0.get_or_insert_default().tenant = Some(tenant);
        Ok(())
    }

    /// Whose the request is, if that is known.
    #[must_use]
    pub fn tenant(&self) -> Option<&Tenant> {
        self.0.as_ref()?.tenant.as_ref()
    }

    fn put(&mut self, namespace: &str, fields: Fields) -> Result<(), Overflow> {
        let own = weight(&fields, MAX_DEPTH)?.saturating_add(namespace.len());
        let before = self.0.as_ref().map_or(0, |content| content.weight);
        let weight = before.saturating_add(own);
        if weight > MAX_WEIGHT {
            return Err(Overflow::Size);
        }
        let content = self.0.get_or_insert_default();
        content.weight = weight;
        match content.namespaces.entry(namespace.into()) {
            Entry::Vacant(entry) => {
                entry.insert(fields);
            }
            Entry::Occupied(mut entry) => entry.get_mut().0.extend(fields.0),
        }
        Ok(())
    }

    /// The fields of `namespace`.
    #[must_use]
    pub fn namespace(&self, namespace: &str) -> Option<&Fields> {
        self.0.as_ref()?.namespaces.get(namespace)
    }

    /// The value at `path` in `namespace`. A path leads through structs, not through lists.
    #[must_use]
    pub fn find<K: AsRef<str>>(&self, namespace: &str, path: &[K]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let mut value = self.namespace(namespace)?.find(first.as_ref())?;
        for key in rest {
            value = match value {
                Value::Struct(fields) => fields.find(key.as_ref())?,
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::List(_) => return None,
            };
        }
        Some(value)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// Names of namespaces only: values may be secret.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().flat_map(|content| content.namespaces.keys());
        f.debug_set().entries(names).finish()
    }
}

#[derive(Clone, Default, PartialEq)]
struct Content {
    namespaces: BTreeMap<Box<str>, Fields>,
    /// Of everything that was ever added: replaced values still count, so that nobody can keep the
    /// mesh busy with replacing.
    weight: usize,
    /// Also among the values, for conditions on those.
    tenant: Option<Tenant>,
}

/// A value, as JSON knows them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing, said explicitly.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    String(Box<str>),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Struct(Fields),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// Values by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(BTreeMap<Box<str>, Value>);

impl Fields {
    /// Sets the field `name`.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    /// The field `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The fields in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

impl<K: Into<Box<str>>> FromIterator<(K, Value)> for Fields {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

/// Why values cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Overflow {
    /// Together they would be larger than 64 KiB.
    #[error("metadata would exceed {MAX_WEIGHT} bytes")]
    Size,
    /// One has more than 16 levels.
    #[error("metadata is nested more than {MAX_DEPTH} levels deep")]
    Depth,
    /// It is not for filters to say.
    #[error("whose a request is cannot be said again")]
    Reserved,
}

/// The bytes that `fields` take, roughly.
fn weight(fields: &Fields, depth: usize) -> Result<usize, Overflow> {
    let depth = depth.checked_sub(1).ok_or(Overflow::Depth)?;
    fields.0.iter().try_fold(0_usize, |sum, (name, value)| {
        Ok(sum.saturating_add(name.len()).saturating_add(weight_of(value, depth)?))
    })
}

fn weight_of(value: &Value, depth: usize) -> Result<usize, Overflow> {
    let content = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Struct(fields) => weight(fields, depth)?,
        Value::List(values) => {
            let depth = depth.checked_sub(1).ok_or(Overflow::Depth)?;
            values.iter().try_fold(0_usize, |sum, value| {
                Ok::<_, Overflow>(sum.saturating_add(weight_of(value, depth)?))
            })?
        }
    };
    Ok(content.saturating_add(OVERHEAD))
}

/// Bytes of everything that filters leave for one request at the most. Claims of a large token
/// take a tenth of it.
const MAX_WEIGHT: usize = 64 << 10;

/// Levels of structs and lists at the most.
const MAX_DEPTH: usize = 16;

/// What a value takes besides its content.
const OVERHEAD: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Fields {
        (1..levels).fold(Fields::from_iter([("k", Value::Null)]), |inner, _| {
            Fields::from_iter([("k", Value::Struct(inner))])
        })
    }

    #[test]
    fn values_are_found_through_structs_only() {
        let mut metadata = Metadata::default();
        assert!(metadata.is_empty() && metadata.find("jwt", &["sub"]).is_none());
        let groups = Value::List(vec!["a".into()]);
        let claims = Fields::from_iter([("sub", "me".into()), ("groups", groups.clone())]);
        let fields = Fields::from_iter([("payload", Value::Struct(claims))]);
        metadata.add("jwt", fields).unwrap();
        assert_eq!(metadata.find("jwt", &["payload", "sub"]), Some(&"me".into()));
        assert_eq!(metadata.find("jwt", &["payload", "groups"]), Some(&groups));
        assert_eq!(metadata.find("jwt", &["payload", "groups", "0"]), None);
        assert_eq!(metadata.find("jwt", &["sub"]), None);
        assert_eq!(metadata.find("jwt", &[""; 0]), None);
        assert_eq!(metadata.find("JWT", &["payload"]), None);
    }

    #[test]
    fn fields_are_added_to_those_of_the_namespace() {
        let mut metadata = Metadata::default();
        metadata.add("a", Fields::from_iter([("x", true.into()), ("y", true.into())])).unwrap();
        metadata.add("a", Fields::from_iter([("y", false.into())])).unwrap();
        let fields: Vec<_> = metadata.namespace("a").unwrap().iter().collect();
        assert_eq!(fields, [("x", &Value::Bool(true)), ("y", &Value::Bool(false))]);
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let mut metadata = Metadata::default();
        assert_eq!(metadata.add("a", nested(17)), Err(Overflow::Depth));
        assert!(metadata.is_empty());
        assert_eq!(metadata.add("a", nested(16)), Ok(()));
        let large = "x".repeat(40 << 10);
        let large = || Fields::from_iter([("x", large.as_str().into())]);
        assert_eq!(metadata.add("a", large()), Ok(()));
        assert_eq!(metadata.add("a", large()), Err(Overflow::Size));
        assert_eq!(format!("{metadata:?}"), r#"{"a"}"#);
    }
}
