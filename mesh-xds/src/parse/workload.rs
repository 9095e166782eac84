//! Whom policies are for: the workload that this process is.

use std::collections::BTreeMap;

use crate::bootstrap::Node;

/// The workload that this process is, as far as policies ask: whether they are for it, and what
/// their trust domain `cluster.local` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its namespace. Default: not known, and then no policy may name one.
    namespace: Option<String>,
    /// Its labels. Default: not known, and then no policy may select by them.
    labels: Option<BTreeMap<String, String>>,
    trust_domains: Vec<String>,
    root_namespace: String,
}

impl Workload {
    /// A workload of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            namespace: None,
            labels: None,
            trust_domains: vec![POINTER.to_owned()],
            root_namespace: "istio-system".to_owned(),
        }
    }

    /// Is in this namespace. Policies of others, but for those of the root namespace, are not for
    /// it.
    #[must_use]
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// Has these labels, which `selector.matchLabels` is compared with.
    #[must_use]
    pub fn with_labels<K: Into<String>, V: Into<String>>(
        mut self,
        labels: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let labels = labels.into_iter().map(|(key, value)| (key.into(), value.into()));
        self.labels.get_or_insert_default().extend(labels);
        self
    }

    /// Is in this trust domain. Default: `cluster.local`.
    #[must_use]
    pub fn with_trust_domain(mut self, domain: impl Into<String>) -> Self {
        self.trust_domains = vec![domain.into()];
        self
    }

    /// Policies in this namespace are for all workloads. Default: `istio-system`.
    #[must_use]
    pub fn with_root_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.root_namespace = namespace.into();
        self
    }

    /// What a bootstrap says: the metadata `NAMESPACE` and `LABELS`, as Istio writes them, or else
    /// all metadata that is text.
    #[must_use]
    pub fn of_node(node: &Node) -> Self {
        use serde_json::Value;
        let mut workload = Self::unknown();
        if let Some(Value::String(namespace)) = node.metadata.get("NAMESPACE") {
            workload = workload.with_namespace(namespace);
        }
        let labels = match node.metadata.get("LABELS") {
            Some(Value::Object(labels)) => labels,
            Some(_) | None => &node.metadata,
        };
        let text = |(key, value): (&String, &Value)| {
            value.as_str().map(|value| (key.clone(), value.to_owned()))
        };
        let labels: Vec<_> = labels.iter().filter_map(text).collect();
        // Of a node that says nothing nothing is known: a policy that selects is then an error.
        if labels.is_empty() { workload } else { workload.with_labels(labels) }
    }

    /// Has one more name for its trust domain.
    #[must_use]
    pub fn with_trust_domain_alias(mut self, alias: impl Into<String>) -> Self {
        self.trust_domains.push(alias.into());
        self
    }

    /// Whether a policy in `namespace` can be for it; `None` if that is not known.
    #[cfg(feature = "file")]
    pub(crate) fn is_within(&self, namespace: &str) -> Option<bool> {
        let own = self.namespace.as_ref()?;
        Some(namespace == own || namespace == self.root_namespace)
    }

    /// Whether it has the label; `None` if that is not known.
    #[cfg(feature = "file")]
    pub(crate) fn has_label(&self, key: &str, value: &str) -> Option<bool> {
        let labels = self.labels.as_ref()?;
        Some(labels.get(key).is_some_and(|own| own == value))
    }

    /// The namespace of policies that name none.
    #[cfg(feature = "file")]
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }

    #[cfg(feature = "file")]
    pub(crate) fn is_root(&self, namespace: &str) -> bool {
        namespace == self.root_namespace
    }

    /// The trust domains that `domain` stands for in a policy: `cluster.local`, and any that is
    /// ours, for all of ours.
    #[cfg(feature = "file")]
    pub(crate) fn domains<'a>(&'a self, domain: &'a str) -> Vec<&'a str> {
        if domain == POINTER || self.trust_domains.iter().any(|own| own == domain) {
            return self.trust_domains.iter().map(String::as_str).collect();
        }
        vec![domain]
    }
}

impl Default for Workload {
    fn default() -> Self {
        Self::unknown()
    }
}

/// Istio's name for whatever the trust domain is.
const POINTER: &str = "cluster.local";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(metadata: &serde_json::Value) -> Workload {
        let node = Node { metadata: metadata.as_object().cloned().unwrap(), ..Node::default() };
        Workload::of_node(&node)
    }

    #[test]
    fn a_node_says_who_it_is_as_istio_writes_it_or_with_its_own_metadata() {
        let labels = serde_json::json!({ "app": "web", "replicas": 3 });
        let istio = of(&serde_json::json!({ "NAMESPACE": "shop", "LABELS": labels, "X": "y" }));
        let own = Workload::unknown().with_namespace("shop").with_labels([("app", "web")]);
        assert_eq!(istio, own);
        let plain = of(&serde_json::json!({ "app": "web", "size": 3 }));
        assert_eq!(plain, Workload::unknown().with_labels([("app", "web")]));
        assert_eq!(of(&serde_json::json!({ "size": 3 })), Workload::unknown());
    }
}
