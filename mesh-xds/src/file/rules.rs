//! Rules of the short form that stand alone.

use std::path::Path;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::config::rbac::v3 as pb;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac;
use mesh_core::authz::Authorizer;
use prost::Message as _;

use super::cursor::Cursor;
use super::error::{FileError, Why};
use super::policy;
use super::short::any;
use super::tree::Node;
use crate::parse::{self, Workload};

/// What allows what the rules in `text` match, a list of at least one, and nothing else. Errors call
/// the text `rules`.
pub(crate) fn allowing(text: &str, workload: &Workload) -> Result<Authorizer, FileError> {
    let file: Arc<Path> = Path::new("rules").into();
    let wrong = |why: String| FileError::new(file.clone(), None, Why::Invalid(why));
    let documents = Node::documents(text).map_err(|error| wrong(error.why))?;
    let [document] = &*documents else { return Err(wrong("expected one list".to_owned())) };
    let mut policies = std::collections::HashMap::new();
    for (at, item) in policy::filled(&Cursor::root(document, &file))?.iter().enumerate() {
        policies.insert(format!("rule[{at}]"), policy::short_rule(item, workload)?);
    }
    let rules = Some(pb::Rbac { policies, ..Default::default() });
    let config = TypedExtensionConfig {
        name: "rules".to_owned(),
        typed_config: Some(any(&Rbac { rules, ..Default::default() })),
    };
    let authorizer = parse::authorizer(&config.encode_to_vec());
    authorizer.map(|rules| (*rules).clone()).map_err(|reject| wrong(reject.to_string()))
}
