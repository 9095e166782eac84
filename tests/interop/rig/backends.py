"""Backends: processes of mesh-echo, and an address where nobody listens."""

import socket
from pathlib import Path

from rig.place import binary
from rig.process import Child

NAMES = ("b1", "b2", "b3", "b4", "b5", "b6")


class Backends:
    """All backends of all cases."""

    def __init__(self, work: Path) -> None:
        self.addresses: dict[str, int] = {}
        self._children: list[Child] = []
        for name in NAMES:
            command = [str(binary("mesh-echo")), "--listen", "127.0.0.1:0", "--name", name]
            self._children.append(Child(command, work / f"{name}.log"))
        for name, child in zip(NAMES, self._children, strict=True):
            _, line = child.wait(0, lambda it: ":" in it, 20)
            self.addresses[name] = int(line.rpartition(":")[2])
        # Bound and not listening: connecting to it is refused, and nobody else gets the port.
        self._nobody = socket.socket()
        self._nobody.bind(("127.0.0.1", 0))
        self.addresses["nobody"] = self._nobody.getsockname()[1]

    def stop(self) -> None:
        """Ends all."""
        for child in self._children:
            child.stop()
        self._nobody.close()
