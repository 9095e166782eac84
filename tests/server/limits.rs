//! Limits on rates, and faults, at a server.

use mesh_tests::{Control, EchoClient, Message, service};
use mesh_tonic::Channel;
use tonic::Code;

use crate::kit::{SERVED, Served, inline, listener, say};

/// Calls that say `fail` are aborted; of others two pass on each connection, and of whoever counts as
/// a guest none.
const FILTERS: &str = r#"        http_filters:
        - name: fault
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
            headers: [{ name: x-fail, present_match: true }]
            abort: { grpc_status: 15, percentage: { numerator: 100 } }
        - name: limit
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
            stat_prefix: a
            token_bucket: { max_tokens: 2, fill_interval: 3600s }
            local_rate_limit_per_downstream_connection: true
            rate_limited_as_resource_exhausted: true
            filter_enabled: { default_value: { numerator: 100 } }
            filter_enforced: { default_value: { numerator: 100 } }
            descriptors:
            - entries: [{ key: guest, value: "yes" }]
              token_bucket: { max_tokens: 0, fill_interval: 1s }
"#;

const LIMITS: &str = "name: v, rate_limits: [{ actions: [{ header_value_match: \
                      { descriptor_key: guest, descriptor_value: 'yes', \
                      headers: [{ name: x-guest, present_match: true }] } }] }]";

/// What a call with the header field `field` comes to.
async fn code(client: &mut EchoClient<Channel>, field: Option<&'static str>) -> Code {
    let mut request = tonic::Request::new(Message::default());
    if let Some(field) = field {
        request.metadata_mut().insert(field, "1".parse().unwrap());
    }
    client.call("/test.Echo/Say", request).await.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test]
async fn faults_and_limits_are_those_of_the_listener() {
    let control = Control::start().await.unwrap();
    let mut served = Served::start(&control, service("one")).await;
    let listener = listener(served.port, served.port, &inline(SERVED).replace("name: v", LIMITS));
    control.push(&listener.replace("        http_filters:\n", FILTERS)).unwrap();
    served.serving().await;
    let mut client = served.client();
    assert_eq!(code(&mut client, Some("x-fail")).await, Code::DataLoss);
    assert_eq!(code(&mut client, Some("x-guest")).await, Code::ResourceExhausted);
    for expect in [Code::Ok, Code::Ok, Code::ResourceExhausted] {
        assert_eq!(code(&mut client, None).await, expect);
    }
    let refused = say(&mut client).await.unwrap_err();
    assert_eq!(refused, (Code::ResourceExhausted, "local_rate_limited".to_owned()));
    // Another connection has tokens of its own.
    assert_eq!(code(&mut served.client(), None).await, Code::Ok);
    served.stop();
    served.running.await.unwrap().unwrap();
}

/// One connection, and no more for an hour.
const CONNECTIONS: &str = r#"    - name: connections
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit
        stat_prefix: a
        token_bucket: { max_tokens: 1, fill_interval: 3600s }
    - name: manager
"#;

#[tokio::test]
async fn connections_that_are_too_many_are_closed_and_those_that_are_there_stay() {
    let control = Control::start().await.unwrap();
    let mut served = Served::start(&control, service("one")).await;
    let listener = listener(served.port, served.port, &inline(SERVED));
    control.push(&listener.replace("    - name: manager\n", CONNECTIONS)).unwrap();
    served.serving().await;
    let mut client = served.client();
    assert_eq!(code(&mut client, None).await, Code::Ok);
    assert_eq!(code(&mut served.client(), None).await, Code::Unavailable);
    assert_eq!(code(&mut client, None).await, Code::Ok);
    served.stop();
    served.running.await.unwrap().unwrap();
}
