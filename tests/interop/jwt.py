#!/usr/bin/env python3
"""Asks Envoy and servers of the mesh the same requests under the same `jwt_authn` filter.

    tests/interop/setup.sh
    cargo build -p mesh-tests --bin rbac
    target/interop/peers/bin/python tests/interop/jwt.py [--only TEXT]

jwt/cases.yaml says what is required, what is asked, and what is answered; where the two answer
differently, why. What the filter leaves behind, in header fields and in metadata, is what an RBAC
filter behind it sees. With --self-test each status is expected to be another one.
"""

import argparse
import shutil
import sys
import time

from rig.jwt import table
from rig.place import HERE, WORK
from rig.rbac.requests import status
from rig.rbac.servers import Envoy, Mesh


def run(cases: list[table.Case]) -> tuple[list[str], int]:
    """All that is not as the table says, and how much was asked."""
    work = WORK / "jwt"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    scenes = [case.scene for case in cases]
    mesh = Mesh(scenes, work)
    envoy = Envoy(scenes, work)
    wrong, asked = [f"{name}: {why}" for name, why in mesh.refused.items()], 0
    try:
        for case in cases:
            if case.scene.name in mesh.refused:
                continue
            ports = {"envoy": envoy.ports[case.scene.name], "mesh": mesh.ports[case.scene.name]}
            for request in case.requests:
                came = {
                    side: status((case.scene.address, port), request.ask)
                    for side, port in ports.items()
                }
                asked += 1
                if came != request.statuses:
                    said = f"{case.about}: {request.words}: {came}"
                    wrong.append(f"{said}; expected {request.statuses}")
    finally:
        envoy.stop()
        mesh.stop()
    return wrong, asked


def main() -> int:
    """Prints what is wrong, and how much was asked; 1 if anything is not as it should be."""
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--only", metavar="TEXT", help="cases that are about this")
    parser.add_argument("--self-test", action="store_true", help="each status is to be another")
    arguments = parser.parse_args()
    began = time.monotonic()
    cases = table.load(HERE / "jwt" / "cases.yaml")
    if arguments.only:
        cases = [case for case in cases if arguments.only in case.about]
    if arguments.self_test:
        for case in cases:
            for request in case.requests:
                turned = {side: -code for side, code in request.statuses.items()}
                request.statuses = turned
    wrong, asked = run(cases)
    seconds = time.monotonic() - began
    if arguments.self_test:
        blind = asked - len(wrong)
        print(f"ci: jwt: self-test: {asked} wrong expectations, {blind} not noticed")
        return 1 if blind or not asked else 0
    for line in wrong:
        print(f"    {line}")
    differ = sum(bool(request.why) for case in cases for request in case.requests)
    print(
        f"ci: jwt: {len(cases)} cases, {asked} requests, of which {differ} differ for a reason;"
        f" {len(wrong)} failures, {seconds:.0f} s"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
