//! What the control plane says of an endpoint for matching.

use std::fmt;

/// Texts by name, such as `tlsMode: istio`.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Labels(Box<[(Box<str>, Box<str>)]>);

impl Labels {
    /// Of two with the same name the last counts.
    #[must_use]
    pub fn new<'a>(all: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut list: Vec<(Box<str>, Box<str>)> = Vec::new();
        for (name, text) in all {
            match list.binary_search_by(|(known, _)| (**known).cmp(name)) {
                Ok(at) => list[at].1 = text.into(),
                Err(at) => list.insert(at, (name.into(), text.into())),
            }
        }
        Self(list.into())
    }

    /// The text called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        self.0.get(at).map(|(_, text)| &**text)
    }

    /// Whether all of `wanted` are among these.
    #[must_use]
    pub fn has_all(&self, wanted: &Self) -> bool {
        wanted.0.iter().all(|(name, text)| self.find(name) == Some(text))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter().map(|(name, text)| (name, text))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wanted_must_be_there() {
        let labels = Labels::new([("b", "1"), ("a", "2"), ("b", "3")]);
        assert_eq!((labels.find("b"), labels.find("c")), (Some("3"), None));
        for (wanted, expect) in [
            (&[][..], true),
            (&[("a", "2")], true),
            (&[("a", "2"), ("b", "3")], true),
            (&[("a", "3")], false),
            (&[("a", "2"), ("c", "")], false),
        ] {
            assert_eq!(labels.has_all(&Labels::new(wanted.iter().copied())), expect, "{wanted:?}");
        }
    }
}
