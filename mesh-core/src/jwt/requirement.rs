//! Which tokens a request needs.

use super::Failure;

/// Audiences that replace those of a provider (`provider_and_audiences`).
pub type Audiences = Box<[Box<str>]>;

/// Says what is known of the tokens of a provider, for these audiences if they are not its own.
pub type Verify<'a> = dyn FnMut(usize, Option<&[Box<str>]>) -> Answer + 'a;

/// Which tokens a request needs (`JwtRequirement`). Providers are meant by their place in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// None, and none is looked at.
    Nothing,
    /// A valid one of this provider.
    Provider(usize, Option<Audiences>),
    /// One of these must hold.
    Any(Vec<Requirement>),
    /// All of these must hold.
    All(Vec<Requirement>),
    /// None, but those that are there, of any of these providers, must be valid (`allow_missing`).
    Valid(Vec<usize>),
    /// None; those that are valid are made known (`allow_missing_or_failed`).
    Whatever(Vec<usize>),
}

/// What is known of the tokens of one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All are valid, and there is one.
    Valid,
    /// There is none, or one is not valid.
    Failed(Failure),
    /// Nothing yet: its keys have to be fetched.
    Pending,
}

/// What a requirement comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Allowed,
    /// It does not.
    Denied(Failure),
    /// That cannot be said yet.
    Pending,
}

impl Requirement {
    /// What the requirement comes to, given the answers of `verify` about one provider's tokens.
    pub fn evaluate(&self, verify: &mut Verify<'_>) -> Outcome {
        match self {
            Self::Nothing => Outcome::Allowed,
            Self::Provider(provider, audiences) => match verify(*provider, audiences.as_deref()) {
                Answer::Valid => Outcome::Allowed,
                Answer::Failed(why) => Outcome::Denied(why),
                Answer::Pending => Outcome::Pending,
            },
            Self::Any(all) => any(all, verify),
            Self::All(all) => {
                let mut outcomes = all.iter().map(|one| one.evaluate(verify));
                outcomes.find(|it| *it != Outcome::Allowed).unwrap_or(Outcome::Allowed)
            }
            Self::Valid(providers) => valid(providers, verify),
            Self::Whatever(providers) => {
                let mut answers = providers.iter().map(|provider| verify(*provider, None));
                if answers.any(|it| it == Answer::Pending) {
                    return Outcome::Pending;
                }
                Outcome::Allowed
            }
        }
    }
}

/// The reason for a denial is that of a token that was meant for us, if there is one.
fn any(all: &[Requirement], verify: &mut Verify<'_>) -> Outcome {
    let mut denied = Failure::Missing;
    // What needs no token says nothing about those that are there, so it comes last.
    let (lenient, strict): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.is_lenient());
    for one in strict.into_iter().chain(lenient) {
        match one.evaluate(verify) {
            Outcome::Denied(why) if denied.is_of_nobody() || !why.is_of_nobody() => denied = why,
            Outcome::Denied(_) => {}
            decided @ (Outcome::Allowed | Outcome::Pending) => return decided,
        }
    }
    Outcome::Denied(denied)
}

/// A token of one provider is of an unknown issuer to the others; one that none knows is not valid.
fn valid(providers: &[usize], verify: &mut Verify<'_>) -> Outcome {
    let (mut is_known, mut is_unknown) = (false, false);
    for provider in providers {
        match verify(*provider, None) {
            Answer::Valid => is_known = true,
            Answer::Failed(Failure::Missing) => {}
            Answer::Failed(Failure::Issuer) => is_unknown = true,
            Answer::Failed(why) => return Outcome::Denied(why),
            Answer::Pending => return Outcome::Pending,
        }
    }
    if is_unknown && !is_known { Outcome::Denied(Failure::Issuer) } else { Outcome::Allowed }
}

impl Requirement {
    fn is_lenient(&self) -> bool {
        matches!(self, Self::Valid(_) | Self::Whatever(_) | Self::Nothing)
    }
}
