#!/usr/bin/env python3
"""Asks Envoy and servers of the mesh the same requests under the same limits and faults.

    tests/interop/setup.sh
    cargo build -p mesh-tests --bin rbac
    target/interop/peers/bin/python tests/interop/server.py [--self-test]

server/limits.yaml has listeners, and connections with requests and what they must get. With
--self-test each expectation is turned round, and then the servers of the mesh get no filters; all of
that must be noticed.
"""

import argparse
import http.client
import shutil
import sys
import time
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from rig.place import HERE, WORK
from rig.rbac.scene import SIDES, Scene
from rig.rbac.servers import Envoy, Mesh

PLAIN = [{"match": {"prefix": "/"}}]


@dataclass(frozen=True)
class Ask:
    """A connection with requests that are all alike, and the statuses that they must get."""

    statuses: list[int]
    path: str = "/"
    headers: dict[str, str] = field(default_factory=dict)
    # How many seconds all of them take, at least and at most.
    takes: tuple[float, float] = (0.0, 10.0)

    def turned(self) -> list["Ask"]:
        """The same with each thing wrong in turn."""
        wrong = [[*self.statuses[:at], 599, *self.statuses[at + 1 :]] for at in self.indices()]
        late = (self.takes[1], self.takes[1] + 1)
        return [replace(self, statuses=it) for it in wrong] + [replace(self, takes=late)]

    def indices(self) -> range:
        """Where its statuses are."""
        return range(len(self.statuses))

    def fault(self, came: tuple[list[int], float]) -> str:
        """What is wrong with what came; empty if nothing is."""
        statuses, seconds = came
        if statuses != self.statuses:
            return f"{statuses}; expected {self.statuses}"
        if not self.takes[0] <= seconds <= self.takes[1]:
            return f"{seconds:.3f} s; expected {self.takes}"
        return ""

    def ask(self, port: int) -> tuple[list[int], float]:
        """Sends the requests: the statuses, and how many seconds they took."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.connect()
        start, statuses = time.monotonic(), []
        for _ in self.statuses:
            connection.request("GET", self.path, headers={"host": "shop", **self.headers})
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        seconds = time.monotonic() - start
        connection.close()
        return statuses, seconds


@dataclass(frozen=True)
class Row:
    """A listener with what is asked of it."""

    about: str
    scene: Scene
    asks: list[Ask]


Came = list[tuple[str, str, Ask, tuple[list[int], float]]]


def load() -> list[Row]:
    """The rows of the table; what is not understood is an error."""
    rows = []
    for at, row in enumerate(yaml.safe_load((HERE / "server" / "limits.yaml").read_text())):
        if unknown := set(row) - {"about", "filters", "routes", "asks"}:
            raise ValueError(f"{row['about']} has {sorted(unknown)}")
        scene = Scene(f"server-{at + 1}", row["filters"], row.get("routes", PLAIN))
        asks = [Ask(**{**it, "takes": tuple(it.get("takes", Ask.takes))}) for it in row["asks"]]
        rows.append(Row(row["about"], scene, asks))
    return rows


def run(rows: list[Row], for_mesh: list[Scene]) -> Came:
    """What both sides answer, the mesh with these listeners."""
    work = WORK / "server"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    mesh, envoy = Mesh(for_mesh, work), Envoy([row.scene for row in rows], work)
    ports: dict[str, dict[str, int]] = dict(zip(SIDES, (envoy.ports, mesh.ports), strict=True))
    try:
        return [
            (row.about, side, it, it.ask(ports[side][row.scene.name]))
            for row in rows
            for side in SIDES
            for it in row.asks
        ]
    finally:
        envoy.stop()
        mesh.stop()


def self_test(rows: list[Row], came: Came) -> int:
    """Whether everything that could be wrong would be noticed."""
    turned = [(about, wrong, it) for about, _, ask, it in came for wrong in ask.turned()]
    blind = [about for about, wrong, it in turned if not wrong.fault(it)]
    bare: list[dict[str, Any]] = [{"match": {"prefix": "/"}}]
    again = run(rows, [replace(row.scene, filters=[], routes=bare) for row in rows])
    for row in rows:
        if not any(ask.fault(it) for about, _, ask, it in again if about == row.about):
            blind.append(row.about)
    for line in blind:
        print(f"    not noticed: {line}")
    print(f"ci: server: self-test: {len(turned) + len(rows)} wrong things, {len(blind)} not noticed")
    return 1 if blind or not turned else 0


def main() -> int:
    """Prints what is wrong, and how much was asked; 1 if anything is not as it should be."""
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--self-test", action="store_true", help="whether mistakes are noticed")
    arguments = parser.parse_args()
    began = time.monotonic()
    rows = load()
    came = run(rows, [row.scene for row in rows])
    wrong = [
        f"{about} ({side}) {ask.path} {ask.headers or ''}: {fault}"
        for about, side, ask, it in came
        if (fault := ask.fault(it))
    ]
    for line in wrong:
        print(f"    {line}")
    seconds = time.monotonic() - began
    print(f"ci: server: {len(came)} connections, {len(wrong)} failures, {seconds:.0f} s")
    blind = self_test(rows, came) if arguments.self_test else 0
    return 1 if wrong or blind else 0


if __name__ == "__main__":
    sys.exit(main())
