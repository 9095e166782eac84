use std::sync::Arc;

/// What a TLS handshake begins with, as far as a filter chain is chosen by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The name that the client asks for (SNI), in lower case.
    pub server_name: Option<Arc<str>>,
    /// The protocols that it offers (ALPN), its favourite first.
    pub protocols: Vec<Box<[u8]>>,
}

impl Hello {
    /// How much the client likes `protocol`; `None` if it does not offer it.
    pub(super) fn rank(&self, protocol: &str) -> Option<u32> {
        let at = self.protocols.iter().rev().position(|one| **one == *protocol.as_bytes())?;
        u32::try_from(at).ok()?.checked_add(1)
    }
}

/// Which names a filter chain is for, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NamePattern {
    /// This one.
    Exact(Arc<str>),
    /// All that end in this, which begins with a dot: `.example.com` for `*.example.com`.
    Below(Arc<str>),
}

impl NamePattern {
    /// The pattern that `text` is: a name, or one with `*` in place of its first labels. Case does
    /// not matter.
    ///
    /// `None` for anything else with a `*` in it, and for an empty text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let (pattern, name) = match text.strip_prefix('*') {
            Some(suffix) => (Self::Below(suffix.into()), suffix.strip_prefix('.')?),
            None => (Self::Exact((*text).into()), &*text),
        };
        (!name.is_empty() && !name.contains('*')).then_some(pattern)
    }

    /// How specific it is for `name`; `None` if it is not for it.
    pub(super) fn rank(&self, name: &str) -> Option<u32> {
        match self {
            Self::Exact(exact) => (**exact == *name).then_some(u32::MAX),
            Self::Below(suffix) if name.len() > suffix.len() && name.ends_with(&**suffix) => {
                u32::try_from(suffix.len()).ok()
            }
            Self::Below(_) => None,
        }
    }
}
