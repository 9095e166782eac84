//! Which tokens a request needs.

use super::Failure;

/// Audiences that replace those of a provider (`provider_and_audiences`).
pub type Audiences = Box<[Box<str>]>;

/// Says what is known of the tokens of a request.
pub trait Verify {
    /// Of those of one provider, for these audiences if they are not its own. All that stand where
    /// its tokens do must be valid ones of it.
    fn own(&mut self, provider: usize, audiences: Option<&[Box<str>]>) -> Answer;

    /// Of all that stand where those of any of these providers do. Each must be a valid one of
    /// [one](one_of) of those that it may be of.
    fn each(&mut self, providers: &[usize]) -> Answer;
}

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

/// What is known of some tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All are valid, and there is one.
    Valid,
    /// There is none, or one is not valid.
    Failed(Failure),
    /// Nothing yet: keys have to be fetched.
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
    pub fn evaluate(&self, verify: &mut dyn Verify) -> Outcome {
        match self {
            Self::Nothing => Outcome::Allowed,
            Self::Provider(provider, audiences) => {
                match verify.own(*provider, audiences.as_deref()) {
                    Answer::Valid => Outcome::Allowed,
                    Answer::Failed(why) => Outcome::Denied(why),
                    Answer::Pending => Outcome::Pending,
                }
            }
            Self::Any(all) => any(all, verify),
            Self::All(all) => {
                let mut outcomes = all.iter().map(|one| one.evaluate(verify));
                outcomes.find(|it| *it != Outcome::Allowed).unwrap_or(Outcome::Allowed)
            }
            Self::Valid(providers) => match verify.each(providers) {
                Answer::Valid | Answer::Failed(Failure::Missing) => Outcome::Allowed,
                Answer::Failed(why) => Outcome::Denied(why),
                Answer::Pending => Outcome::Pending,
            },
            Self::Whatever(providers) => match verify.each(providers) {
                Answer::Valid | Answer::Failed(_) => Outcome::Allowed,
                Answer::Pending => Outcome::Pending,
            },
        }
    }
}

/// The reason for a denial is that of a token that was meant for us, if there is one.
fn any(all: &[Requirement], verify: &mut dyn Verify) -> Outcome {
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

/// What is known of one token that may be of several providers, given what each of them says. The
/// first that calls it valid is the last that is asked.
///
/// The reason of one that has made it counts for more than those of others.
pub fn one_of(answers: impl IntoIterator<Item = Answer>) -> Answer {
    let (mut failed, mut is_pending) = (Failure::Missing, false);
    for answer in answers {
        match answer {
            Answer::Valid => return Answer::Valid,
            Answer::Pending => is_pending = true,
            Answer::Failed(why) if failed == Failure::Missing || !why.is_of_nobody() => {
                failed = why;
            }
            Answer::Failed(_) => {}
        }
    }
    if is_pending { Answer::Pending } else { Answer::Failed(failed) }
}

impl Requirement {
    fn is_lenient(&self) -> bool {
        matches!(self, Self::Valid(_) | Self::Whatever(_) | Self::Nothing)
    }
}
