"""The process of a C-core client: a command in JSON on each line of stdin, an answer on stdout."""

import base64
import json
import sys
from dataclasses import asdict
from typing import Any

import grpc
from envoy.admin.v3 import config_dump_shared_pb2
from envoy.service.status.v3 import csds_pb2
from grpc._cython import cygrpc

from rig import calls, protos  # noqa: F401  (protos knows what is in Anys)
from rig.answer import Ask

channels: dict[tuple[str, str | None], grpc.Channel] = {}


def channel(target: str, host: str | None) -> grpc.Channel:
    """The channel that asks for this host."""
    if (target, host) not in channels:
        channels[target, host] = calls.channel(target, host)
    return channels[target, host]


def open_channel(target: str) -> dict[str, Any]:
    """Connects, for which the resources are needed."""
    channel(target, None).subscribe(lambda _: None, try_to_connect=True)
    return {}


def csds() -> dict[str, Any]:
    """Every resource that is subscribed to, and how it stands (gRFC A40)."""
    response = csds_pb2.ClientStatusResponse.FromString(cygrpc.dump_xds_configs())
    configs = {}
    for client in response.config:
        for it in client.generic_xds_configs:
            configs[it.type_url, it.name] = {
                "type": it.type_url,
                "name": it.name,
                "status": config_dump_shared_pb2.ClientResourceStatus.Name(it.client_status),
                "config": base64.b64encode(it.xds_config.value).decode(),
                "error": it.error_state.details,
            }
    return {"configs": list(configs.values())}


def close() -> dict[str, Any]:
    """Closes all channels."""
    for it in channels.values():
        it.close()
    channels.clear()
    return {}


def main() -> None:
    """Does what each line says."""
    for line in sys.stdin:
        what = json.loads(line)
        if what["do"] == "ask":
            ask = Ask(**what["ask"])
            answers = calls.call(channel(what["target"], ask.host), ask)
            done: dict[str, Any] = {"answers": [asdict(it) for it in answers]}
        elif what["do"] == "open":
            done = open_channel(what["target"])
        elif what["do"] == "csds":
            done = csds()
        else:
            done = close()
        print(json.dumps(done), flush=True)


main()
