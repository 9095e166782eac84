//! Policies, as Kubernetes and the short form write them.

use std::path::Path;

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use mesh_xds::file;
use prost::Message as _;

use super::{authz, listener};

/// The input is a file of policies. What is taken is rules that are valid, whatever it says; what
/// is not says where it is wrong.
pub(crate) fn policies(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let resources = match file::parse(text, Path::new("mesh.yaml")) {
        Ok(resources) => resources,
        Err(error) => return assert!(error.to_string().contains("mesh.yaml"), "{error}"),
    };
    for resource in resources {
        let message = resource.type_url.rsplit('.').next().unwrap_or_default();
        match message {
            "TypedExtensionConfig" => compiled(&resource.value),
            "Listener" => listener::listeners(&resource.value),
            _ => {}
        }
    }
}

fn compiled(value: &[u8]) {
    let config = TypedExtensionConfig::decode(value).expect("it was encoded here");
    let Some(any) = config.typed_config else { return };
    if config.name.starts_with("authorization/") && any.type_url.ends_with(".RBAC") {
        assert!(authz::is_valid(&any.value), "{}", config.name);
        authz::authz(&any.value);
    }
}
