"""Who meets whom with which certificates, and what comes of it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.control_plane import ControlPlane
from rig.mtls import messages, peers
from rig.mtls.authority import Authority
from rig.mtls.peers import Came
from rig.resources import TYPES, Message

PEERS = ("envoy", "ccore")
LOG = "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
REASON = "%DOWNSTREAM_TRANSPORT_FAILURE_REASON%"


@dataclass(frozen=True)
class Meeting:
    """A client and a server, one of which is ours; the other side's certificate is a good one."""

    server: str
    client: str
    # What is wrong with the certificate that one of them shows; `good` if nothing is.
    kind: str
    shown_by: str

    @property
    def name(self) -> str:
        """As the table of expectations has it, and resources are called."""
        return f"{self.client}-to-{self.server}-{self.shown_by}-{self.kind}"

    @property
    def direction(self) -> str:
        """The row of expectations."""
        side = {"client": self.client, "server": self.server}[self.shown_by]
        other = self.server if side == self.client else self.client
        return f"{side} as {self.shown_by} to {other}"

    @property
    def server_kind(self) -> str:
        """What the server shows."""
        return self.kind if self.shown_by == "server" else "good"

    @property
    def client_kind(self) -> str:
        """What the client shows."""
        return self.kind if self.shown_by == "client" else "good"


@dataclass(frozen=True)
class Outcome:
    """What came of a meeting, and what servers said of connections that they refused."""

    came: Came
    server_said: list[str]


def meetings(kinds: list[str]) -> list[Meeting]:
    """All of them."""
    pairs = [pair for peer in PEERS for pair in (("ours", peer), (peer, "ours"))]
    return [
        Meeting(server, client, kind, shown_by)
        for kind in kinds
        for server, client in pairs
        for shown_by in (("server",) if kind == "good" else ("server", "client"))
    ]


class Matrix:
    """All processes."""

    def __init__(self, kinds: dict[str, str], work: Path) -> None:
        self._meetings = meetings(list(kinds))
        self._authority = Authority(work / "certificates", work / "authority.log")
        names = {f"{side}-{kind}": kind for side in ("server", "client") for kind in kinds}
        for name, kind in names.items():
            self._authority.issue(name, kinds[kind], f"/{name.partition('-')[0]}")
        self._grpc, self._envoys = ControlPlane(work / "grpc"), ControlPlane(work / "envoys")

        def config(node: str, names: list[str], *bundles: str) -> str:
            port = self._grpc.port
            return peers.grpc_bootstrap(node, port, self._authority, names, *bundles)

        def file(side: str, kind: str) -> Path:
            made = work / f"ours-{side}-{kind}.json"
            made.write_text(config(f"ours-{side}-{kind}", [f"{side}-{kind}"], "td"))
            return made

        # From here on clients may come; what they ask for comes later.
        self._configs = {kind: file("client", kind) for kind in kinds}
        self._ours = {it: peers.Echo(f"ours-{it}", file("server", it), work) for it in kinds}
        self._envoy = peers.Envoy("envoy", self._envoys.port, False, work)
        ports = {kind: it.port for kind, it in self._ours.items()}
        self._envoys.push(self._of_envoy(ports))
        self._servers = {("ours", kind): port for kind, port in ports.items()}
        self._servers |= {("envoy", kind): self._envoy.port(f"server-{kind}") for kind in kinds}
        self._door = self._envoy.port("door")
        self._ccore_server = peers.CCore(config("ccore-server", list(names)), work, "server", *kinds)
        self._servers |= {("ccore", kind): it for kind, it in self._ccore_server.ports.items()}
        self._ccore = peers.CCore(config("ccore-client", list(names)), work, "client")
        self._grpc.push(self._of_grpc())
        nodes = [f"ours-server-{kind}" for kind in kinds] + ["ccore-server"]
        for node in nodes:
            peers.until(f"{node} has its listener", lambda n=node: self._grpc.has(n))
        peers.until("Envoy has its resources", lambda: self._envoys.has("envoy"))
        refused = [it for n in nodes for it in self._grpc.refusals(n)]
        refused += self._envoys.refusals("envoy")
        if refused:
            raise RuntimeError(f"resources are refused: {refused}")

    def run(self, it: Meeting, patience: float) -> Outcome:
        """Lets them meet. A server may take some time to say why it has refused."""
        said = {"ours": self._ours[it.server_kind].refusals, "envoy": self._envoy.refusals}
        refusals = said.get(it.server, list)
        before = len(refusals())
        if it.client == "ours":
            came = peers.curl(self._configs[it.client_kind], it.name, it.server == "ccore")
        elif it.client == "ccore":
            came = self._ccore.call(it.name)
        else:
            came = self._envoy.get(self._door, f"/{it.name}/")
        deadline = time.monotonic() + patience
        while came.why and len(refusals()) == before and time.monotonic() < deadline:
            time.sleep(0.02)
        return Outcome(came, refusals()[before:])

    def stop(self) -> None:
        """Ends everything."""
        for one in (self._envoy, self._ccore, self._ccore_server, *self._ours.values()):
            one.stop()
        for control_plane in (self._grpc, self._envoys):
            control_plane.stop()
        self._authority.stop()

    def _of_grpc(self) -> list[Message]:
        """Of our and C-core's servers and clients."""
        resources: list[Message] = []
        for (side, kind), port in self._servers.items():
            # gRPC's servers have no way to say which names they accept.
            names = {"ours": "/client", "ccore": None}
            if side in names:
                common = messages.providers(f"server-{kind}", names[side])
                tls = messages.socket("Downstream", common, require_client_certificate=True)
                resources.append(messages.server(port, messages.chain(messages.served("s"), tls)))
        for it in self._meetings:
            if it.client != "envoy":
                common = messages.providers(f"client-{it.client_kind}", "/server")
                tls = messages.socket("Upstream", common)
                port = self._servers[it.server, it.server_kind]
                resources += [messages.client(it.name), *messages.cluster(it.name, port, tls)]
        return resources

    def _of_envoy(self, ports: dict[str, int]) -> list[Message]:
        """Listeners that show each kind of certificate, and clusters to each of our servers."""
        resources: list[Message] = []
        routes: list[Message] = []
        for kind in ports:
            resources.append(self._envoy_server(kind))
        for it in self._meetings:
            if it.client == "envoy":
                own = f"client-{it.client_kind}"
                common = messages.files(self._authority, own, "/server", "http/1.1")
                tls = messages.socket("Upstream", common)
                resources += messages.cluster(it.name, ports[it.server_kind], tls)
                match = {"prefix": f"/{it.name}/"}
                routes.append({"match": match, "route": {"cluster": it.name}})
        why = "%LOCAL_REPLY_BODY% %UPSTREAM_TRANSPORT_FAILURE_REASON%"
        told = {"body_format": {"text_format_source": {"inline_string": why}}}
        door = messages.chain(messages.manager("door", routes, local_reply_config=told))
        return [*resources, messages.listener("door", 0, door)]

    def _envoy_server(self, kind: str) -> Message:
        common = messages.files(self._authority, f"server-{kind}", "/client", "http/1.1")
        tls = messages.socket("Downstream", common, require_client_certificate=True)
        answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200}}
        header = {"key": "x-peer-spiffe", "value": "%DOWNSTREAM_PEER_URI_SAN%"}
        managed = messages.manager(
            kind, [{**answer, "response_headers_to_add": [{"header": header}]}]
        )
        text = {"text_format_source": {"inline_string": f"refused {REASON}\n"}}
        log: dict[str, Any] = {"@type": TYPES + LOG, "log_format": text}
        logs = [{"name": "stdout", "typed_config": log}]
        name = f"server-{kind}"
        return messages.listener(name, 0, messages.chain(managed, tls), access_log=logs)
