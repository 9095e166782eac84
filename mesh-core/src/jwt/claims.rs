//! What a token must claim.

use super::Failure;
use crate::identity::SpiffeId;
use crate::matcher::StringMatcher;
use crate::metadata::{Fields, Value};

/// What the tokens of a provider must claim.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// Who has made them (`issuer`); anybody whose keys fit if `None`.
    pub issuer: Option<Box<str>>,
    /// For whom, one of these (`audiences`); for anybody if empty.
    pub audiences: Vec<Box<str>>,
    /// About whom (`subjects`).
    pub subjects: Option<StringMatcher>,
    /// Whether they must expire (`require_expiration`).
    pub require_expiration: bool,
    /// For how many seconds from now they may be valid (`max_lifetime`); such tokens must expire.
    pub max_lifetime: Option<u64>,
    /// By how many seconds clocks may differ (`clock_skew_seconds`, 60 by default).
    pub clock_skew: u32,
}

impl Default for Expectations {
    fn default() -> Self {
        Self {
            issuer: None,
            audiences: Vec::new(),
            subjects: None,
            require_expiration: false,
            max_lifetime: None,
            clock_skew: 60,
        }
    }
}

impl Expectations {
    /// Whether a token's `iss` is the one that is expected. Asked first: a token of somebody else is
    /// not a bad one.
    ///
    /// # Errors
    /// [`Failure::Issuer`] if it is not.
    pub fn check_issuer(&self, claims: &Fields) -> Result<(), Failure> {
        let issuer = text(claims, "iss")?;
        match &self.issuer {
            Some(expected) if issuer != Some(&**expected) => Err(Failure::Issuer),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a token claims all that it must, at `wall` seconds since 1970. `audiences` replaces
    /// those of the provider.
    ///
    /// A token about a SPIFFE id is a JWT-SVID: it must be for somebody, and must expire.
    ///
    /// # Errors
    /// What it lacks.
    pub fn check(
        &self,
        claims: &Fields,
        audiences: Option<&[Box<str>]>,
        wall: u64,
    ) -> Result<(), Failure> {
        self.check_issuer(claims)?;
        let subject = text(claims, "sub")?;
        let is_svid = subject.is_some_and(|it| it.to_ascii_lowercase().starts_with("spiffe:"));
        if is_svid && subject.is_none_or(|it| SpiffeId::parse(it).is_err()) {
            return Err(Failure::Subject);
        }
        if let Some(subjects) = &self.subjects
            && !subject.is_some_and(|it| subjects.matches(it.as_bytes()))
        {
            return Err(Failure::Subject);
        }
        self.check_times(claims, is_svid, wall)?;
        let expected = audiences.unwrap_or(&self.audiences);
        let own = self::audiences(claims)?;
        let is_for = |own: &&str| expected.iter().any(|it| plain(it) == plain(own));
        if (is_svid || !expected.is_empty()) && !own.iter().any(is_for) {
            return Err(Failure::Audience);
        }
        Ok(())
    }

    fn check_times(&self, claims: &Fields, must_expire: bool, wall: u64) -> Result<(), Failure> {
        let now = seconds(wall);
        let skew = f64::from(self.clock_skew);
        time(claims, "iat")?;
        if time(claims, "nbf")?.is_some_and(|begin| now + skew < begin) {
            return Err(Failure::NotYetValid);
        }
        let Some(end) = time(claims, "exp")? else {
            let must = must_expire || self.require_expiration || self.max_lifetime.is_some();
            return if must { Err(Failure::NoClaim("exp")) } else { Ok(()) };
        };
        if now > end + skew {
            return Err(Failure::Expired);
        }
        match self.max_lifetime {
            Some(most) if end - now > seconds(most) + skew => Err(Failure::Lifetime),
            Some(_) | None => Ok(()),
        }
    }
}

/// A claim that must be a string if it is there.
fn text<'a>(claims: &'a Fields, name: &'static str) -> Result<Option<&'a str>, Failure> {
    match claims.find(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Failure::Claim(name)),
    }
}

/// A claim that must be a point in time if it is there. One that is text is an error, not absent.
fn time(claims: &Fields, name: &'static str) -> Result<Option<f64>, Failure> {
    match claims.find(name) {
        None => Ok(None),
        Some(Value::Number(at)) if at.is_finite() && *at >= 0.0 => Ok(Some(*at)),
        Some(_) => Err(Failure::Claim(name)),
    }
}

/// The values of `aud`: a string or a list of strings.
fn audiences(claims: &Fields) -> Result<Vec<&str>, Failure> {
    match claims.find("aud") {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::List(all)) => all
            .iter()
            .map(|one| match one {
                Value::String(one) => Ok(&**one),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::List(_)
                | Value::Struct(_) => Err(Failure::Claim("aud")),
            })
            .collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Struct(_)) => {
            Err(Failure::Claim("aud"))
        }
    }
}

/// Envoy does not tell `https://a/` from `a`.
fn plain(audience: &str) -> &str {
    let bare = audience.strip_prefix("https://").or_else(|| audience.strip_prefix("http://"));
    let bare = bare.unwrap_or(audience);
    bare.strip_suffix('/').unwrap_or(bare)
}

/// Exact for the next million years.
fn seconds(value: u64) -> f64 {
    let bounded = u32::try_from(value >> 32).map_or(f64::from(u32::MAX), f64::from);
    let low = u32::try_from(value & u64::from(u32::MAX)).map_or(0.0, f64::from);
    bounded * 4_294_967_296.0 + low
}
