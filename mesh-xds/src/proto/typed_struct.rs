//! `xds.type.v3.TypedStruct`, which envoy-types does not have.

use envoy_types::pb::google::protobuf::Struct;
use prost::{Message, Name};

/// The configuration of an extension as a JSON object, with the type that it would have.
#[derive(Clone, PartialEq, Message)]
pub struct TypedStruct {
    /// The type of the configuration.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// Its fields.
    #[prost(message, optional, tag = "2")]
    pub value: Option<Struct>,
}

impl Name for TypedStruct {
    const PACKAGE: &'static str = "xds.type.v3";
    const NAME: &'static str = "TypedStruct";
}
