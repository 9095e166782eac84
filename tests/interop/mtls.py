#!/usr/bin/env python3
"""Lets our data plane, Envoy and gRPC C-core meet by mutual TLS, with good and bad certificates.

    tests/interop/setup.sh
    cargo build -p mesh-examples -p mesh-tests --bins
    target/interop/peers/bin/python tests/interop/mtls.py [--self-test]

mtls.yaml says what must come of it: for each kind of certificate and each direction whether it is
accepted, and otherwise what the two sides say. With --self-test every bad certificate is a good
one, good ones are expected to be refused, and each row must notice that.
"""

import argparse
import json
import shutil
import sys
import time
from typing import Any

import yaml

from rig.mtls.matrix import Matrix, Meeting, Outcome, meetings
from rig.place import HERE, WORK

CLIENT = "spiffe://td/client"

# For the reason that a server gives, where one is expected.
PATIENCE = 5.0


def faults(expected: dict[str, Any], outcome: Outcome) -> list[str]:
    """What is not as it is expected."""
    came, said = outcome.came, " | ".join(outcome.server_said)
    if "accepted" in expected:
        return [f"refused: {came.why}"] if came.why else wrong_name(expected, came.peer)
    if not came.why:
        return [f"accepted as {came.peer!r}"]
    found = {"client": came.why, "server": said}
    return [
        f"the {side} says {found[side]!r}; expected {text!r}"
        for side, text in expected.items()
        if text not in found[side]
    ]


def wrong_name(expected: dict[str, Any], peer: str) -> list[str]:
    """Whether the server takes the client for somebody else."""
    wanted = expected.get("as", CLIENT)
    return [] if peer == wanted else [f"the client is {peer!r} to the server; not {wanted!r}"]


Table = dict[str, dict[str, Any]]


def run(kinds: dict[str, str], table: Table) -> dict[Meeting, Outcome]:
    """Everything that comes, with these certificates."""
    work = WORK / "mtls"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    matrix = Matrix(kinds, work)
    try:
        return {
            it: matrix.run(it, PATIENCE if "server" in row(table, it) else 0.0)
            for it in meetings(list(kinds))
        }
    finally:
        matrix.stop()


def row(table: Table, it: Meeting) -> dict[str, Any]:
    """What is expected of a meeting."""
    found: dict[str, Any] = table[it.kind].get(it.direction, {"server": "is not in the table"})
    return found


def main() -> int:
    """Prints what is wrong; 1 if anything is."""
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--self-test", action="store_true", help="bad certificates are good")
    parser.add_argument("--print", action="store_true", help="what comes, to write the table from")
    arguments = parser.parse_args()
    began = time.monotonic()
    table: Table = yaml.safe_load((HERE / "mtls.yaml").read_text())
    if arguments.self_test:
        return self_test(table)
    outcomes = run({kind: kind for kind in table}, table)
    wrong = []
    for it, outcome in outcomes.items():
        if arguments.print:
            said = {"client": outcome.came.why, "server": outcome.server_said}
            print(f"{it.kind}: {it.direction}: {json.dumps(said)} {outcome.came.peer}")
        found = faults(row(table, it), outcome)
        wrong += [f"{it.kind}: {it.direction}: {why}" for why in found]
    for line in wrong:
        print(f"    {line}")
    refused = sum(bool(outcome.came.why) for outcome in outcomes.values())
    print(
        f"ci: mtls: {len(outcomes)} meetings, {refused} refused, {len(wrong)} failures,"
        f" {time.monotonic() - began:.0f} s"
    )
    return 1 if wrong else 0


def self_test(table: Table) -> int:
    """Whether it is noticed that what should be refused is accepted, for each row."""
    outcomes = run(dict.fromkeys(table, "good"), table)
    blind = []
    tried = 0
    for it, outcome in outcomes.items():
        expected = row(table, it)
        if it.kind == "good":
            expected = {"client": "refused"}
        elif "accepted" in expected and expected.get("as", CLIENT) == CLIENT:
            # It makes no difference to this row.
            continue
        tried += 1
        if not faults(expected, outcome):
            blind.append(f"{it.kind}: {it.direction}")
    for line in blind:
        print(f"    not noticed: {line}")
    print(f"ci: mtls: self-test: {tried} wrong outcomes, {len(blind)} not noticed")
    return 1 if blind or not tried else 0


if __name__ == "__main__":
    sys.exit(main())
