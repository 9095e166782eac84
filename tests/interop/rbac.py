#!/usr/bin/env python3
"""Asks Envoy and servers of the mesh the same requests under the same RBAC rules.

    tests/interop/setup.sh
    cargo build -p mesh-tests --bin rbac
    target/interop/peers/bin/python tests/interop/rbac.py [--only SCENE]... [--seed N]

rbac/leaves.yaml and, for TLS, rbac/secure.yaml have conditions, each of which is put into expressions at least three deep;
rbac/rules.yaml has whole rules; the rest is random, from a seed. Statuses must be the same, unless
the table says that they are not, and why. With --self-test the servers of the mesh get rules that
do the opposite, and every request must show that.
"""

import argparse
import copy
import shutil
import sys
import time
from typing import Any

from rig.place import HERE, WORK
from rig.rbac import kinds, leaves, random_rules, table
from rig.rbac.requests import CLOSED, status
from rig.rbac.scene import Ask, Question, Scene
from rig.rbac.servers import Envoy, Mesh, refusal

SEED = 20_240_611

# Tables of conditions.
LEAVES = ("leaves", leaves.SECURE)

PASSES = {200: True, 403: False, CLOSED: False}


class Tally:
    """What came of the questions."""

    def __init__(self) -> None:
        self.asked = 0
        self.passed = 0
        self.differ = 0
        self.wrong: list[str] = []

    def add(self, scene: Scene, question: Question, came: dict[str, int]) -> None:
        """Compares the answers to a question."""
        passes = {side: PASSES.get(code) for side, code in came.items()}
        self.asked += 1
        self.passed += passes["envoy"] is True
        self.differ += question.passes is not None and len(set(question.passes.values())) > 1
        wanted = question.passes or {side: passes["envoy"] for side in came}
        if passes != wanted or None in passes.values():
            said = ", ".join(f"{side} {code}" for side, code in came.items())
            expected = question.passes or "the same"
            self.wrong.append(f"{scene.name}: {words(question.ask)}: {said}; expected {expected}")


def words(ask: Ask) -> str:
    """A request in a line."""
    who = f"{ask.identity} asking for {ask.server_name}" if ask.identity or ask.server_name else ""
    return f"{ask.method} {ask.host} {ask.path} {list(ask.headers)} from {ask.source} {who}"


def opposite(value: Any) -> Any:
    """Rules that allow what these deny, wherever they name an action."""
    if isinstance(value, list):
        return [opposite(one) for one in value]
    if not isinstance(value, dict):
        return value
    turned = {key: opposite(one) for key, one in value.items()}
    if isinstance(turned.get("action"), str):
        turned["action"] = {"ALLOW": "DENY", "DENY": "ALLOW"}.get(turned["action"], "LOG")
    return turned


def all_scenes(seed: int) -> list[Scene]:
    """Everything that there is to ask."""
    folder = HERE / "rbac"
    scenes = [scene for name in LEAVES for scene in leaves.load(folder / f"{name}.yaml")]
    scenes += table.load(folder / "rules.yaml")
    return scenes + random_rules.scenes(seed)


def run(scenes: list[Scene], turned: list[Scene]) -> tuple[Tally, list[str]]:
    """Asks Envoy under `scenes` and the mesh under `turned`; what is wrong besides answers."""
    work = WORK / "rbac"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tally, broken = Tally(), []
    mesh = Mesh(turned, work)
    envoy = Envoy([scene for scene in scenes if not scene.refused], work)
    try:
        for scene in scenes:
            came = {"mesh": mesh.refused.get(scene.name, "")}
            if scene.refused:
                came["envoy"] = refusal(scene, work)
            for side, why in came.items():
                wanted = scene.refused.get(side, "")
                if bool(why) != bool(wanted) or wanted not in why:
                    broken.append(f"{scene.name}: {side} says {why!r}; expected {wanted!r}")
            if any(came.values()):
                continue
            for question in scene.questions:
                ports = {"envoy": envoy.ports[scene.name], "mesh": mesh.ports[scene.name]}
                asked = {
                    side: status(
                        (scene.address, port), question.ask, work if scene.is_secure else None
                    )
                    for side, port in ports.items()
                }
                tally.add(scene, question, asked)
    finally:
        envoy.stop()
        mesh.stop()
    return tally, broken


def main() -> int:
    """Prints what is wrong, and how much was asked; 1 if anything is not as it should be."""
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--only", metavar="SCENE", action="append", help="this one; repeatable")
    parser.add_argument("--seed", type=int, default=SEED, help="of the random rules: %(default)s")
    parser.add_argument("--self-test", action="store_true", help="the mesh gets the opposite")
    arguments = parser.parse_args()
    began = time.monotonic()
    scenes = all_scenes(arguments.seed)
    if arguments.only:
        scenes = [scene for scene in scenes if scene.name in arguments.only]
    if arguments.self_test:
        return self_test(scenes)

    tally, wrong = run(scenes, scenes)
    if not arguments.only:
        wrong += kinds.rare(scenes)
    wrong += tally.wrong
    for line in wrong:
        print(f"    {line}")
    seconds = time.monotonic() - began
    print(
        f"ci: rbac: {len(scenes)} scenes, {tally.asked} requests, of which Envoy lets"
        f" {tally.passed} pass and {tally.differ} differ for a reason; {len(wrong)} failures,"
        f" {seconds:.0f} s"
    )
    return 1 if wrong else 0


def self_test(scenes: list[Scene]) -> int:
    """Whether a server with the opposite rules is seen to be wrong with every request."""
    # A request that must get the same anyway says nothing about the comparison.
    scenes = [scene for scene in scenes if scene.name.startswith(LEAVES)]
    for scene in scenes:
        scene.questions = [question for question in scene.questions if not question.why]
    turned = copy.deepcopy(scenes)
    for scene in turned:
        scene.filters, scene.routes = opposite(scene.filters), opposite(scene.routes)
    tally, broken = run(scenes, turned)
    blind = tally.asked - len(tally.wrong)
    for line in broken:
        print(f"    {line}")
    print(f"ci: rbac: self-test: {tally.asked} wrong verdicts, {blind} not noticed")
    return 1 if broken or blind or not tally.asked else 0


if __name__ == "__main__":
    sys.exit(main())
