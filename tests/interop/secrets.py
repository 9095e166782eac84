#!/usr/bin/env python3
"""Lets our data plane and Envoy meet by mutual TLS with secrets of the control plane (SDS over ADS).

    tests/interop/setup.sh
    cargo build -p mesh-examples -p mesh-tests --bins
    target/interop/peers/bin/python tests/interop/secrets.py

In both variants of the protocol, and in both directions: by the first secrets; by new ones, which
name others; by authorities that vouch for nobody who is there, when nothing may pass; and by the
ones before again. In between a secret that is none: it is refused, and takes nothing away.
"""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rig.control_plane import ControlPlane
from rig.mtls import messages, peers
from rig.mtls.authority import SECRET, Authority
from rig.mtls.peers import Came
from rig.peers import bootstrap
from rig.place import WORK
from rig.resources import Message

PATIENCE = 10.0
ADS = {"ads": {}, "resource_api_version": "V3"}


def reference(name: str) -> Message:
    """A secret by its name."""
    return {"name": name, "sds_config": ADS}


def tls(own: str, peer: str) -> Message:
    """TLS with a secret as the identity, and peers whose paths begin so."""
    matcher = {"prefix": f"{messages.TRUST}{peer}"}
    names = {"match_typed_subject_alt_names": [{"san_type": "URI", "matcher": matcher}]}
    return {
        "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": ["http/1.1"],
        "tls_certificate_sds_secret_configs": [reference(own)],
        "combined_validation_context": {
            "default_validation_context": names,
            "validation_context_sds_secret_config": reference("ROOTCA"),
        },
    }


def ours(common: Message) -> Message:
    """The same for us, who take no parameters of TLS."""
    return {key: value for key, value in common.items() if key != "tls_params"}


class World:
    """The processes, in one variant of the protocol."""

    def __init__(self, variant: str, work: Path) -> None:
        self._work = work
        self._features = ("delta",) if variant == "delta" else ()
        self._authority = Authority(work / "certificates", work / "authority.log")
        self._stranger = Authority(work / "stranger", work / "stranger.log")
        self._grpc, self._envoys = ControlPlane(work / "grpc"), ControlPlane(work / "envoys")
        self._ours = peers.Echo("ours", self._bootstrap("ours"), work)
        self._envoy = peers.Envoy("envoy", self._envoys.port, variant == "delta", work)
        self._client = self._bootstrap("client")
        self._resources: dict[str, list[Message]] = {"envoys": self._of_envoy(), "grpc": []}
        self.renew("", "td")
        self._push_envoy()
        server = self._envoy.port("server")
        self._door = self._envoy.port("door")
        self._resources["grpc"] = self._of_grpc(server)
        self.push()

    def renew(self, suffix: str, trusted: str) -> None:
        """New secrets: the paths of their names end so, and peers are trusted by that authority."""
        for side in ("server", "client"):
            self._authority.issue(side, "good", f"/{side}{suffix}")
        root = self._authority if trusted == "td" else self._stranger
        ca = {"trusted_ca": inline(root.folder / "ca.pem")}
        self._secrets = [
            {"@type": SECRET, "name": "ROOTCA", "validation_context": ca},
            *(self._pair(side, side) for side in ("server", "client")),
        ]

    def spoil(self) -> None:
        """The server's key is that of somebody else."""
        self._secrets[1] = self._pair("server", "client")

    def push(self) -> None:
        """Waits until both have what there is, and says nothing of what they refuse."""
        self._push_envoy()
        self._grpc.push([*self._resources["grpc"], *self._secrets])
        peers.until("our server has its resources", lambda: self._grpc.has("ours"))

    def refusals(self) -> list[str]:
        """What our server and Envoy refuse."""
        return [*self._grpc.refusals("ours"), *self._envoys.refusals("envoy")]

    def meet(self, client: str) -> Came:
        """One request on a connection of its own."""
        if client == "ours":
            return peers.curl(self._client, "to-envoy", is_grpc=False)
        return self._envoy.get(self._door, "/")

    def stop(self) -> None:
        """Ends everything."""
        for one in (self._envoy, self._ours, self._grpc, self._envoys):
            one.stop()
        for authority in (self._authority, self._stranger):
            authority.stop()

    def _push_envoy(self) -> None:
        self._envoys.push([*self._resources["envoys"], *self._secrets])
        peers.until("Envoy has its resources", lambda: self._envoys.has("envoy"))

    def _pair(self, name: str, key: str) -> Message:
        folder = self._authority.folder
        pair = {
            "certificate_chain": inline(folder / f"{name}.pem"),
            "private_key": inline(folder / f"{key}.key"),
        }
        return {"@type": SECRET, "name": name, "tls_certificate": pair}

    def _bootstrap(self, node: str) -> Path:
        config = json.loads(bootstrap.text(node, self._grpc.port, *self._features))
        config["server_listener_resource_name_template"] = "server/%s"
        made = self._work / f"{node}.json"
        made.write_text(json.dumps(config))
        return made

    def _of_grpc(self, envoy: int) -> list[Message]:
        """Of our server, and of our client."""
        server = messages.socket(
            "Downstream", ours(tls("server", "/client")), require_client_certificate=True
        )
        client = messages.socket("Upstream", ours(tls("client", "/server")))
        chain = messages.chain(messages.served("s"), server)
        return [
            messages.server(self._ours.port, chain),
            messages.client("to-envoy"),
            *messages.cluster("to-envoy", envoy, client),
        ]

    def _of_envoy(self) -> list[Message]:
        """A server, and a way to ours by a new connection for each request."""
        server = messages.socket(
            "Downstream", tls("server", "/client"), require_client_certificate=True
        )
        client = messages.socket("Upstream", tls("client", "/server"))
        header = {"key": "x-peer-spiffe", "value": "%DOWNSTREAM_PEER_URI_SAN%"}
        answer: Message = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
        answer["response_headers_to_add"] = [{"header": header}]
        on = {"match": {"prefix": "/"}, "route": {"cluster": "to-ours"}}
        one = {"max_requests_per_connection": 1}
        return [
            messages.listener("server", 0, messages.chain(messages.manager("s", [answer]), server)),
            messages.listener("door", 0, messages.chain(messages.manager("door", [on]))),
            *messages.cluster("to-ours", self._ours.port, client, **one),
        ]


def inline(file: Path) -> Message:
    """What is in a file."""
    return {"inline_string": file.read_text()}


def eventually(meet: Callable[[], Came], is_so: Callable[[Came], bool]) -> Came:
    """What comes of a meeting in the end: data planes put secrets in use when they have said so."""
    deadline = time.monotonic() + PATIENCE
    while not is_so(came := meet()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return came


def phase(world: World, name: str, peer: str) -> list[str]:
    """What is wrong with the meetings of a phase, in which the clients are `peer`, or nobody."""
    wrong = []
    for client in ("ours", "envoy"):
        came = eventually(
            lambda c=client: world.meet(c),
            lambda it: it.peer == peer and bool(it.why) == (peer == ""),
        )
        print(f"    {name}: {client} as the client: {came.why or came.peer}")
        if came.peer != peer or bool(came.why) != (peer == ""):
            wrong.append(f"{name}: {client} as the client: {came}; expected {peer!r}")
    return wrong


def run(variant: str) -> list[str]:
    """What is wrong in one variant of the protocol."""
    work = WORK / "secrets" / variant
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    world = World(variant, work)
    try:
        wrong = [f"{variant}: refused: {why}" for why in world.refusals()]
        wrong += phase(world, f"{variant}: first", f"{messages.TRUST}/client")
        world.renew("-two", "td")
        world.push()
        wrong += phase(world, f"{variant}: renewed", f"{messages.TRUST}/client-two")
        world.spoil()
        world.push()
        expected = "server: tls_certificate: the private key is not that of the certificate"
        if not any(expected in why for why in world.refusals()):
            wrong.append(f"{variant}: not refused by us: {world.refusals()}")
        wrong += phase(world, f"{variant}: spoiled", f"{messages.TRUST}/client-two")
        world.renew("-two", "stranger")
        world.push()
        wrong += phase(world, f"{variant}: strangers", "")
        world.renew("-three", "td")
        world.push()
        wrong += phase(world, f"{variant}: again", f"{messages.TRUST}/client-three")
    finally:
        world.stop()
    return wrong


def main() -> int:
    """Prints what is wrong; 1 if anything is."""
    began = time.monotonic()
    wrong = [why for variant in ("sotw", "delta") for why in run(variant)]
    for line in wrong:
        print(f"    {line}")
    spent = time.monotonic() - began
    print(f"ci: secrets: 2 variants, 5 phases, 2 directions, {len(wrong)} failures, {spent:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
