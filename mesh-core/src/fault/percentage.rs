use http::HeaderName;

use crate::matcher::Fraction;
use crate::request::RequestHead;

/// A share of requests (Envoy's `FractionalPercent`), which requests may lower where they may say
/// how they want to fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentage {
    /// How many requests.
    pub numerator: u32,
    /// Of how many.
    pub denominator: Denominator,
}

/// Of how many requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Denominator {
    /// 100.
    #[default]
    Hundred,
    /// 10 000.
    TenThousand,
    /// 1 000 000.
    Million,
}

impl Percentage {
    /// The share itself.
    #[must_use]
    pub fn fraction(self) -> Fraction {
        let scale = match self.denominator {
            Denominator::Hundred => 10_000,
            Denominator::TenThousand => 100,
            Denominator::Million => 1,
        };
        Fraction::per_million(self.numerator.saturating_mul(scale))
    }

    /// The share with the numerator that `head` asks for in its field `name`, up to this one.
    pub(super) fn asked(self, head: &RequestHead<'_>, name: &HeaderName) -> Fraction {
        let asked = number(head, name).and_then(|numerator| u32::try_from(numerator).ok());
        let numerator = asked.map_or(self.numerator, |asked| asked.min(self.numerator));
        Self { numerator, ..self }.fraction()
    }
}

/// The number in a header field's first value, if it is one. Whoever sends the request may have
/// written it, so nothing else of the field counts.
pub(super) fn number(head: &RequestHead<'_>, name: &HeaderName) -> Option<u64> {
    head.headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
