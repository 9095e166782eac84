//! Configurations that are refused.

use envoy_types::pb::envoy::config::core::v3::GrpcService;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::ext_authz::Services;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::ext_authz_per_route::Override;
use envoy_types::pb::envoy::extensions::filters::http::ext_authz::v3::{
    BufferSettings, CheckSettings, ExtAuthz, ExtAuthzPerRoute, HttpService,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use mesh_core::filter::{Factory, Side};
use prost::Message;

use super::kit::grpc;
use crate::parse::ext_authz::ExtAuthzFactory;

#[test]
fn what_is_not_done_is_refused() {
    let refused = |change: fn(&mut ExtAuthz)| {
        let mut message = grpc();
        change(&mut message);
        ExtAuthzFactory.parse(&message.encode_to_vec()).err().unwrap()
    };
    for (seen, why) in [
        (refused(|it| it.services = None), "has neither grpc_service nor http_service"),
        (
            refused(|it| it.with_request_body = Some(BufferSettings::default())),
            "with_request_body.max_request_bytes: is 0",
        ),
        (refused(|it| it.clear_route_cache = true), "clear_route_cache: is not supported"),
        (refused(|it| it.shadow_mode = true), "shadow_mode: is not supported"),
        (refused(|it| it.transport_api_version = 1), "transport_api_version: V2 is not supported"),
        (
            refused(|it| it.status_on_error = Some(HttpStatus { code: 200 })),
            "status_on_error.code: is not in 400 to 599",
        ),
        (
            refused(|it| it.services = Some(Services::GrpcService(GrpcService::default()))),
            "grpc_service.envoy_grpc: is required",
        ),
        (
            refused(|it| it.services = Some(Services::HttpService(HttpService::default()))),
            "http_service.server_uri: is required",
        ),
    ] {
        assert_eq!(seen, why);
    }
    let body = CheckSettings {
        with_request_body: Some(BufferSettings::default()),
        ..CheckSettings::default()
    };
    let own = ExtAuthzPerRoute { r#override: Some(Override::CheckSettings(body)) };
    let why = ExtAuthzFactory.parse_override(&own.encode_to_vec()).err().unwrap();
    assert_eq!(why, "check_settings.with_request_body.max_request_bytes: is 0");
    let both = CheckSettings {
        with_request_body: Some(BufferSettings {
            max_request_bytes: 1,
            ..BufferSettings::default()
        }),
        disable_request_body_buffering: true,
        ..CheckSettings::default()
    };
    let own = ExtAuthzPerRoute { r#override: Some(Override::CheckSettings(both)) };
    let why = ExtAuthzFactory.parse_override(&own.encode_to_vec()).err().unwrap();
    let beside = "is beside disable_request_body_buffering";
    assert_eq!(why, format!("check_settings.with_request_body: {beside}"));
    assert!(ExtAuthzFactory.parse_override(&[]).is_err());
    assert!(!ExtAuthzFactory.is_for(Side::Client));
}
