"""Backends: mesh-echo, grpcio's server, and an address where nobody listens."""

import socket
import sys
from pathlib import Path

from rig.place import HERE, binary
from rig.process import Child

ECHOES = ("b1", "b2", "b3", "b4", "b5", "b6")
GRPCIOS = ("g1", "g2")


class Backends:
    """All backends of all cases."""

    def __init__(self, work: Path) -> None:
        self.addresses: dict[str, int] = {}
        self._children: dict[str, Child] = {}
        for name in ECHOES:
            command = [str(binary("mesh-echo")), "--listen", "127.0.0.1:0", "--name", name]
            self._children[name] = Child(command, work / f"{name}.log")
        for name in GRPCIOS:
            command = [sys.executable, str(HERE / "rig" / "grpc_backend.py"), name]
            self._children[name] = Child(command, work / f"{name}.log")
        for name, child in self._children.items():
            _, line = child.wait(0, lambda it: ":" in it, 20)
            self.addresses[name] = int(line.rpartition(":")[2])
        # Bound and not listening: connecting to it is refused, and nobody else gets the port.
        self._nobody = socket.socket()
        self._nobody.bind(("127.0.0.1", 0))
        self.addresses["nobody"] = self._nobody.getsockname()[1]

    def stop(self) -> None:
        """Ends all."""
        for child in self._children.values():
            child.stop()
        self._nobody.close()
