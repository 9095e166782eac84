//! A part of a SPIFFE ID by its place.

use super::spiffe_id::{SpiffeId, SpiffeIdError};

/// A pattern for SPIFFE IDs that takes one segment out of them, such as
/// `spiffe://cluster.local/ns/{tenant}/sa/*`.
///
/// `*` is any one segment; `**`, which comes last, any number. The trust domain is written out, or is
/// itself what is taken: a foreign one must not be able to name the tenants of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiffeTemplate {
    domain: Part,
    path: Box<[Part]>,
    /// Whether more segments may follow.
    is_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Any,
    Taken,
}

/// Why something is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpiffeTemplateError {
    /// Without its operators it would be no SPIFFE ID.
    #[error(transparent)]
    Id(#[from] SpiffeIdError),
    /// It takes nothing, or more than one segment.
    #[error("`{{tenant}}` must stand there once, not {0} times")]
    Taken(usize),
    /// The trust domain is any.
    #[error("the trust domain may not be `*`: write it out, or as `{{tenant}}`")]
    AnyDomain,
    /// Something follows `**`.
    #[error("`**` must be the last segment")]
    NotLast,
}

const TAKEN: &str = "{tenant}";
const ANY: &str = "*";
const ALL: &str = "**";

impl SpiffeTemplate {
    /// The pattern written as `text`.
    ///
    /// # Errors
    /// [`SpiffeTemplateError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SpiffeTemplateError> {
        let plain: Vec<_> =
            text.split('/').map(|it| if is_operator(it) { "x" } else { it }).collect();
        SpiffeId::parse(&plain.join("/"))?;
        let mut parts = text.split('/').skip(2);
        let domain = parts.next().unwrap_or_default();
        if [ANY, ALL].contains(&domain) {
            return Err(SpiffeTemplateError::AnyDomain);
        }
        let mut path: Vec<&str> = parts.collect();
        let is_open = path.pop_if(|last| *last == ALL).is_some();
        if path.contains(&ALL) {
            return Err(SpiffeTemplateError::NotLast);
        }
        let taken = text.split('/').filter(|it| *it == TAKEN).count();
        if taken != 1 {
            return Err(SpiffeTemplateError::Taken(taken));
        }
        let path = path.into_iter().map(Part::of).collect();
        Ok(Self { domain: Part::of(domain), path, is_open })
    }

    /// What stands in `id` where the template says `{tenant}`; `None` if `id` is not of this form.
    #[must_use]
    pub fn take<'a>(&self, id: &'a SpiffeId) -> Option<&'a str> {
        let mut segments = id.path().split('/').skip(1);
        let mut taken = self.domain.take(id.trust_domain_str())?;
        for part in &self.path {
            let found = part.take(segments.next()?)?;
            taken = taken.or(found);
        }
        if !self.is_open && segments.next().is_some() {
            return None;
        }
        taken
    }
}

impl Part {
    fn of(segment: &str) -> Self {
        match segment {
            TAKEN => Self::Taken,
            ANY => Self::Any,
            literal => Self::Literal(literal.into()),
        }
    }

    /// `None` if `segment` is none that may stand here, else what is taken of it.
    #[expect(clippy::option_option, reason = "whether it fits, and what is taken then")]
    fn take<'a>(&self, segment: &'a str) -> Option<Option<&'a str>> {
        match self {
            Self::Literal(literal) => (**literal == *segment).then_some(None),
            Self::Any => Some(None),
            Self::Taken => Some(Some(segment)),
        }
    }
}

fn is_operator(segment: &str) -> bool {
    [TAKEN, ANY, ALL].contains(&segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_segment_is_taken_by_its_place() {
        let namespace = "spiffe://td/ns/{tenant}/sa/*";
        for (template, id, taken) in [
            (namespace, "spiffe://td/ns/red/sa/web", Some("red")),
            (namespace, "spiffe://other/ns/red/sa/web", None),
            (namespace, "spiffe://td/ns/red/sa", None),
            (namespace, "spiffe://td/ns/red/sa/web/x", None),
            (namespace, "spiffe://td/sn/red/sa/web", None),
            (namespace, "spiffe://td", None),
            ("spiffe://{tenant}/**", "spiffe://red.org/ns/x/sa/y", Some("red.org")),
            ("spiffe://{tenant}/**", "spiffe://red.org", Some("red.org")),
            ("spiffe://{tenant}", "spiffe://red.org/ns", None),
            ("spiffe://td/{tenant}/**", "spiffe://td/red", Some("red")),
            ("spiffe://td/{tenant}/**", "spiffe://td", None),
            ("spiffe://td/a/*/{tenant}", "spiffe://td/a/b/red", Some("red")),
        ] {
            let id = SpiffeId::parse(id).unwrap();
            assert_eq!(
                SpiffeTemplate::parse(template).unwrap().take(&id),
                taken,
                "{template} {id}"
            );
        }
    }

    #[test]
    fn templates_that_let_others_in_are_refused() {
        use SpiffeTemplateError::{AnyDomain, Id, NotLast, Taken};
        for (template, error) in [
            ("spiffe://td/ns/*", Taken(0)),
            ("spiffe://{tenant}/ns/{tenant}", Taken(2)),
            ("spiffe://*/ns/{tenant}", AnyDomain),
            ("spiffe://td/**/{tenant}", NotLast),
            ("spiffe://td/**/**", NotLast),
            ("td/ns/{tenant}", Id(SpiffeIdError::Scheme)),
            ("spiffe://td/ns/{tenant}/", Id(SpiffeIdError::EmptySegment)),
            ("spiffe://td/ns-{tenant}", Id(SpiffeIdError::PathCharacter('{'))),
            ("spiffe://td/n*/{tenant}", Id(SpiffeIdError::PathCharacter('*'))),
        ] {
            assert_eq!(SpiffeTemplate::parse(template), Err(error), "{template}");
        }
    }
}
