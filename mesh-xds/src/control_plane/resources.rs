use std::{
    collections::BTreeMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use bytes::Bytes;
use envoy_types::pb::google::protobuf::Any;
use prost::{Message, Name};

use crate::file::FileResource;

/// The resources that one group of nodes is served.
///
/// Versions come from the contents: the same contents have the same version, whenever and in
/// whatever order they were put in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceSet {
    types: BTreeMap<String, BTreeMap<Arc<str>, Resource>>,
}

/// An encoded resource and its version.
#[derive(Clone, PartialEq, Eq)]
pub struct Resource {
    version: Arc<str>,
    value: Bytes,
}

impl fmt::Debug for Resource {
    /// Without the message, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Resource {
    fn new(value: Bytes) -> Self {
        Self { version: hash(&value), value }
    }

    /// The version, which depends on the contents alone.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The encoded message.
    #[must_use]
    pub fn value(&self) -> &Bytes {
        &self.value
    }

    pub(crate) fn to_any(&self, type_url: &str) -> Any {
        Any { type_url: type_url.to_owned(), value: self.value.to_vec() }
    }
}

impl ResourceSet {
    /// A set without resources.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces the resource of this type and name.
    pub fn insert(&mut self, type_url: &str, name: &str, value: impl Into<Bytes>) {
        let resources = self.types.entry(type_url.to_owned()).or_default();
        resources.insert(name.into(), Resource::new(value.into()));
    }

    /// Adds or replaces `message` as the resource of its type and this name.
    #[must_use]
    pub fn with_message<M: Message + Name>(mut self, name: &str, message: &M) -> Self {
        let type_url = format!("type.googleapis.com/{}", M::full_name());
        self.insert(&type_url, name, message.encode_to_vec());
        self
    }

    /// Takes a resource out; `false` if there was none of this type and name.
    pub fn remove(&mut self, type_url: &str, name: &str) -> bool {
        self.types.get_mut(type_url).is_some_and(|resources| resources.remove(name).is_some())
    }

    /// The resource of this type and name.
    #[must_use]
    pub fn resource(&self, type_url: &str, name: &str) -> Option<&Resource> {
        self.types.get(type_url)?.get(name)
    }

    /// The names of all resources of a type, sorted.
    pub fn names(&self, type_url: &str) -> impl Iterator<Item = &str> {
        self.types.get(type_url).into_iter().flatten().map(|(name, _)| &**name)
    }

    /// How many resources there are, of all types.
    #[must_use]
    pub fn len(&self) -> usize {
        self.types.values().map(BTreeMap::len).sum()
    }

    /// Whether there are no resources.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<FileResource> for ResourceSet {
    fn from_iter<I: IntoIterator<Item = FileResource>>(resources: I) -> Self {
        let mut set = Self::new();
        for resource in resources {
            set.insert(&resource.type_url, &resource.name, resource.value);
        }
        set
    }
}

/// A set that does not change any more, with a version for each type.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    set: ResourceSet,
    versions: BTreeMap<String, Arc<str>>,
    nothing: BTreeMap<Arc<str>, Resource>,
}

impl Snapshot {
    pub(crate) fn new(set: ResourceSet) -> Self {
        let version = |resources: &BTreeMap<Arc<str>, Resource>| {
            let pairs: Vec<_> = resources.iter().map(|(name, it)| (name, &it.version)).collect();
            hash(&pairs)
        };
        let versions = set.types.iter().map(|(url, it)| (url.clone(), version(it))).collect();
        Self { set, versions, nothing: BTreeMap::new() }
    }

    pub(crate) fn set(&self) -> &ResourceSet {
        &self.set
    }

    /// All resources of a type.
    pub(crate) fn resources(&self, type_url: &str) -> &BTreeMap<Arc<str>, Resource> {
        self.set.types.get(type_url).unwrap_or(&self.nothing)
    }

    /// The version of a type as a whole; never empty, as that would mean "none" to a client.
    pub(crate) fn version(&self, type_url: &str) -> Arc<str> {
        self.versions.get(type_url).cloned().unwrap_or_else(|| Arc::from("0"))
    }
}

/// 64 bits of SipHash with a fixed key: enough to tell versions of one resource apart.
fn hash(value: &(impl Hash + ?Sized)) -> Arc<str> {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("{:016x}", hasher.finish()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_depend_on_contents_alone() {
        let set = |order: [(&str, &str); 2]| {
            let mut set = ResourceSet::new();
            for (name, value) in order {
                set.insert("t", name, value.as_bytes().to_vec());
            }
            Snapshot::new(set)
        };
        let one = set([("a", "1"), ("b", "2")]);
        let two = set([("b", "2"), ("a", "1")]);
        let three = set([("a", "1"), ("b", "3")]);
        assert_eq!(one.version("t"), two.version("t"));
        assert_ne!(one.version("t"), three.version("t"));
        assert_eq!(one.resources("t")["a"].version(), three.resources("t")["a"].version());
        assert_ne!(one.resources("t")["b"].version(), three.resources("t")["b"].version());
        assert_eq!(&*one.version("other"), "0");
    }

    #[test]
    fn a_set_is_printed_without_what_is_in_it() {
        let mut set = ResourceSet::new();
        set.insert("t", "a", Bytes::from_static(b"key"));
        let printed = format!("{set:?}");
        assert!(printed.contains("\"a\"") && !printed.contains("key"), "{printed}");
    }

    #[test]
    fn resources_can_be_taken_out() {
        let mut set = ResourceSet::new();
        set.insert("t", "a", Bytes::new());
        assert_eq!((set.len(), set.names("t").collect::<Vec<_>>()), (1, vec!["a"]));
        assert!(set.remove("t", "a") && !set.remove("t", "a"));
        assert!(set.is_empty() && set.resource("t", "a").is_none());
    }
}
