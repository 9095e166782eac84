#!/usr/bin/env python3
"""Runs the torture list of the transport against hyper, Envoy and gRPC C-core, side by side.

    tests/interop/setup.sh
    cargo build -p mesh-tests --bin torture
    target/interop/peers/bin/python tests/interop/torture.py [--server hyper,envoy,ccore]

The list is tests/torture. Envoy is in front of the backend on hyper and has the limits itself.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from rig.peers.envoy_front import EnvoyFront
from rig.place import HERE, WORK, binary
from rig.process import Child

SERVERS = ("hyper", "envoy", "ccore")


def backend(command: list[str], log: Path) -> tuple[Child, list[str]]:
    """Starts a backend; its addresses without limits, with one stream, and going away."""
    child = Child(command, log)
    _, line = child.wait(0, lambda it: ":" in it, 20)
    return child, line.split()


def start(name: str, work: Path) -> tuple[list[str], list[Child | EnvoyFront]]:
    """Starts servers of a kind: how the list finds them, and what to stop."""
    if name == "ccore":
        command = [sys.executable, str(HERE / "rig" / "torture_backend.py")]
    else:
        command = [str(binary("torture")), "serve"]
    child, addresses = backend(command, work / f"{name}-backend.log")
    stopped: list[Child | EnvoyFront] = [child]
    pid, more = child.pid, []
    if name == "envoy":
        envoy = EnvoyFront(addresses[0], work)
        stopped.append(envoy)
        addresses, pid, more = envoy.addresses, envoy.pid, ["--admin", envoy.admin]
    plain, one, goaway = addresses
    found = ["--plain", plain, "--one", one, "--goaway", goaway, "--pid", str(pid)]
    return ["--server", name, *found, *more], stopped


def main() -> int:
    """Prints what each list says; 1 if any misses anything."""
    raw = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--server", default=",".join(SERVERS), help="which: %(default)s")
    parser.add_argument("--only", metavar="CASE", action="append", default=[], help="this case")
    asked = parser.parse_args()
    names = asked.server.split(",")
    if unknown := set(names) - set(SERVERS):
        parser.error(f"no server {sorted(unknown)}; there are {', '.join(SERVERS)}")
    work = WORK / "torture"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)

    began, stopped, lists = time.monotonic(), [], {}
    try:
        for name in names:
            arguments, started = start(name, work)
            stopped += started
            command = [str(binary("torture")), "run", *arguments]
            command += [f"--only={case}" for case in asked.only]
            lists[name] = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
        failures = 0
        for name, process in lists.items():
            output, _ = process.communicate()
            print(f"--- {name}\n{output}", end="", flush=True)
            failures += process.returncode != 0
    finally:
        for process in lists.values():
            process.kill()
        for started in stopped:
            started.stop()
    seconds = time.monotonic() - began
    print(f"ci: torture: {len(names)} servers, {failures} failures, {seconds:.0f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
