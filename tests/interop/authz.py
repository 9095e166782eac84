#!/usr/bin/env python3
"""Asks Envoy and servers of the mesh the same requests under the same `ext_authz` filter.

    tests/interop/setup.sh
    cargo build -p mesh-tests --bin rbac
    target/interop/peers/bin/python tests/interop/authz.py [--only TEXT] [--print] [--self-test]

Both ask the same service. What it is asked, what the client sees and what stands behind the filter
must be the same, but for what authz/scenes.yaml says, with a reason. With --self-test every
expectation and everything that is observed of the mesh is turned round, one after the other.
"""

import argparse
import shutil
import sys
import time
from dataclasses import replace

from rig.authz.observed import Observed, differences, observe
from rig.authz.services import Authorization
from rig.authz.table import Question, Rule, Table, load
from rig.place import HERE, WORK
from rig.rbac.servers import Envoy, Mesh

# Nothing that is ever observed.
OTHER = "something else"

Result = tuple[Rule, Question, dict[str, Observed]]


def run(rules: list[Rule]) -> tuple[list[Result], list[str]]:
    """What came of each question, and which scenes the mesh refuses."""
    work = WORK / "authz"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    service = Authorization()
    clusters = service.clusters()
    mesh = Mesh([rule.scenes["mesh"] for rule in rules], work, clusters)
    envoy = Envoy([rule.scenes["envoy"] for rule in rules], work, clusters)
    results: list[Result] = []
    try:
        for rule in rules:
            if rule.name in mesh.refused:
                continue
            ports = {"envoy": envoy.ports[rule.name], "mesh": mesh.ports[rule.name]}
            for question in rule.questions:
                came = {side: observe(service, port, question) for side, port in ports.items()}
                results.append((rule, question, came))
    finally:
        envoy.stop()
        mesh.stop()
        service.stop()
    return results, [f"{name}: {why}" for name, why in mesh.refused.items()]


def self_test(table: Table, results: list[Result]) -> int:
    """Whether everything that could be wrong would be noticed."""
    turned, blind = 0, []
    for rule, question, came in results:
        for path in question.expect:
            other = replace(question, expect={**question.expect, path: OTHER})
            turned += 1
            if not differences(table, other, came):
                blind.append(f"{rule.about}: expected {path}")
        for path, values in question.differs.items():
            for side in values:
                differs = {**question.differs, path: {**values, side: OTHER}}
                turned += 1
                if not differences(table, replace(question, differs=differs), came):
                    blind.append(f"{rule.about}: {side} differs in {path}")
        for path in came["mesh"].keys() - table.ignored.keys():
            turned += 1
            if not differences(table, question, {**came, "mesh": {**came["mesh"], path: OTHER}}):
                blind.append(f"{rule.about}: seen {path}")
    for line in blind:
        print(f"    not noticed: {line}")
    print(f"ci: authz: self-test: {turned} wrong things, {len(blind)} not noticed")
    return 1 if blind or not turned else 0


def main() -> int:
    """Prints what is wrong, and how much was asked; 1 if anything is not as it should be."""
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--only", metavar="TEXT", help="scenes that are about this")
    parser.add_argument("--print", action="store_true", help="all that is observed")
    parser.add_argument("--self-test", action="store_true", help="whether mistakes are noticed")
    arguments = parser.parse_args()
    began = time.monotonic()
    table = load(HERE / "authz" / "scenes.yaml")
    if arguments.only:
        table.rules = [rule for rule in table.rules if arguments.only in rule.about]
    results, wrong = run(table.rules)
    for rule, question, came in results:
        if arguments.print:
            print(rule.about, question.request, came)
        lines = differences(table, question, came)
        wrong += [f"{rule.about}: {question.request}: {line}" for line in lines]
    for line in wrong:
        print(f"    {line}")
    differ = sum(bool(question.differs) for _, question, _ in results)
    seconds = time.monotonic() - began
    print(
        f"ci: authz: {len(table.rules)} scenes, {len(results)} requests, of which {differ} differ"
        f" for a reason; {len(wrong)} failures, {seconds:.0f} s"
    )
    blind = self_test(table, results) if arguments.self_test else 0
    return 1 if wrong or blind else 0


if __name__ == "__main__":
    sys.exit(main())
