"""The bootstrap of gRPC clients."""

import json


def text(node: str, control_plane: int, *features: str) -> str:
    """As in gRFC A27."""
    server = {
        "server_uri": f"127.0.0.1:{control_plane}",
        "channel_creds": [{"type": "insecure"}],
        "server_features": ["xds_v3", *features],
    }
    return json.dumps({"xds_servers": [server], "node": {"id": node, "cluster": "interop"}})
