//! Rules that files hold for all servers of this process.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac;
use mesh_core::authz::Authorizer;
use mesh_core::filter::Factory;
use prost::Message as _;

use super::authz::RbacFactory;
use super::value::is_type;
use super::{Path, Reject};

/// The rules in an encoded `TypedExtensionConfig` with Envoy's RBAC filter.
pub(crate) fn authorizer(raw: &[u8]) -> Result<Arc<Authorizer>, Reject> {
    let path = Path::root();
    let message = TypedExtensionConfig::decode(raw).map_err(|why| path.reject(why))?;
    let path = path.field("typed_config");
    let any = message.typed_config.ok_or_else(|| path.reject("is required"))?;
    if !is_type::<Rbac>(&any.type_url) {
        return Err(path.reject(format_args!("{} is not RBAC", any.type_url)));
    }
    let settings = RbacFactory::default().parse(&any.value).map_err(|why| path.reject(why))?;
    settings.downcast::<Authorizer>().map_err(|_| path.reject("is not RBAC"))
}
