//! `TransportSocket` to how connections are secured (gRFC A29, A82, A101).
//!
//! What would weaken a connection if it were ignored is refused; what only Envoy needs, and what
//! would weaken it if it were obeyed (`trust_chain_verification`, `allow_expired_certificate`), is
//! ignored. Identities and authorities are those of certificate providers that the bootstrap names,
//! or secrets that the same management server sends (SDS). What is secret and stands in these
//! resources themselves is refused.

mod common;
mod downstream;
mod matches;
mod secret;
#[cfg(test)]
mod tests;
mod upstream;

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{
    DownstreamTlsContext, UpstreamTlsContext,
};
use envoy_types::pb::google::protobuf::Any;
use mesh_core::cluster::Transport;
use mesh_core::identity::ServerTls;
use prost::{Message, Name};

pub(super) use matches::security;

use super::value::{is_type, unpack};
use super::{Path, Registry, Reject};

/// The only names that transport sockets may have: gRFC A29 goes by the name.
const TLS: &str = "envoy.transport_sockets.tls";
const RAW_BUFFER: &str = "envoy.transport_sockets.raw_buffer";

/// How connections to clusters are secured, out of `message` at `path`.
pub(super) fn upstream(
    message: &TransportSocket,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Transport, Reject> {
    let Some(context) = context::<UpstreamTlsContext>(message, path)? else {
        return Ok(Transport::Plaintext);
    };
    let path = path.field("typed_config");
    Ok(Transport::Tls(Arc::new(upstream::tls(&context, registry, &path)?)))
}

/// How connections of clients are secured, out of `message` at `path`; `None` is plain text.
///
/// # Errors
/// [`Reject`] as gRFC A29 says.
pub fn downstream(
    message: &TransportSocket,
    registry: &Registry,
    path: &Path<'_>,
) -> Result<Option<ServerTls>, Reject> {
    let Some(context) = context::<DownstreamTlsContext>(message, path)? else { return Ok(None) };
    let path = path.field("typed_config");
    downstream::tls(&context, registry, &path).map(Some)
}

/// The TLS context in `message`; `None` if it stands for plain text.
fn context<M: Message + Name + Default>(
    message: &TransportSocket,
    path: &Path<'_>,
) -> Result<Option<M>, Reject> {
    let any: Option<&Any> = message.config_type.as_ref().map(|ConfigType::TypedConfig(any)| any);
    match (&*message.name, any) {
        (RAW_BUFFER, None) => Ok(None),
        (RAW_BUFFER, Some(any)) if is_type::<RawBuffer>(&any.type_url) => Ok(None),
        (TLS, Some(any)) => match unpack::<M>(any, &path.field("typed_config"))? {
            Some(context) => Ok(Some(context)),
            None => {
                let why = format_args!("{} is not {}", any.type_url, M::NAME);
                Err(path.field("typed_config").reject(why))
            }
        },
        (TLS, None) => Err(path.field("typed_config").reject("is required")),
        (RAW_BUFFER, Some(any)) => Err(path
            .field("typed_config")
            .reject(format_args!("{} is not RawBuffer", any.type_url))),
        (name, _) => Err(path.field("name").reject(format_args!("{name:?} is not supported"))),
    }
}
