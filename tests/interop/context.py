#!/usr/bin/env python3
"""Sends requests through a service of the mesh to see what of them its own calls take along.

    tests/interop/setup.sh
    cargo build -p mesh-tests --bin relay
    target/interop/peers/bin/python tests/interop/context.py [--only TEXT] [--print] [--self-test]

Callers are gRPC C-core and Envoy, backends gRPC C-core and an HTTP server of Python. The tables
are in context/. With --self-test each expectation is turned round, one after the other, and then
the service makes its calls outside of requests; all of that must be noticed.
"""

import argparse
import shutil
import sys
import time

from rig.context.chain import Chain, Observed
from rig.context.table import Case, faults, load
from rig.place import HERE, WORK

TABLES = ("deadlines", "fields", "retries")


def run(cases: list[Case], *relay: str) -> list[tuple[Case, Observed]]:
    """What comes of each case, with a relay that is told this."""
    work = WORK / "context"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    chain = Chain(work, *relay)
    try:
        return [(case, chain.observe(case)) for case in cases]
    finally:
        chain.stop()


def self_test(results: list[tuple[Case, Observed]]) -> int:
    """Whether everything that could be wrong would be noticed."""
    turned, blind = 0, []
    for case, came in results:
        for other in case.turned():
            turned += 1
            if not faults(other, came):
                blind.append(f"{case.about} ({case.protocol})")
    for case, came in run([case for case, _ in results], "alone"):
        turned += not case.alone
        if bool(faults(case, came)) == case.alone:
            blind.append(f"{case.about} ({case.protocol}): alone it is {came}")
    for line in blind:
        print(f"    not noticed: {line}")
    print(f"ci: context: self-test: {turned} wrong things, {len(blind)} not noticed")
    return 1 if blind or not turned else 0


def main() -> int:
    """Prints what is wrong, and how much was asked; 1 if anything is not as it should be."""
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--only", metavar="TEXT", help="cases that are about this")
    parser.add_argument("--print", action="store_true", help="all that is observed")
    parser.add_argument("--self-test", action="store_true", help="whether mistakes are noticed")
    arguments = parser.parse_args()
    began = time.monotonic()
    cases = [case for table in TABLES for case in load(HERE / "context" / f"{table}.yaml")]
    results = run([case for case in cases if (arguments.only or "") in case.about])
    wrong = []
    for case, came in results:
        if arguments.print:
            print(f"{case.about} ({case.protocol}): {came}")
        wrong += [f"{case.about} ({case.protocol}): {line}" for line in faults(case, came)]
    for line in wrong:
        print(f"    {line}")
    seconds = time.monotonic() - began
    print(f"ci: context: {len(results)} cases, {len(wrong)} failures, {seconds:.0f} s")
    blind = self_test(results) if arguments.self_test else 0
    return 1 if wrong or blind else 0


if __name__ == "__main__":
    sys.exit(main())
