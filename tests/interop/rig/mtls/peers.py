"""The processes of the matrix: each of the data planes as a server and as a client."""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.mtls.authority import Authority
from rig.peers import bootstrap, envoy
from rig.place import HERE, binary
from rig.process import Child

SECONDS = 20.0


@dataclass(frozen=True)
class Came:
    """What came of a request: who the server says has asked, or why there was no answer."""

    peer: str = ""
    why: str = ""


def until(what: str, holds: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Waits for something."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not in {seconds} s: {what}")
        time.sleep(0.02)


class Echo:
    """A server of the mesh, `mesh-echo`."""

    def __init__(self, node: str, bootstrap_file: Path, work: Path, *more: str) -> None:
        self._log = work / f"{node}.log"
        listen = () if "--listen" in more else ("--listen", "127.0.0.1:0")
        command = [str(binary("mesh-echo")), *listen, "--name", node]
        command += ["--bootstrap", str(bootstrap_file), *more]
        self._child = Child(command, self._log)
        _, line = self._child.wait(0, lambda it: ":" in it, SECONDS)
        self.port = int(line.rpartition(":")[2])

    def refusals(self) -> list[str]:
        """Why connections were refused, so far."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [it.partition(": ")[2] for it in lines if it.startswith("refused ")]

    def stop(self, seconds: float = 0.2) -> None:
        """Ends it with SIGTERM, and after a time in which it is not gone with SIGKILL."""
        self._child.stop(seconds)


class Envoy(envoy.Envoy):
    """Envoy, with all its resources at once."""

    def port(self, name: str) -> int:
        """The port of a listener; waits for it."""
        until(f"Envoy listens for {name}", lambda: self._listener(name) != 0)
        return self._listener(name)

    def refusals(self) -> list[str]:
        """Why connections were refused, so far, as its access log has it."""
        lines = [it.partition("refused ")[2] for it in self._child.lines()]
        # Connections that were not have a line, too.
        return [it for it in lines if it not in ("", "-")]

    def handshakes(self, cluster: str) -> int:
        """How often it has agreed on TLS with a cluster."""
        name = f"cluster.{cluster}.ssl.handshake"
        stats = self._get(f"/stats?format=json&filter=^{name}$")["stats"]
        return sum(int(it["value"]) for it in stats)

    def get(self, port: int, path: str) -> Came:
        """A request through it."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        connection.close()
        if response.status != 200:
            return Came(why=f"{response.status}: {body}")
        return Came(peer=response.getheader("x-peer-spiffe", ""))


class CCore:
    """A process of ccore.py."""

    def __init__(self, config: str, work: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "rig.mtls.ccore", *arguments]
        env = {"PYTHONPATH": str(HERE), "GRPC_XDS_BOOTSTRAP_CONFIG": config}
        self._child = Child(command, work / f"ccore-{arguments[0]}.log", env)
        self.ports: dict[str, int] = {}
        for name in arguments[1:]:
            _, line = self._child.wait(0, lambda it, n=name: it.startswith(f"{n} "), SECONDS)
            self.ports[name] = int(line.rpartition(" ")[2])

    def call(self, target: str) -> Came:
        """A call to a target."""
        start = self._child.count()
        self._child.send(target)
        _, line = self._child.wait(start, lambda _: True, SECONDS)
        return Came(**json.loads(line))

    def stop(self) -> None:
        """Ends it."""
        self._child.stop()


def curl(config: Path, target: str, is_grpc: bool) -> Came:
    """A request of our client."""
    command = [str(binary("meshcurl")), "--bootstrap", str(config), "--target", f"xds:///{target}"]
    command += ["--timeout", "10s", "/echo.Echo/Say", *(["--grpc"] if is_grpc else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS)
    outcome = json.loads(done.stdout)
    status = outcome["grpc_status"] == 0 if is_grpc else outcome["http_status"] == 200
    if not status:
        return Came(why=str(outcome["why"]))
    return Came(peer="".join(outcome["headers"].get("x-peer-spiffe", [])))


def grpc_bootstrap(
    node: str, control_plane: int, authority: Authority, names: list[str], *bundles: str
) -> str:
    """A bootstrap with certificate providers; authorities of single trust domains on request."""
    config: dict[str, Any] = json.loads(bootstrap.text(node, control_plane))
    config["certificate_providers"] = {it: authority.provider(it, *bundles) for it in names}
    config["server_listener_resource_name_template"] = "server/%s"
    return json.dumps(config)
