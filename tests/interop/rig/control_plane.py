"""The control plane under test, as a process that serves a directory."""

import json
import re
from pathlib import Path

from rig.place import binary
from rig.process import Child
from rig.resources import Message

SECONDS = 20.0

CLIENT = re.compile(
    r"client (\S+) \((\d+)\) "
    r"(?:(has|is sent) revision (\d+)|refuses .* of (\S+): (.*)|(is gone))"
)


class Refused(Exception):
    """The control plane does not take a push."""


class ControlPlane:
    """`control-plane --resources DIR`; a push replaces the file in DIR."""

    def __init__(self, work: Path) -> None:
        self._directory = work / "resources"
        self._directory.mkdir(parents=True, exist_ok=True)
        self._file = self._directory / "resources.yaml"
        self._file.write_text("[]")
        self._served = ""
        self._log = work / "control-plane.log"
        self.port = 0
        self.start()

    def start(self) -> None:
        """Starts it, at the same address as before."""
        command = [str(binary("control-plane")), "--resources", str(self._directory)]
        command += ["--clients", "--listen", f"127.0.0.1:{self.port}"]
        self._child = Child(command, self._log)
        _, line = self._child.wait(0, lambda it: it.startswith("listening on "), SECONDS)
        self.port = int(line.rpartition(":")[2])
        self._revision = 1

    def push(self, resources: list[Message]) -> None:
        """Serves exactly these resources. Returns when the control plane has read them."""
        text = "".join(f"---\n{json.dumps(resource)}\n" for resource in resources) or "[]\n"
        if text == self._served:
            return
        start = self._child.count()
        new = self._file.with_suffix(".new")
        new.write_text(text)
        new.rename(self._file)
        outcomes = ("reloaded", "rejected")
        _, line = self._child.wait(start, lambda it: it.startswith(outcomes), SECONDS)
        if line.startswith("rejected"):
            raise Refused(f"the control plane: {line}")
        self._revision = int(line.rpartition(" ")[2])
        self._served = text

    def has(self, node: str) -> bool:
        """Whether the node was sent all it wants of the last push and accepted or refused it."""
        state, refusals = self._state(node)
        return state[1] == self._revision and (state[0] == "has" or bool(refusals))

    def refusals(self, node: str) -> list[str]:
        """What the node refuses of the last push, and why."""
        state, refusals = self._state(node)
        return refusals if state[1] == self._revision else []

    def _state(self, node: str) -> tuple[tuple[str, int], list[str]]:
        state, refusals = ("", 0), list[str]()
        for line in self._child.lines():
            if (match := CLIENT.fullmatch(line)) is None or match[1] != node:
                continue
            if match[3]:
                state, refusals = (match[3], int(match[4])), []
            elif match[5]:
                refusals.append(f"{match[5]}: {json.loads(match[6])}")
            else:
                state, refusals = ("", 0), []
        return state, refusals

    def stop(self) -> None:
        """Ends it. Its clients lose their streams."""
        self._child.stop()
