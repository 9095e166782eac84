"""From the tables to requests, and what must come of them."""

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

# What every case must show where it says nothing else.
USUAL: dict[str, Any] = {"answer": None, "calls": 1, "handlers": 1, "running": 0}

# Nothing that is ever observed.
OTHER = "something else"


@dataclass
class Case:
    """A request, and what must come of it."""

    about: str
    # Who asks: C-core for gRPC, Envoy in front of the relay for HTTP.
    protocol: str
    # By path: a value of its own, or for each call of a backend; or a range.
    expect: dict[str, Any]
    # Which of its routes the relay calls on by.
    next: str = "usual"
    # For HTTP, which of Envoy's routes it takes.
    path: str = "/endless"
    # For gRPC, the seconds that the caller has, and whether it tries again.
    timeout: float | None = None
    retries: bool = False
    # Milliseconds that the relay waits before it calls on.
    wait: int = 0
    headers: dict[str, Any] = field(default_factory=dict)
    backend: str = "answers"
    # The same comes of it where calls belong to no request.
    alone: bool = False

    def turned(self) -> list["Case"]:
        """The case with each of its expectations turned round in turn."""
        return [
            replace(self, expect={**self.expect, path: opposite(value)})
            for path, value in self.expect.items()
        ]


def load(path: Path) -> list[Case]:
    """The cases of a table: each for gRPC, for HTTP or, if it says neither, for both."""
    return [case for row in yaml.safe_load(path.read_text()) for case in of_row(row)]


def of_row(row: dict[str, Any]) -> list[Case]:
    """One row."""
    known = {it.name for it in fields(Case)}
    if unknown := set(row) - known:
        raise ValueError(f"{row['about']} has {sorted(unknown)}; known are {sorted(known)}")
    made = []
    for protocol, good in (("grpc", "OK"), ("http", 200)):
        if row.get("protocol", protocol) == protocol:
            expect = {**USUAL, "answer": good, **row["expect"]}
            made.append(Case(**{**row, "protocol": protocol, "expect": expect}))
    return made


def faults(case: Case, came: dict[str, Any]) -> list[str]:
    """All that is not as the case says, a line for each path."""
    return [
        f"{path}: {came.get(path)}; expected {wanted}"
        for path, wanted in case.expect.items()
        if not matches(wanted, came.get(path), came["calls"])
    ]


def matches(wanted: Any, came: Any, calls: int) -> bool:
    """Whether a value is the one, or those of all calls are."""
    if isinstance(wanted, list):
        return bool(wanted == came)
    # What no call has said is not there at all.
    values = [None] * max(calls, 1) if came is None else came
    if not isinstance(values, list):
        values = [values]
    return bool(values) and all(one(wanted, it) for it in values)


def one(wanted: Any, came: Any) -> bool:
    """Whether one value is as wanted."""
    if isinstance(wanted, dict):
        return came is not None and bool(wanted["above"] < came <= wanted["most"])
    return bool(wanted == came)


def opposite(wanted: Any) -> Any:
    """What is wrong whenever `wanted` is right."""
    if isinstance(wanted, list):
        return [*wanted[:-1], OTHER]
    if isinstance(wanted, dict):
        return {"above": wanted["most"], "most": float("inf")}
    return OTHER
