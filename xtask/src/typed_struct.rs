//! `TypedStruct`, which envoy-types lacks: a configuration given as JSON with a type name.
//!
//! Custom load balancers (gRFC A52) and Istio's EnvoyFilters come in it, under two names.

use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

/// `xds/type/v3/typed_struct.proto` and `udpa/type/v1/typed_struct.proto`.
pub(crate) fn files() -> [FileDescriptorProto; 2] {
    [file("xds/type/v3/", "xds.type.v3"), file("udpa/type/v1/", "udpa.type.v1")]
}

fn file(folder: &str, package: &str) -> FileDescriptorProto {
    let type_url = field("type_url", 1, Type::String, None);
    let value = field("value", 2, Type::Message, Some(".google.protobuf.Struct"));
    FileDescriptorProto {
        name: Some(format!("{folder}typed_struct.proto")),
        package: Some(package.to_owned()),
        message_type: vec![DescriptorProto {
            name: Some("TypedStruct".to_owned()),
            field: vec![type_url, value],
            ..DescriptorProto::default()
        }],
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    }
}

fn field(name: &str, number: i32, kind: Type, type_name: Option<&str>) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(kind.into()),
        type_name: type_name.map(str::to_owned),
        ..FieldDescriptorProto::default()
    }
}
