"""The bootstrap of gRPC clients."""

import json


def text(node: str, control_plane: int, delta: bool = False) -> str:
    """As in gRFC A27; `delta` is a feature that only this project's client knows.

    C-core drops what the control plane deletes. Since A88 that must be asked for.
    """
    features = ["xds_v3", "fail_on_data_errors"] + (["delta"] if delta else [])
    server = {
        "server_uri": f"127.0.0.1:{control_plane}",
        "channel_creds": [{"type": "insecure"}],
        "server_features": features,
    }
    return json.dumps({"xds_servers": [server], "node": {"id": node, "cluster": "interop"}})
