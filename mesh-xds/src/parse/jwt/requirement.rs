//! `RequirementRule` and `JwtRequirement`.

use std::collections::{BTreeMap, HashMap};

use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::jwt_requirement::RequiresType;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::requirement_rule::RequirementType;
use envoy_types::pb::envoy::extensions::filters::http::jwt_authn::v3::{
    JwtRequirement, RequirementRule,
};
use mesh_core::jwt::Requirement;
use mesh_core::matcher::Field;
use mesh_core::request::is_visible_to_grpc;
use mesh_core::route::RouteMatch;

use crate::parse::route::route_match;
use crate::parse::{Path, Reject};

/// The names of the providers in their order.
pub(super) struct Names<'a>(pub(super) Vec<&'a str>);

impl Names<'_> {
    fn find(&self, name: &str, path: &Path<'_>) -> Result<usize, Reject> {
        let found = self.0.iter().position(|known| *known == name);
        found.ok_or_else(|| path.reject(format_args!("{name:?} is none of the providers")))
    }

    fn all(&self) -> Vec<usize> {
        (0..self.0.len()).collect()
    }
}

type Named = BTreeMap<Box<str>, Requirement>;

/// `requirement_map`.
pub(super) fn named(
    messages: &HashMap<String, JwtRequirement>,
    names: &Names<'_>,
    path: &Path<'_>,
) -> Result<Named, Reject> {
    let ordered: BTreeMap<_, _> = messages.iter().collect();
    let each = ordered.into_iter().map(|(name, message)| {
        let requirement = requirement(message, names, &path.entry("requirement_map", name))?;
        Ok((name.as_str().into(), requirement))
    });
    each.collect()
}

/// `rules`.
pub(super) fn rules(
    messages: &[RequirementRule],
    names: &Names<'_>,
    named: &Named,
    path: &Path<'_>,
) -> Result<Vec<(RouteMatch, Requirement)>, Reject> {
    let each = messages.iter().enumerate();
    each.map(|(at, message)| rule(message, names, named, &path.element("rules", at))).collect()
}

fn rule(
    message: &RequirementRule,
    names: &Names<'_>,
    named: &Named,
    path: &Path<'_>,
) -> Result<(RouteMatch, Requirement), Reject> {
    let place = path.field("match");
    let matcher = message.r#match.as_ref().ok_or_else(|| place.reject("is required"))?;
    let matcher = route_match(matcher, &place)?;
    if matcher.fraction.is_some() {
        return Err(place.field("runtime_fraction").reject("is not supported"));
    }
    for (at, header) in matcher.headers.iter().enumerate() {
        // Requests that nobody can match would need nothing.
        if let Field::Header(name) = &header.field
            && !is_visible_to_grpc(name)
        {
            let why = format_args!("{name} is not seen in gRPC requests");
            return Err(place.element("headers", at).field("name").reject(why));
        }
    }
    let needed = match &message.requirement_type {
        // As documented: a rule that exempts requests.
        None => Requirement::Nothing,
        Some(RequirementType::Requires(message)) => {
            requirement(message, names, &path.field("requires"))?
        }
        Some(RequirementType::RequirementName(name)) => {
            let found = named.get(name.as_str()).cloned();
            let path = path.field("requirement_name");
            found.ok_or_else(|| path.reject(format_args!("{name:?} is not in requirement_map")))?
        }
    };
    Ok((matcher, needed))
}

fn requirement(
    message: &JwtRequirement,
    names: &Names<'_>,
    path: &Path<'_>,
) -> Result<Requirement, Reject> {
    nested(message, names, None, path)
}

/// The requirement in `message`, which stands beside those of the providers `beside`.
fn nested(
    message: &JwtRequirement,
    names: &Names<'_>,
    beside: Option<&[usize]>,
    path: &Path<'_>,
) -> Result<Requirement, Reject> {
    // One that stands alone is about the tokens of all.
    let about = || beside.filter(|all| !all.is_empty()).map_or_else(|| names.all(), Into::into);
    Ok(match &message.requires_type {
        Some(RequiresType::ProviderName(name)) => {
            Requirement::Provider(names.find(name, &path.field("provider_name"))?, None)
        }
        Some(RequiresType::ProviderAndAudiences(both)) => {
            let path = path.field("provider_and_audiences");
            let provider = names.find(&both.provider_name, &path.field("provider_name"))?;
            let audiences = both.audiences.iter().map(|it| it.as_str().into());
            let audiences = Some(audiences.collect()).filter(|_| !both.audiences.is_empty());
            Requirement::Provider(provider, audiences)
        }
        Some(RequiresType::RequiresAny(any)) => {
            let beside = providers(&any.requirements, names);
            let all = list(&any.requirements, names, Some(&beside), &path.field("requires_any"))?;
            Requirement::Any(all)
        }
        Some(RequiresType::RequiresAll(all)) => {
            let all = list(&all.requirements, names, None, &path.field("requires_all"))?;
            Requirement::All(all)
        }
        Some(RequiresType::AllowMissing(_)) => Requirement::Valid(about()),
        Some(RequiresType::AllowMissingOrFailed(_)) => Requirement::Whatever(about()),
        Some(RequiresType::ExtractOnlyWithoutValidation(_)) => {
            let path = path.field("extract_only_without_validation");
            return Err(path.reject("is not supported: its claims are anybody's"));
        }
        None => return Err(path.reject("has no requirement that is known")),
    })
}

fn list(
    messages: &[JwtRequirement],
    names: &Names<'_>,
    beside: Option<&[usize]>,
    path: &Path<'_>,
) -> Result<Vec<Requirement>, Reject> {
    if messages.is_empty() {
        return Err(path.field("requirements").reject("is empty"));
    }
    let each = messages.iter().enumerate();
    each.map(|(at, message)| nested(message, names, beside, &path.element("requirements", at)))
        .collect()
}

/// The providers that `messages` name themselves.
fn providers(messages: &[JwtRequirement], names: &Names<'_>) -> Vec<usize> {
    let named = messages.iter().filter_map(|message| match &message.requires_type {
        Some(RequiresType::ProviderName(name)) => Some(name),
        Some(RequiresType::ProviderAndAudiences(both)) => Some(&both.provider_name),
        Some(
            RequiresType::RequiresAny(_)
            | RequiresType::RequiresAll(_)
            | RequiresType::AllowMissing(_)
            | RequiresType::AllowMissingOrFailed(_)
            | RequiresType::ExtractOnlyWithoutValidation(_),
        )
        | None => None,
    });
    named.filter_map(|name| names.0.iter().position(|known| known == name)).collect()
}
