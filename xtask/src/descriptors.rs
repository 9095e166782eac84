//! `mesh-xds/src/proto/descriptors.bin`: what resources in files are read and printed with.
//!
//! envoy-types ships the descriptor set it was generated from, but does not expose it. From that
//! set this keeps the files below and what they refer to, and drops comments, services and
//! options. The fields that Envoy marks with `udpa.annotations.sensitive` are listed beside it, in
//! `sensitive.txt`.

use std::{collections::BTreeSet, error::Error, fs, path::PathBuf, process::Command};

use prost::Message;
use prost_reflect::{
    DescriptorPool, FieldDescriptor, Value,
    prost_types::{
        DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet,
        MessageOptions,
    },
};

use crate::{closure, typed_struct};

/// Files (or, with a slash at the end, folders) that are kept with everything they refer to.
const ROOTS: &[&str] = &[
    "envoy/admin/v3/config_dump.proto",
    "envoy/admin/v3/config_dump_shared.proto",
    "envoy/config/cluster/v3/",
    "envoy/config/endpoint/v3/",
    "envoy/config/listener/v3/",
    "envoy/config/rbac/v3/",
    "envoy/config/route/v3/",
    "envoy/extensions/access_loggers/",
    "envoy/extensions/clusters/",
    "envoy/extensions/filters/common/",
    "envoy/extensions/filters/http/",
    "envoy/extensions/filters/listener/",
    "envoy/extensions/filters/network/http_connection_manager/",
    "envoy/extensions/filters/network/local_ratelimit/",
    "envoy/extensions/filters/network/rbac/",
    "envoy/extensions/filters/network/tcp_proxy/",
    "envoy/extensions/http/original_ip_detection/",
    "envoy/extensions/http/stateful_session/",
    "envoy/extensions/internal_redirect/",
    "envoy/extensions/load_balancing_policies/",
    "envoy/extensions/matching/common_inputs/",
    "envoy/extensions/matching/input_matchers/",
    "envoy/extensions/path/",
    "envoy/extensions/rbac/",
    "envoy/extensions/request_id/",
    "envoy/extensions/retry/",
    "envoy/extensions/transport_sockets/raw_buffer/",
    "envoy/extensions/transport_sockets/tls/v3/",
    "envoy/extensions/upstreams/http/v3/",
    "envoy/service/discovery/v3/discovery.proto",
    "envoy/service/runtime/v3/rtds.proto",
    "envoy/service/status/v3/csds.proto",
    "envoy/type/matcher/v3/",
    "google/protobuf/any.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/wrappers.proto",
    "google/rpc/status.proto",
    "xds/core/v3/",
    "xds/type/matcher/v3/",
    "udpa/type/v1/",
    "xds/type/v3/",
];

/// A file that is made here.
struct Generated {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// Writes the two files.
pub(crate) fn write() -> Result<String, Box<dyn Error>> {
    let generated = build()?;
    let mut report = Vec::new();
    for Generated { path, bytes } in &generated {
        fs::write(path, bytes)?;
        report.push(format!("{}: {} bytes", path.display(), bytes.len()));
    }
    Ok(report.join("\n"))
}

/// Compares the committed files with what `write` would write.
pub(crate) fn check() -> Result<String, Box<dyn Error>> {
    for Generated { path, bytes } in build()? {
        if fs::read(&path)? != bytes {
            let path = path.display();
            return Err(format!("{path} is stale: run `cargo run -p xtask -- descriptors`").into());
        }
    }
    Ok("up to date".to_owned())
}

/// The generated files and their bytes.
fn build() -> Result<[Generated; 2], Box<dyn Error>> {
    // Decoded through a pool, because only that keeps the custom options that are looked at.
    let pool = DescriptorPool::decode(fs::read(source()?)?.as_slice())?;
    let files = pool.files().map(|file| {
        let mut proto = file.file_descriptor_proto().clone();
        strip(&mut proto);
        proto
    });
    let files = files.chain(typed_struct::files()).collect();
    let set = FileDescriptorSet { file: closure::closure(files, ROOTS)? }.encode_to_vec();

    let kept = DescriptorPool::decode(set.as_slice())?;
    let sensitive: BTreeSet<String> = kept
        .all_messages()
        .filter_map(|message| pool.get_message_by_name(message.full_name()))
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .filter(is_sensitive)
        .map(|field| format!("{}\n", field.full_name()))
        .collect();

    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../mesh-xds/src/proto");
    let sensitive = sensitive.into_iter().collect::<String>().into_bytes();
    Ok([
        Generated { path: folder.join("descriptors.bin"), bytes: set },
        Generated { path: folder.join("sensitive.txt"), bytes: sensitive },
    ])
}

/// Where cargo put the descriptor set of envoy-types.
fn source() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "envoy-types")
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or("envoy-types is not among the dependencies")?;
    Ok(PathBuf::from(manifest).with_file_name("src/generated/types.bin"))
}

fn strip(file: &mut FileDescriptorProto) {
    file.source_code_info = None;
    file.options = None;
    file.service.clear();
    file.extension.clear();
    file.enum_type.iter_mut().for_each(strip_enum);
    file.message_type.iter_mut().for_each(strip_message);
}

fn strip_message(message: &mut DescriptorProto) {
    // `map_entry` makes a message a map; without it JSON would have lists of pairs.
    let is_map = message.options.as_ref().is_some_and(MessageOptions::map_entry);
    message.options =
        is_map.then(|| MessageOptions { map_entry: Some(true), ..MessageOptions::default() });
    message.extension.clear();
    message.oneof_decl.iter_mut().for_each(|oneof| oneof.options = None);
    for field in &mut message.field {
        field.options = None;
        // The default one is computed on load.
        field.json_name = None;
    }
    message.enum_type.iter_mut().for_each(strip_enum);
    message.nested_type.iter_mut().for_each(strip_message);
}

fn strip_enum(r#enum: &mut EnumDescriptorProto) {
    r#enum.options = None;
    r#enum.value.iter_mut().for_each(|value| value.options = None);
}

fn is_sensitive(field: &FieldDescriptor) -> bool {
    field.options().extensions().any(|(extension, value)| {
        extension.full_name() == "udpa.annotations.sensitive" && *value == Value::Bool(true)
    })
}
