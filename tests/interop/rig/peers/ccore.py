"""gRPC C-core: a client in a process of its own, as its bootstrap is the process's."""

import base64
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

from rig import protos
from rig.answer import Answer, Ask
from rig.case import Case
from rig.peers import bootstrap
from rig.place import HERE
from rig.process import Child
from rig.resources import Message, name_of


class CCore:
    """A process of ccore_client.py."""

    kind = "ccore"

    def __init__(self, node: str, control_plane: int, work: Path) -> None:
        self.node = node
        env = {**os.environ, "GRPC_XDS_BOOTSTRAP_CONFIG": bootstrap.text(node, control_plane)}
        command = [sys.executable, "-m", "rig.peers.ccore_client"]
        self._child = Child(command, work / f"{node}.log", {**env, "PYTHONPATH": str(HERE)})
        self._target = ""
        self._one_at_a_time = Lock()

    def open(self, case: Case) -> None:
        self._target = f"xds:///{case.name}"
        self._do({"do": "open", "target": self._target})

    def pending(self, resources: list[Message]) -> str | None:
        pushed = {(it["@type"], name_of(it)): it for it in resources}
        configs = self._configs()
        if not configs:
            return "nothing is subscribed to"
        for it in configs:
            kind, name = it["type"], it["name"]
            wanted = pushed.get((kind, name))
            if wanted is None:
                if it["status"] != "DOES_NOT_EXIST":
                    return f"{name} of {kind} is {it['status']}"
            elif it["status"] not in ("ACKED", "NACKED"):
                return f"{name} of {kind} is {it['status']}"
            elif protos.message(wanted) != protos.binary(kind, base64.b64decode(it["config"])):
                return f"{name} of {kind} is not the one that was pushed"
        return None

    def ask(self, ask: Ask) -> list[Answer]:
        done = self._do({"do": "ask", "target": self._target, "ask": asdict(ask)})
        return [Answer(**it) for it in done["answers"]]

    def close(self) -> None:
        self._do({"do": "close"})

    def stop(self) -> None:
        self._child.stop()

    def _configs(self) -> list[dict[str, Any]]:
        configs: list[dict[str, Any]] = self._do({"do": "csds"})["configs"]
        return configs

    def _do(self, what: dict[str, Any]) -> Any:
        with self._one_at_a_time:
            start = self._child.count()
            self._child.send(json.dumps(what))
            _, line = self._child.wait(start, lambda _: True, 120)
            return json.loads(line)
