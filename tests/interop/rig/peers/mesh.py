"""This project's data plane: `meshcurl --interactive`."""

import json
from pathlib import Path
from typing import Any

from rig.answer import GRPC_CODES, Answer, Ask
from rig.case import Case
from rig.peers import bootstrap
from rig.place import binary
from rig.process import Child
from rig.resources import Message

AT_ONCE = 16


class Mesh:
    """A process of meshcurl for each case."""

    kind = "mesh"

    def __init__(self, node: str, control_plane: int, delta: bool, work: Path) -> None:
        self.node = node
        self._bootstrap = work / f"{node}.json"
        self._control_plane = control_plane
        # A feature that only this project's client knows.
        self._features = ["delta"] if delta else []
        self._log = work / f"{node}.log"
        self._child: Child | None = None
        self._grpc = False
        self._read = 0

    def open(self, case: Case) -> None:
        self._grpc = case.grpc
        features = [*self._features, *case.server_features]
        self._bootstrap.write_text(bootstrap.text(self.node, self._control_plane, *features))
        command = [str(binary("meshcurl")), "--bootstrap", str(self._bootstrap)]
        command += ["--target", f"xds:///{case.name}", "--interactive"]
        self._child = Child(command, self._log)
        self._read = 0
        # A channel connects with its first call. What comes of that is of no interest.
        self._child.send(json.dumps({"path": "/connect", "timeout_ms": 1000, "grpc": self._grpc}))
        self._results()

    def pending(self, resources: list[Message]) -> str | None:
        """Its control plane knows; see there."""
        return None

    def ask(self, ask: Ask) -> list[Answer]:
        assert self._child is not None
        headers: dict[str, Any] = dict(ask.headers)
        if ask.host is not None:
            headers["host"] = ask.host
        line = {
            "path": ask.path,
            "method": ask.method,
            "headers": headers,
            "body": "." * ask.body,
            "grpc": self._grpc,
            "n": ask.n,
            "c": min(ask.n, ask.at_once or (AT_ONCE if self._grpc else 1)),
            "timeout_ms": int(ask.timeout * 1000),
        }
        self._child.send(json.dumps(line))
        return [self._answer(json.loads(it)) for it in self._results()]

    def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    def _results(self) -> list[str]:
        """The lines that answer the last line that was sent."""
        assert self._child is not None
        start = self._read
        at, _ = self._child.wait(start, lambda it: it == '{"done":true}', 120)
        self._read = at + 1
        return self._child.lines(start)[: at - start]

    def _answer(self, it: dict[str, Any]) -> Answer:
        if it["error"] is not None:
            raise RuntimeError(f"meshcurl: {it['error']}")
        status = GRPC_CODES[it["grpc_status"]] if self._grpc else str(it["http_status"])
        backend = it["headers"].get("x-backend", [None])[0]
        seen = json.loads(it["body"]) if backend and it["body"] else {"body": it["body"]}
        why = it["why"] or it["grpc_message"] or ""
        return Answer(status, backend, seen, it["headers"], why)
