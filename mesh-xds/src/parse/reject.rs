//! Why a resource is refused, and where in it the reason lies.

use std::fmt;

/// A resource is not valid: where, and why. Becomes the text of the NACK.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{why}", path, if path.is_empty() { "" } else { ": " })]
pub struct Reject {
    /// The resource's name; empty where it could not be found out.
    pub resource: Box<str>,
    /// The field, such as `virtual_hosts[0].routes[3].match.safe_regex`; empty for the whole.
    pub path: Box<str>,
    /// What is wrong with it.
    pub why: Box<str>,
}

impl Reject {
    /// The same, said of the resource called `name`.
    #[must_use]
    pub fn of(mut self, name: &str) -> Self {
        self.resource = name.into();
        self
    }
}

/// Where in a resource a parse function is.
///
/// A chain of borrowed steps on the stack: it costs a few words per level and becomes text only
/// when something is refused.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    before: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Element(&'a str, usize),
    Entry(&'a str, &'a str),
}

impl<'a> Path<'a> {
    /// The resource itself.
    #[must_use]
    pub const fn root() -> Self {
        Self { before: None, step: Step::Root }
    }

    /// The field `name` of this message. Dots in it stand for fields of fields.
    #[must_use]
    pub const fn field<'b>(&'b self, name: &'b str) -> Path<'b> {
        Path { before: Some(self), step: Step::Field(name) }
    }

    /// Element `at` of the repeated field `name` of this message.
    #[must_use]
    pub const fn element<'b>(&'b self, name: &'b str, at: usize) -> Path<'b> {
        Path { before: Some(self), step: Step::Element(name, at) }
    }

    /// The entry for `key` of the map field `name` of this message.
    #[must_use]
    pub const fn entry<'b>(&'b self, name: &'b str, key: &'b str) -> Path<'b> {
        Path { before: Some(self), step: Step::Entry(name, key) }
    }

    /// Refuses the resource because of what is here.
    #[must_use]
    #[cold]
    pub fn reject(&self, why: impl fmt::Display) -> Reject {
        let why = why.to_string().into();
        Reject { resource: Box::default(), path: self.to_string().into(), why }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(before) = self.before {
            before.fmt(f)?;
            if !matches!(before.step, Step::Root) {
                f.write_str(".")?;
            }
        }
        match self.step {
            Step::Root => Ok(()),
            Step::Field(name) => f.write_str(name),
            Step::Element(name, at) => write!(f, "{name}[{at}]"),
            Step::Entry(name, key) => write!(f, "{name}[{key:?}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_reason_are_the_text() {
        let root = Path::root();
        let host = root.element("virtual_hosts", 0);
        let route = host.element("routes", 3);
        let reject = route.field("match.safe_regex").reject("unclosed group").of("local");
        assert_eq!(
            reject.to_string(),
            "virtual_hosts[0].routes[3].match.safe_regex: unclosed group"
        );
        assert_eq!(&*reject.resource, "local");
        assert_eq!(root.reject("not a message").to_string(), "not a message");
        let entry = host.entry("typed_per_filter_config", "a b");
        assert_eq!(entry.to_string(), r#"virtual_hosts[0].typed_per_filter_config["a b"]"#);
    }
}
