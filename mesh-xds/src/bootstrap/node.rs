//! Who we are, towards a management server.

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{ListValue, NullValue, Struct, Value};
use serde_json::{Map, Value as Json};

use super::BootstrapError;
use super::json::Field;

/// The member `node` of the bootstrap. Everything in it is optional.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Node {
    /// The name of this instance.
    pub id: String,
    /// The name of the service that this instance belongs to.
    pub cluster: String,
    /// Where this instance runs.
    pub locality: Option<Locality>,
    /// Anything the management server wants to know. Integers beyond 2^53 lose precision on the
    /// way, as in every protobuf `Struct`.
    pub metadata: Map<String, Json>,
}

/// Where something runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Locality {
    /// The region.
    pub region: String,
    /// The zone within the region.
    pub zone: String,
    /// The part of the zone.
    pub sub_zone: String,
}

/// What a client announces that it can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientFeature {
    /// Endpoint weights and priorities are taken as they are.
    NoOverprovisioning,
    /// Resources may come wrapped in `Resource` in state-of-the-world responses.
    ResourceInSotw,
    /// Load reports for every cluster; only on load reporting streams.
    SendAllClusters,
}

impl ClientFeature {
    /// What an ADS stream announces.
    pub const ADS: &'static [Self] = &[Self::NoOverprovisioning, Self::ResourceInSotw];
    /// What a load reporting stream announces.
    pub const LRS: &'static [Self] =
        &[Self::NoOverprovisioning, Self::ResourceInSotw, Self::SendAllClusters];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoOverprovisioning => "envoy.lb.does_not_support_overprovisioning",
            Self::ResourceInSotw => "xds.config.resource-in-sotw",
            Self::SendAllClusters => "envoy.lrs.supports_send_all_clusters",
        }
    }
}

impl Node {
    pub(super) fn parse(field: &Field<'_>) -> Result<Self, BootstrapError> {
        field.object()?;
        let locality = field.optional("locality").map(|locality| {
            locality.object()?;
            Ok::<_, BootstrapError>(Locality {
                region: locality.text("region")?,
                zone: locality.text("zone")?,
                sub_zone: locality.text("sub_zone")?,
            })
        });
        let metadata = field.optional("metadata").map(|map| map.object().cloned()).transpose()?;
        Ok(Self {
            id: field.text("id")?,
            cluster: field.text("cluster")?,
            locality: locality.transpose()?,
            metadata: metadata.unwrap_or_default(),
        })
    }

    /// The message that opens a stream, announcing `features`.
    #[must_use]
    pub fn to_proto(&self, features: &[ClientFeature]) -> core::Node {
        core::Node {
            id: self.id.clone(),
            cluster: self.cluster.clone(),
            metadata: (!self.metadata.is_empty()).then(|| to_struct(&self.metadata)),
            locality: self.locality.as_ref().map(|locality| core::Locality {
                region: locality.region.clone(),
                zone: locality.zone.clone(),
                sub_zone: locality.sub_zone.clone(),
            }),
            user_agent_name: "mesh".to_owned(),
            user_agent_version_type: Some(core::node::UserAgentVersionType::UserAgentVersion(
                env!("CARGO_PKG_VERSION").to_owned(),
            )),
            client_features: features.iter().map(|feature| feature.as_str().to_owned()).collect(),
            ..core::Node::default()
        }
    }
}

// The parser bounds the depth of JSON at 128, and so the recursion here.
fn to_struct(map: &Map<String, Json>) -> Struct {
    Struct { fields: map.iter().map(|(key, value)| (key.clone(), to_value(value))).collect() }
}

fn to_value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(NullValue::NullValue.into()),
        Json::Bool(value) => Kind::BoolValue(*value),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(list) => {
            Kind::ListValue(ListValue { values: list.iter().map(to_value).collect() })
        }
        Json::Object(map) => Kind::StructValue(to_struct(map)),
    };
    Value { kind: Some(kind) }
}
