//! The filter that lets no request pass without the tokens it needs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN, WWW_AUTHENTICATE,
};
use http::{HeaderMap, Method, StatusCode};
use mesh_core::filter::{Context, Filter, LocalResponse, Slot, Step};
use mesh_core::jwt::{Answer, Failure, Found, Outcome, Requirement, Verify, one_of};
use mesh_core::request::RequestHead;
use mesh_core::route::RouteMatch;

use super::effects::Effects;
use super::remote::{Flight, Landing, Look};
use super::token::Token;
use super::{KeySource, Provider};

/// What `JwtAuthentication` says.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) providers: Vec<Provider>,
    /// The first that matches counts; requests that none matches need nothing.
    pub(crate) rules: Vec<(RouteMatch, Requirement)>,
    /// `requirement_map`.
    pub(crate) named: BTreeMap<Box<str>, Requirement>,
    pub(crate) bypass_cors_preflight: bool,
    pub(crate) strip_failure_response: bool,
}

/// Which requirement counts on a route (`PerRouteConfig`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// That of the first rule that matches.
    ByRules,
    /// None.
    Disabled,
    /// That of `requirement_map` under this name.
    Named(Box<str>),
    /// One that nothing meets: the configuration is not understood.
    Closed,
}

/// Lets no request pass without the tokens it needs.
#[derive(Debug)]
pub(crate) struct Authenticate {
    pub(crate) rules: Arc<Rules>,
    pub(crate) choice: Choice,
}

impl Filter for Authenticate {
    fn poll_request(
        &self,
        slot: &mut Slot,
        head: &RequestHead<'_>,
        context: &mut Context<'_>,
    ) -> Step {
        if let (Some(answer), Slot::Boxed(flight)) = (context.answer.take(), std::mem::take(slot))
            && let Ok(flight) = flight.downcast::<Flight>()
        {
            flight.land(answer, context.now);
        }
        self.sanitise(context);
        let requirement = match self.requirement(head) {
            Ok(Some(requirement)) => requirement,
            Ok(None) => return Step::Continue,
            Err(response) => return Step::Respond(*response),
        };
        let mut round = Round {
            rules: &self.rules,
            head,
            now: context.now,
            wall: context.wall,
            effects: Effects::default(),
            next: None,
        };
        let outcome = requirement.evaluate(&mut round);
        let Round { effects, next, .. } = round;
        let denied = match (outcome, next) {
            (Outcome::Allowed, _) => match effects.apply(&mut context.metadata, context.changes) {
                Ok(()) => return Step::Continue,
                Err(why) => why,
            },
            (Outcome::Pending, Some(Next::Fetch(flight))) => {
                let call = flight.call();
                *slot = Slot::Boxed(Box::new(flight));
                return Step::Ask(Box::new(call));
            }
            (Outcome::Pending, Some(Next::Wait(landing))) => {
                let latest = landing.latest(context.now);
                return Step::WaitFor(Box::new(landing), latest);
            }
            (Outcome::Pending, None) => Failure::Fetch,
            (Outcome::Denied(why), _) => {
                // For logs only: what has no room is left out.
                let _ = effects.note(&mut context.metadata);
                why
            }
        };
        Step::Respond(self.denial(denied, head))
    }

    fn watches_all(&self) -> bool {
        false
    }
}

impl Authenticate {
    /// Nobody but this filter writes the header fields that services read claims from.
    fn sanitise(&self, context: &mut Context<'_>) {
        for provider in &self.rules.providers {
            let payload = provider.payload_header.iter().map(|(name, _)| name);
            let names = payload.chain(provider.claim_headers.iter().map(|claim| &claim.header));
            context.changes.remove.extend(names.cloned());
        }
    }

    /// What the request needs; `None` if that is nothing.
    fn requirement(
        &self,
        head: &RequestHead<'_>,
    ) -> Result<Option<&Requirement>, Box<LocalResponse>> {
        if self.rules.bypass_cors_preflight && is_preflight(head) {
            return Ok(None);
        }
        match &self.choice {
            Choice::Disabled => Ok(None),
            Choice::ByRules => {
                let mut rules = self.rules.rules.iter();
                Ok(rules.find(|(matcher, _)| matcher.matches(head)).map(|(_, needed)| needed))
            }
            Choice::Named(name) => match self.rules.named.get(name) {
                Some(requirement) => Ok(Some(requirement)),
                None => Err(self.misconfigured(&format!("Wrong requirement_name: {name}"))),
            },
            Choice::Closed => Err(self.misconfigured("not configured")),
        }
    }

    #[cold]
    fn misconfigured(&self, why: &str) -> Box<LocalResponse> {
        let body = format!("Failed JWT authentication: {why}");
        Box::new(LocalResponse {
            status: StatusCode::FORBIDDEN,
            grpc: 7,
            headers: HeaderMap::new(),
            body: if self.rules.strip_failure_response { "".into() } else { body.into() },
            why: format!("jwt_authn: {why}").into(),
        })
    }

    #[cold]
    fn denial(&self, why: Failure, head: &RequestHead<'_>) -> LocalResponse {
        let (mut headers, mut body) = (HeaderMap::new(), String::new());
        if !self.rules.strip_failure_response {
            headers.insert(WWW_AUTHENTICATE, challenge(why, head));
            body = why.to_string();
        }
        LocalResponse {
            status: why.status(),
            grpc: why.grpc(),
            headers,
            body: body.into(),
            why: format!("jwt_authn: {why}").into(),
        }
    }
}

/// One look at a request's tokens.
struct Round<'a> {
    rules: &'a Rules,
    head: &'a RequestHead<'a>,
    now: Instant,
    wall: u64,
    effects: Effects,
    /// What has to happen before the next look.
    next: Option<Next>,
}

enum Next {
    Fetch(Flight),
    Wait(Landing),
}

impl Verify for Round<'_> {
    fn own(&mut self, provider: usize, audiences: Option<&[Box<str>]>) -> Answer {
        let Some(provider) = self.rules.providers.get(provider) else {
            return Answer::Failed(Failure::Fetch);
        };
        let answer = match provider.locations.find(self.head) {
            Ok(found) => self.all(provider, audiences, &found),
            Err(why) => Answer::Failed(why),
        };
        if let Answer::Failed(why) = answer {
            self.effects.fail(provider, why);
        }
        answer
    }

    fn each(&mut self, providers: &[usize]) -> Answer {
        let mut tokens: Vec<(Found<'_>, Vec<&Provider>)> = Vec::new();
        for at in providers {
            let Some(provider) = self.rules.providers.get(*at) else {
                return Answer::Failed(Failure::Fetch);
            };
            let found = match provider.locations.find(self.head) {
                Ok(found) => found,
                Err(why) => return Answer::Failed(why),
            };
            if found.is_empty() {
                self.effects.fail(provider, Failure::Missing);
            }
            for found in found {
                match tokens.iter_mut().find(|(known, _)| *known == found) {
                    Some((_, all)) => all.push(provider),
                    None => tokens.push((found, vec![provider])),
                }
            }
        }
        let (mut failed, mut is_pending) = (None, false);
        for (found, providers) in &tokens {
            match self.anybodys(found, providers) {
                Answer::Valid => {}
                Answer::Pending => is_pending = true,
                Answer::Failed(why) => failed = failed.or(Some(why)),
            }
        }
        match failed {
            _ if is_pending => Answer::Pending,
            Some(why) => Answer::Failed(why),
            None if tokens.is_empty() => Answer::Failed(Failure::Missing),
            None => Answer::Valid,
        }
    }
}

impl Round<'_> {
    /// What is known of the tokens that are found where those of `provider` stand.
    ///
    /// A good token does not excuse a bad one beside it: the service may read either.
    fn all(
        &mut self,
        provider: &Provider,
        audiences: Option<&[Box<str>]>,
        found: &[Found<'_>],
    ) -> Answer {
        if found.is_empty() {
            return Answer::Failed(Failure::Missing);
        }
        let answers = found.iter().map(|found| self.one(provider, audiences, found));
        let mut not_valid = answers.filter(|it| *it != Answer::Valid);
        not_valid.next().unwrap_or(Answer::Valid)
    }

    /// What is known of a token that may be of any of `providers`.
    fn anybodys(&mut self, found: &Found<'_>, providers: &[&Provider]) -> Answer {
        let answers = providers.iter().map(|provider| self.one(provider, None, found));
        let answer = one_of(answers);
        if let Answer::Failed(why) = answer {
            providers.iter().for_each(|provider| self.effects.fail(provider, why));
        }
        answer
    }

    fn one(
        &mut self,
        provider: &Provider,
        audiences: Option<&[Box<str>]>,
        found: &Found<'_>,
    ) -> Answer {
        let verified = Token::parse(found.token).and_then(|token| {
            // Claims first: a signature is a thousand times as much work.
            provider.expectations.check(&token.claims, audiences, self.wall)?;
            let answer = self.signature(provider, &token)?;
            if answer == Answer::Valid {
                self.effects.add(provider, &token, &found.place);
            }
            Ok(answer)
        });
        verified.unwrap_or_else(Answer::Failed)
    }

    fn signature(&mut self, provider: &Provider, token: &Token<'_>) -> Result<Answer, Failure> {
        let remote = match &provider.keys {
            KeySource::Local(keys) => return keys.verify(token).map(|()| Answer::Valid),
            KeySource::Remote(remote) => remote,
        };
        // One thing at a time is waited for.
        if self.next.is_some() {
            return Ok(Answer::Pending);
        }
        match remote.look(self.now) {
            Look::Use(keys) => match keys.verify(token) {
                Err(Failure::NoKey) => self.await_keys(remote.look_again(self.now), Failure::NoKey),
                verified => verified.map(|()| Answer::Valid),
            },
            look @ (Look::Fetch(_) | Look::Wait(_) | Look::Fail) => {
                self.await_keys(look, Failure::Fetch)
            }
        }
    }

    fn await_keys(&mut self, look: Look, otherwise: Failure) -> Result<Answer, Failure> {
        self.next = Some(match look {
            Look::Fetch(flight) => Next::Fetch(flight),
            Look::Wait(landing) => Next::Wait(landing),
            Look::Use(_) | Look::Fail => return Err(otherwise),
        });
        Ok(Answer::Pending)
    }
}

/// A browser's question before the request itself, which carries no credentials.
fn is_preflight(head: &RequestHead<'_>) -> bool {
    let has = |name: HeaderName| head.headers.get(name).is_some_and(|it| !it.is_empty());
    head.method == Method::OPTIONS && has(ORIGIN) && has(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Bytes of the URI in a challenge at the most, as in Envoy.
const MAX_REALM: usize = 256;

/// `www-authenticate` (RFC 6750, 3), with the URI as its realm as far as it needs no quoting.
fn challenge(why: Failure, head: &RequestHead<'_>) -> HeaderValue {
    let mut uri = format!("{}://{}{}", head.scheme, head.authority, head.path_and_query());
    uri.retain(|c| c.is_ascii_graphic() && c != '"' && c != '\\');
    uri.truncate(MAX_REALM);
    let error = if why == Failure::Missing { "" } else { ", error=\"invalid_token\"" };
    let challenge = HeaderValue::try_from(format!("Bearer realm=\"{uri}\"{error}"));
    challenge.unwrap_or(HeaderValue::from_static("Bearer"))
}
