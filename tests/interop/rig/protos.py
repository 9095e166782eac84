"""xDS messages from JSON, for comparing what is in force with what was pushed."""

import copy
import importlib
from typing import Any

from google.protobuf import any_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import Message

# Whatever a resource of a case or Envoy's /config_dump has in an Any must be known.
for module in (
    "admin.v3.config_dump_pb2",
    "admin.v3.config_dump_shared_pb2",
    "config.bootstrap.v3.bootstrap_pb2",
    "config.cluster.v3.cluster_pb2",
    "config.endpoint.v3.endpoint_pb2",
    "config.listener.v3.listener_pb2",
    "config.route.v3.route_pb2",
    "extensions.clusters.aggregate.v3.cluster_pb2",
    "extensions.filters.http.adaptive_concurrency.v3.adaptive_concurrency_pb2",
    "extensions.filters.http.admission_control.v3.admission_control_pb2",
    "extensions.filters.http.fault.v3.fault_pb2",
    "extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2",
    "extensions.filters.http.ratelimit.v3.rate_limit_pb2",
    "extensions.filters.http.router.v3.router_pb2",
    "extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "extensions.load_balancing_policies.least_request.v3.least_request_pb2",
    "extensions.load_balancing_policies.pick_first.v3.pick_first_pb2",
    "extensions.load_balancing_policies.random.v3.random_pb2",
    "extensions.load_balancing_policies.round_robin.v3.round_robin_pb2",
    "extensions.load_balancing_policies.wrr_locality.v3.wrr_locality_pb2",
    "extensions.matching.common_inputs.environment_variable.v3.input_pb2",
    "extensions.path.match.uri_template.v3.uri_template_match_pb2",
    "extensions.path.rewrite.uri_template.v3.uri_template_rewrite_pb2",
    "extensions.retry.host.omit_canary_hosts.v3.omit_canary_hosts_pb2",
    "extensions.retry.host.previous_hosts.v3.previous_hosts_pb2",
    "extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2",
    "extensions.upstreams.http.v3.http_protocol_options_pb2",
    "service.discovery.v3.discovery_pb2",
):
    importlib.import_module(f"envoy.{module}")


def message(resource: dict[str, Any]) -> Message:
    """The message of a resource with an `@type`."""
    wrapped = any_pb2.Any()
    # It takes "@type" out while it works, and other threads have the same resource.
    json_format.ParseDict(copy.deepcopy(resource), wrapped)
    return binary(wrapped.type_url, wrapped.value)


def binary(type_url: str, value: bytes) -> Message:
    """The message with these bytes."""
    descriptor = descriptor_pool.Default().FindMessageTypeByName(type_url.rpartition("/")[2])
    return message_factory.GetMessageClass(descriptor).FromString(value)
