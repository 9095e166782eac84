#!/usr/bin/env python3
"""Runs the same cases through Envoy, gRPC C-core and this project's data plane.

    tests/interop/setup.sh
    cargo build -p mesh-examples --bins
    target/interop/peers/bin/python tests/interop/run.py [--only CASE]... [--peer LANE,...]

A lane is a data plane on a control plane; --help lists them. Each case is a file of cases/: what
is pushed, what is asked, what must come back, the same for all unless the case says why not.
With --self-test, one expectation of each case is turned round, and every lane must see that.
"""

import argparse
import shutil
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

from rig import case as cases
from rig.backends import Backends
from rig.case import Case
from rig.control_plane import ControlPlane, Refused
from rig.lane import Lane, Served, Verdict
from rig.peers.ccore import CCore
from rig.peers.envoy import Envoy
from rig.peers.mesh import Mesh
from rig.place import CASES, WORK
from rig.python_control_plane import PythonControlPlane
from rig.resources import expanded

# For how long checks are tried again: connections are still made when a push is in force.
SETTLE = 5.0
SETTLE_SELF_TEST = 0.5

ON_OURS = ("envoy", "envoy-delta", "ccore", "mesh", "mesh-delta")
ON_PYTHONS = ("mesh@python", "mesh-delta@python")
LANES = (*ON_OURS, *ON_PYTHONS)


class Rig:
    """Everything that runs while cases do."""

    def __init__(self, names: list[str]) -> None:
        work = WORK / "run"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        self.backends = Backends(work)
        ours = ControlPlane(work)
        pythons = PythonControlPlane()
        self.control_planes: list[Served] = [ours, pythons]
        self.lanes: list[Lane] = []
        for name in names:
            served: ControlPlane | PythonControlPlane = pythons if name in ON_PYTHONS else ours
            node = name.replace("@", "-")
            delta = "-delta" in name
            if name.startswith("envoy"):
                self.lanes.append(Lane(name, Envoy(node, served.port, delta, work), served))
            elif name.startswith("ccore"):
                self.lanes.append(Lane(name, CCore(node, served.port, work), served))
            else:
                self.lanes.append(Lane(name, Mesh(node, served.port, delta, work), served))
        self._threads = ThreadPoolExecutor(len(names))

    def run(self, case: Case, settle: float) -> dict[str, Verdict]:
        """Runs a case in all lanes at once."""
        lanes = [lane for lane in self.lanes if lane.takes(case)]
        verdicts = {lane.name: Verdict() for lane in lanes}
        try:
            self._run(case, lanes, verdicts, settle)
        except Refused as error:
            for verdict in verdicts.values():
                verdict.broken.append(str(error))
        for lane in lanes:
            lane.peer.close()
        return verdicts

    def _run(
        self, case: Case, lanes: list[Lane], verdicts: dict[str, Verdict], settle: float
    ) -> None:
        for at, step in enumerate(case.steps):
            resources = expanded(case.name, step.push, self.backends.addresses)
            for control_plane in self.control_planes:
                if step.outage:
                    control_plane.stop()
                elif step.changed:
                    control_plane.push(resources)

            def work(lane: Lane, at: int = at) -> Verdict:
                try:
                    if at == 0:
                        lane.peer.open(case)
                    return lane.run(case.steps[at], resources, settle)
                except Exception:  # noqa: BLE001  (a lane that fails is red, not the end)
                    return Verdict(broken=[traceback.format_exc()])

            for lane, verdict in zip(lanes, self._threads.map(work, lanes), strict=True):
                verdicts[lane.name].add(at + 1, verdict)
            if step.outage:
                for control_plane in self.control_planes:
                    control_plane.start()

    def stop(self) -> None:
        """Ends everything."""
        for lane in self.lanes:
            lane.peer.stop()
        for control_plane in self.control_planes:
            control_plane.stop()
        self.backends.stop()
        self._threads.shutdown()


def main() -> int:
    """Prints a table of cases and lanes; 1 if anything is not as it should be."""
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--only", metavar="CASE", action="append", help="run this case; repeatable")
    parser.add_argument("--peer", default=",".join(LANES), help="lanes: %(default)s")
    parser.add_argument("--self-test", action="store_true", help="turn round an expectation each")
    arguments = parser.parse_args()
    names = arguments.peer.split(",")
    if unknown := set(names) - set(LANES):
        parser.error(f"no lane {sorted(unknown)}; there are {', '.join(LANES)}")
    paths = [CASES / f"{it}.yaml" for it in arguments.only or ()] or sorted(CASES.glob("*.yaml"))
    loaded = [cases.load(path) for path in paths]

    rig = Rig(names)
    failures = 0
    width = max(len(case.name) for case in loaded)
    print(f"{'case':{width}}  seconds  {'  '.join(names)}")
    try:
        for case in loaded:
            start = time.monotonic()
            if arguments.self_test:
                verdicts = rig.run(case.flipped(), case.settle or SETTLE_SELF_TEST)
                wrong = {n: v for n, v in verdicts.items() if is_blind(case, n, v)}
            else:
                verdicts = rig.run(case, SETTLE)
                wrong = {n: v for n, v in verdicts.items() if v.is_red}
            cells = [cell(verdicts.get(name), name in wrong).ljust(len(name)) for name in names]
            seconds = time.monotonic() - start
            print(f"{case.name:{width}}  {seconds:7.1f}  {'  '.join(cells)}", flush=True)
            for name, verdict in wrong.items():
                failures += 1
                for line in verdict.broken + verdict.wrong or ["what was expected wrongly came"]:
                    print(f"    {name}: {line}", flush=True)
    finally:
        rig.stop()
    print(f"ci: interop: {len(loaded)} cases, {failures} failures")
    return 1 if failures else 0


def is_blind(case: Case, lane: str, verdict: Verdict) -> bool:
    """Whether a lane did not see that the last expectation, and only that, was turned round."""
    peer = next(peer for peer in cases.PEERS if lane.startswith(peer))
    asked = [step for step in case.steps if step.checks][-1].checks[-1]
    return bool(verdict.broken) or len(verdict.wrong) != (1 if peer in asked.expect else 0)


def cell(verdict: Verdict | None, is_wrong: bool) -> str:
    """What the table says."""
    if verdict is None:
        return "-"
    return "FAILED" if is_wrong else "ok"


if __name__ == "__main__":
    sys.exit(main())
