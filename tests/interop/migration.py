#!/usr/bin/env python3
"""The day on which two servers of the mesh change from plain text to mutual TLS, under traffic.

    tests/interop/setup.sh
    cargo build -p mesh-examples -p mesh-tests --bins
    target/interop/peers/bin/python tests/interop/migration.py [--self-test]

An Envoy as a sidecar has it (Istio's ALPN names and retries), over HTTP/2 and over HTTP/1.1, a
client without TLS, probes and scrapes, all the time. Certificates live for 20 s, and are replaced every 5 s. In turn: PERMISSIVE;
STRICT, by push; each server is ended with SIGTERM and started again; nobody replaces certificates
for half of their life. The sidecar's requests and the probes never fail; plain text is served until
STRICT and never after.
"""

import argparse
import http.client
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rig.control_plane import ControlPlane
from rig.mtls import messages, peers
from rig.mtls.authority import Authority
from rig.place import WORK
from rig.resources import HTTP_OPTIONS, TYPES, Message

LIFETIME = 20
ROTATION = 5.0
NAMES = ("a", "b")
# What the sidecar speaks with the servers, by the name of its cluster: its ALPN names and options.
FORMS = {
    "servers": (("istio-h2", "istio", "h2"), {"http2_protocol_options": {}}),
    "servers-http1": (("istio-http/1.1", "istio", "http/1.1"), {"http_protocol_options": {}}),
}
# As istiod writes it.
RETRIES = {
    "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
    "num_retries": 2,
    "retriable_status_codes": [503],
    "host_selection_retry_max_attempts": 5,
    "retry_host_predicate": [
        {
            "name": "previous",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3"
                ".PreviousHostsPredicate"
            },
        }
    ],
}


def short_lived(options: Message) -> Message:
    """A cluster's options with which there are handshakes all the time."""
    return {
        "@type": TYPES + HTTP_OPTIONS,
        "explicit_http_config": options,
        "common_http_protocol_options": {"max_requests_per_connection": 5},
    }


class Traffic:
    """Requests, one after the other, in a thread of its own; what came of them."""

    def __init__(self, ask: Callable[[], str], pause: float) -> None:
        self._ask, self._pause = ask, pause
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._came: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(self._pause):
            try:
                came = self._ask()
            except (OSError, http.client.HTTPException) as error:
                came = f"{type(error).__name__}: {error}"
            with self._lock:
                self._came.append(came)

    def take(self) -> list[str]:
        """What came since the last time."""
        with self._lock:
            came, self._came = self._came, []
        return came

    def stop(self) -> None:
        """Ends it."""
        self._ended.set()
        self._thread.join(10)


def get(port: int, path: str, wanted: str = "") -> str:
    """A request on a connection of its own: the status, or who the server takes it for."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        if response.status != 200:
            return f"{response.status}: {body}"
        return response.getheader(wanted, "nobody") if wanted else "200"
    finally:
        connection.close()


class Day:
    """All processes, and all traffic."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._authority = Authority(work / "certificates", work / "authority.log")
        self.serials = 0
        self._rotating = threading.Lock()
        self.rotate()
        self._rotates = threading.Event()
        self._rotates.set()
        threading.Thread(target=self._rotation, daemon=True).start()
        self._grpc, self._envoys = ControlPlane(work / "grpc"), ControlPlane(work / "envoys")
        # Ports that are bound stay theirs while they are away.
        self.ports = {name: port() for name in NAMES}
        self.probes = {name: port() for name in NAMES}
        self._strict = False
        self.push(strict=False)
        self.servers = {name: self.start(name) for name in NAMES}
        self._envoy = peers.Envoy("sidecar", self._envoys.port, False, work)
        self._envoys.push(self._sidecar())
        doors = {form: self._envoy.port(form) for form in FORMS}
        for name in NAMES:
            self.until_ready(name)
        for form, door in doors.items():
            peers.until(f"the sidecar has {form}", lambda at=door: get(at, "/") == "200")
        header = "x-peer-spiffe"
        self.sidecar = {
            form: [Traffic(lambda at=door: get(at, "/", header), 0.01) for _ in range(2)]
            for form, door in doors.items()
        }
        plain = self.ports["a"]
        self.plain = Traffic(lambda: get(plain, "/", header), 0.02)
        self.watchers: dict[str, Traffic] = {}
        for name in NAMES:
            self.watch(name)

    def watch(self, name: str) -> None:
        """Probes and scrapes a server, as a kubelet and Prometheus do."""
        at = self.probes[name]
        for path in ("/healthz", "/ready", "/metrics"):
            self.watchers[name + path] = Traffic(lambda p=path: get(at, p), 0.1)

    def start(self, name: str) -> peers.Echo:
        """Starts a server where it was before."""
        file = self._work / f"{name}.json"
        text = peers.grpc_bootstrap(name, self._grpc.port, self._authority, ["server"], "td")
        file.write_text(text)
        more = ("--listen", f"127.0.0.1:{self.ports[name]}")
        return peers.Echo(
            name, file, self._work, *more, "--probes", f"127.0.0.1:{self.probes[name]}"
        )

    def until_ready(self, name: str) -> None:
        """Waits until a server is ready."""

        def is_ready() -> bool:
            try:
                return get(self.probes[name], "/ready") == "200"
            except OSError:
                return False

        peers.until(f"{name} is ready", is_ready)

    def push(self, strict: bool) -> None:
        """What the servers take from now on."""
        common = messages.providers("server", "/sidecar")
        all_names = (name for names, _ in FORMS.values() for name in names)
        common["alpn_protocols"] = list(dict.fromkeys(all_names))
        tls = messages.socket("Downstream", common, require_client_certificate=True)
        secure = messages.chain(messages.served("s"), tls)
        kinds = "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3"
        inspector = {"name": "i", "typed_config": {"@type": f"{kinds}.TlsInspector"}}
        both = [
            {**secure, "filter_chain_match": {"transport_protocol": "tls"}},
            messages.chain(
                messages.served("p"), filter_chain_match={"transport_protocol": "raw_buffer"}
            ),
        ]
        chains = [secure] if strict else both
        ports = self.ports.values()
        self._grpc.push([messages.server(it, *chains, listener_filters=[inspector]) for it in ports])

    def until_pushed(self) -> None:
        """Waits until the last push is in force everywhere."""
        for name in NAMES:
            peers.until(f"{name} has the push", lambda n=name: self._grpc.has(n))

    def rotate(self) -> None:
        """Replaces all certificates."""
        with self._rotating:
            for name in ("server", "sidecar"):
                self._authority.issue(name, "good", f"/{name}", LIFETIME)
            self.serials += 1

    def handshakes(self) -> list[int]:
        """How often the sidecar has agreed on TLS with the servers, in each form."""
        return [self._envoy.handshakes(form) for form in FORMS]

    def hang(self, hangs: bool) -> None:
        """From now on nobody replaces certificates, or somebody does."""
        if hangs:
            self._rotates.clear()
        else:
            self._rotates.set()

    def _rotation(self) -> None:
        while True:
            time.sleep(ROTATION)
            self._rotates.wait()
            self.rotate()

    def _sidecar(self) -> list[Message]:
        resources: list[Message] = []
        for form, (names, options) in FORMS.items():
            common = messages.secrets(self._authority, "sidecar", "/server", *names)
            tls = messages.socket("Upstream", common)
            lived = {HTTP_OPTIONS: short_lived(options)}
            cluster, _ = messages.cluster(form, 0, tls, typed_extension_protocol_options=lived)
            route = {"cluster": form, "timeout": "5s", "retry_policy": RETRIES}
            managed = messages.manager(form, [{"match": {"prefix": "/"}, "route": route}])
            resources += [
                cluster,
                messages.assignment(form, *self.ports.values()),
                messages.listener(form, 0, messages.chain(managed)),
            ]
        return resources

    def stop(self) -> None:
        """Ends everything."""
        self.hang(True)
        sidecar = [traffic for form in self.sidecar.values() for traffic in form]
        for traffic in (*sidecar, self.plain, *self.watchers.values()):
            traffic.stop()
        for one in (self._envoy, *self.servers.values(), self._grpc, self._envoys):
            one.stop()
        self._authority.stop()


def port() -> int:
    """A port that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Tally:
    """What came in each part of the day, and what of it is wrong."""

    def __init__(self, day: Day) -> None:
        self._day = day
        self.wrong: list[str] = []

    def part(self, name: str, plain: str) -> None:
        """Judges what came; `plain` says what the client without TLS must have got."""
        day = self._day
        came = {"plain": day.plain.take()}
        wanted = {
            "plain": {
                "served": lambda it: it == "nobody",
                "refused": lambda it: it != "nobody" and not it.startswith("spiffe"),
                "either": lambda _: True,
            }[plain],
        }
        for form, all_of_it in day.sidecar.items():
            came[form] = [it for traffic in all_of_it for it in traffic.take()]
            wanted[form] = lambda it: it == "spiffe://td/sidecar"
        for watcher, traffic in day.watchers.items():
            came[watcher], wanted[watcher] = traffic.take(), lambda it: it == "200"
        for who, answers in came.items():
            bad = [it for it in answers if not wanted[who](it)]
            self.wrong += [f"{name}: {who}: {len(bad)} of {len(answers)}: {bad[0]}"] if bad else []
            self.wrong += [] if answers else [f"{name}: {who}: nothing came"]
        counts = ", ".join(f"{who} {len(answers)}" for who, answers in came.items())
        print(f"    {name}: {counts}", flush=True)


def begin(day: Day, tally: Tally, strict: bool) -> None:
    """Until only TLS is served."""
    time.sleep(6)
    tally.part("permissive", "served")
    day.push(strict)
    if strict:
        day.until_pushed()
    time.sleep(0.2)
    tally.part("the push", "either")
    time.sleep(2)
    tally.part("strict", "refused")


def go_on(day: Day, tally: Tally) -> None:
    """The rest of the day."""
    for name in NAMES:
        # A kubelet does not probe what it has ended.
        gone = [path for path in day.watchers if path.startswith(name)]
        for path in gone:
            day.watchers.pop(path).stop()
        day.servers[name].stop(15.0)
        day.servers[name] = day.start(name)
        day.until_ready(name)
        day.watch(name)
        time.sleep(1)
        tally.part(f"{name} was started again", "refused")
    day.hang(True)
    # However long ago the last ones came: those that are about to expire are not ready, rightly.
    day.rotate()
    before = day.handshakes()
    time.sleep(LIFETIME / 2)
    tally.part("no new certificates", "refused")
    for form, was, now in zip(FORMS, before, day.handshakes(), strict=True):
        if was == now:
            tally.wrong.append(f"{form}: no handshake while nobody replaces certificates")
    day.hang(False)
    time.sleep(2)
    tally.part("the end", "refused")


def main() -> int:
    """Prints what came; 1 if anything is not as it should be."""
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--self-test", action="store_true", help="the servers stay PERMISSIVE")
    is_self_test = parser.parse_args().self_test
    began = time.monotonic()
    work = WORK / "migration"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    day = Day(work)
    tally = Tally(day)
    handshakes: list[int] = []
    try:
        begin(day, tally, not is_self_test)
        if not is_self_test:
            go_on(day, tally)
        handshakes = day.handshakes()
    finally:
        day.stop()
    if is_self_test:
        wanted = [it for it in tally.wrong if it.startswith("strict: plain: ")]
        is_seen = len(wanted) == len(tally.wrong) == 1
        print(f"ci: migration: self-test: {'noticed' if is_seen else 'NOT noticed'}")
        return 0 if is_seen else 1
    for line in tally.wrong:
        print(f"    {line}")
    seconds = time.monotonic() - began
    print(
        f"ci: migration: certificates replaced {day.serials} times, {sum(handshakes)} handshakes,"
        f" {len(tally.wrong)} failures, {seconds:.0f} s"
    )
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
