"""Envoy and servers of the mesh, with the same listeners."""

import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from rig.place import ENVOY, binary
from rig.process import Child
from rig.rbac.messages import CLUSTER, listener
from rig.rbac.scene import Message, Scene

SECONDS = 20.0


class Mesh:
    """A process with a server for each scene, and an authority whose certificates are in files."""

    def __init__(
        self, scenes: Iterable[Scene], work: Path, clusters: Iterable[Message] = ()
    ) -> None:
        file = work / "mesh.txt"
        instance = {"instance_name": "default"}
        certificates = {
            "tls_certificate_provider_instance": instance,
            "validation_context": {"ca_certificate_provider_instance": instance},
        }
        made = ((it, json.dumps(listener(it, certificates))) for it in scenes)
        lines = [f"{it.name} {it.address} {text}\n" for it, text in made]
        lines += [f"cluster - {json.dumps({'@type': CLUSTER, **it})}\n" for it in clusters]
        file.write_text("".join(lines))
        self._child = Child([str(binary("rbac")), str(file), str(work)], work / "mesh.log")
        self._child.wait(0, lambda line: line == "ready", SECONDS)
        # Of each scene the port, or why it is refused.
        self.ports: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        for line in self._child.lines()[:-1]:
            name, _, said = line.partition(" ")
            if said.isdigit():
                self.ports[name] = int(said)
            else:
                self.refused[name] = said

    def stop(self) -> None:
        """Ends it."""
        self._child.stop()


def refusal(scene: Scene, work: Path) -> str:
    """What Envoy says of the listener of a scene; empty if it takes it."""
    config = work / "refused.json"
    config.write_text(bootstrap([filled(scene, 1, work)]))
    command = [str(ENVOY), "--mode", "validate", "-c", str(config), "--log-level", "warn"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def bootstrap(listeners: list[Message], clusters: Iterable[Message] = ()) -> str:
    """Envoy's configuration."""
    admin = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}
    resources = {"listeners": listeners, "clusters": list(clusters)}
    return json.dumps({"admin": admin, "static_resources": resources})


def filled(scene: Scene, port: int, work: Path) -> Message:
    """The listener of a scene at a port."""
    certificate = {
        "certificate_chain": {"filename": str(work / "server.pem")},
        "private_key": {"filename": str(work / "server.key")},
    }
    authority = {"trusted_ca": {"filename": str(work / "authority.pem")}}
    content = listener(
        scene, {"tls_certificates": [certificate], "validation_context": authority}
    )
    # It is no resource there, but a field.
    del content["@type"]
    text = json.dumps(content).replace("$NAME", scene.name)
    made: Message = json.loads(text.replace("$PORT", str(port)).replace("$NEXT", str(port + 1)))
    return made


class Envoy:
    """A process with a listener for each scene."""

    def __init__(
        self, scenes: Iterable[Scene], work: Path, clusters: Iterable[Message] = ()
    ) -> None:
        # A port that is bound is nobody else's, and Envoy may still share it.
        self._held: list[socket.socket] = []
        self.ports = {it.name: self._port(it.address) for it in scenes}
        config, address = work / "envoy.json", work / "envoy.address"
        listeners = [filled(it, self.ports[it.name], work) for it in scenes]
        config.write_text(bootstrap(listeners, clusters))
        command = [str(ENVOY), "-c", str(config), "--admin-address-path", str(address)]
        command += ["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn"]
        self._child = Child(command, work / "envoy.log")
        deadline = time.monotonic() + SECONDS
        while not (address.exists() and address.read_text() and self._is_ready(address)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"Envoy does not start; see {work}/envoy.log")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it."""
        self._child.stop()
        for held in self._held:
            held.close()

    def _port(self, address: str) -> int:
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((address, 0))
        self._held.append(held)
        return int(held.getsockname()[1])

    def _is_ready(self, address: Path) -> bool:
        connection = http.client.HTTPConnection(address.read_text().strip(), timeout=5)
        try:
            connection.request("GET", "/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()
