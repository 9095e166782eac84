//! From the entries of a response to named bytes.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use envoy_types::pb::envoy::service::discovery::v3::Resource;
use envoy_types::pb::google::protobuf::{Any, Duration as ProtoDuration};
use prost::Message;

use super::event::shortened;
use super::wire;
use crate::name::{NameError, ResourceName, ResourceType};

const WRAPPER: &str = "type.googleapis.com/envoy.service.discovery.v3.Resource";

/// The longest type URL that is kept of those we do not know, in bytes.
pub(super) const MAX_URL: usize = 256;

/// A resource as it came, not decoded beyond its name.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Raw {
    /// Its name.
    pub name: ResourceName,
    /// Its own version; empty where only the response has one.
    pub version: String,
    /// The encoded message.
    pub body: Bytes,
    /// How long it may be used without being confirmed. The session watches it.
    pub ttl: Option<Duration>,
}

impl fmt::Debug for Raw {
    /// Without the message, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, ttl, .. } = self;
        f.debug_struct("Raw")
            .field("name", name)
            .field("version", version)
            .field("ttl", ttl)
            .finish_non_exhaustive()
    }
}

/// An entry of a response that is no resource of its type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resource {index}{}: {error}", .name.as_ref().map(|name| format!(" \"{name}\"")).unwrap_or_default())]
#[non_exhaustive]
pub struct Malformed {
    /// Its place in the response, counted from 0.
    pub index: usize,
    /// Its name, if that much is known.
    pub name: Option<ResourceName>,
    /// What is wrong.
    pub error: EntryError,
}

/// Why an entry of a response is no resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// Its type is not that of the response.
    #[error("its type is \"{0}\"")]
    WrongType(String),
    /// It is not an encoded message.
    #[error("it is not an encoded message")]
    Encoding,
    /// It has no acceptable name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It has no contents, and no time to live that it could extend.
    #[error("it has no contents")]
    Empty,
    /// The name was there before in the same response.
    #[error("it is there twice")]
    Duplicate,
}

/// What an entry of a response turned out to be.
#[derive(Debug)]
pub(super) enum Entry {
    Resource(Raw),
    /// Extends the time to live of what we have.
    Heartbeat(ResourceName, Duration),
    Malformed(Option<ResourceName>, EntryError),
}

impl Entry {
    /// Reads an entry of a state-of-the-world response.
    pub(super) fn from_any(kind: ResourceType, any: Any) -> Self {
        if any.type_url == WRAPPER {
            return match Resource::decode(&*any.value) {
                Ok(resource) => Self::from_resource(kind, resource),
                Err(_) => Self::Malformed(None, EntryError::Encoding),
            };
        }
        Self::read(kind, "", any)
            .map_or_else(|(name, error)| Self::Malformed(name, error), Self::Resource)
    }

    /// Reads an entry of an incremental response, or one that is wrapped.
    pub(super) fn from_resource(kind: ResourceType, resource: Resource) -> Self {
        let name = match resource.resource_name {
            Some(name) if resource.name.is_empty() => name.name,
            _ => resource.name,
        };
        let ttl = resource.ttl.and_then(positive);
        let Some(any) = resource.resource else {
            return match (ResourceName::parse(kind, &name), ttl) {
                (Ok(name), Some(ttl)) => Self::Heartbeat(name, ttl),
                (Ok(name), None) => Self::Malformed(Some(name), EntryError::Empty),
                (Err(error), _) => Self::Malformed(None, error.into()),
            };
        };
        match Self::read(kind, &name, any) {
            Ok(raw) => Self::Resource(Raw { version: resource.version, ttl, ..raw }),
            Err((name, error)) => Self::Malformed(name, error),
        }
    }

    /// The resource in `any`, which is called `name` unless that is empty.
    fn read(
        kind: ResourceType,
        name: &str,
        any: Any,
    ) -> Result<Raw, (Option<ResourceName>, EntryError)> {
        let given = || ResourceName::parse(kind, name).ok();
        if any.type_url != kind.type_url() {
            return Err((given(), EntryError::WrongType(shortened(&any.type_url, MAX_URL))));
        }
        let inner = wire::first_field(&any.value).ok_or_else(|| (given(), EntryError::Encoding))?;
        let name = ResourceName::parse(kind, if name.is_empty() { inner } else { name })
            .map_err(|error| (None, error.into()))?;
        Ok(Raw { name, version: String::new(), body: any.value.into(), ttl: None })
    }
}

fn positive(duration: ProtoDuration) -> Option<Duration> {
    let seconds = u64::try_from(duration.seconds).ok()?;
    let nanos = u32::try_from(duration.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos)).filter(|duration| !duration.is_zero())
}
