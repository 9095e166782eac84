"""What is asked, what came back, and what was expected."""

import base64
import binascii
from collections import Counter
from dataclasses import dataclass, field, replace
from math import sqrt
from typing import Any

GRPC_CODES = [
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
]  # fmt: skip

# A share is wrong when it is further off than this many standard deviations: once in 1.7 million.
SIGMAS = 5


@dataclass(frozen=True)
class Ask:
    """Some requests that are all alike."""

    path: str
    host: str | None = None
    method: str = "GET"
    headers: dict[str, list[str]] = field(default_factory=dict)
    n: int = 1
    # How many at a time; if left out, one in HTTP, and many in gRPC.
    at_once: int | None = None
    # How many bytes of content.
    body: int = 0
    timeout: float = 5.0

    @classmethod
    def parse(cls, text: dict[str, Any]) -> "Ask":
        text = dict(text)
        headers = text.pop("headers", {})
        lists = {k: v if isinstance(v, list) else [v] for k, v in headers.items()}
        return cls(headers={k: [str(v) for v in vs] for k, vs in lists.items()}, **text)

    def metadata(self) -> list[tuple[str, str | bytes]]:
        """The headers as gRPC takes them: those in -bin are bytes."""
        pairs = [(name, value) for name, values in self.headers.items() for value in values]
        return [(k, unpadded(v) if k.endswith("-bin") else v) for k, v in pairs]


def unpadded(text: str) -> bytes:
    """The bytes of base64 with or without padding."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError(f"{text!r} is not base64") from error


@dataclass(frozen=True)
class Answer:
    """What came back: a gRPC code by name or an HTTP status, and what the backend saw."""

    status: str
    backend: str | None = None
    seen: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, list[str]] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True)
class Expectation:
    """What must come back."""

    # The share in percent of each backend among all answers.
    to: dict[str, float] | None = None
    # How many answers came from each backend, exactly.
    counts: dict[str, int] | None = None
    # How many backends answered, when it does not matter which.
    backends: int | None = None
    # The status of all answers, or the share in percent of each.
    status: dict[str, float] = field(default_factory=dict)
    # How many answers have which status, exactly.
    statuses: dict[str, int] | None = None
    # How many connections of backends the answers came over.
    connections: int | None = None
    # How many seconds all of them take, at least and at most.
    takes: tuple[float, float] | None = None
    # Fields of what the backend saw.
    seen: dict[str, Any] = field(default_factory=dict)
    # Fields of the response.
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: dict[str, Any], grpc: bool) -> "Expectation":
        text = dict(text)
        fine = "OK" if grpc else "200"
        to = text.pop("to", None)
        status = text.pop("status", fine)
        statuses = text.pop("statuses", None)
        if "takes" in text:
            text["takes"] = tuple(text["takes"])
        return cls(
            to={to: 100.0} if isinstance(to, str) else to,
            status=status if isinstance(status, dict) else {str(status): 100.0},
            statuses=statuses and {str(name): count for name, count in statuses.items()},
            **text,
        )

    def flipped(self) -> "Expectation":
        """The same with one thing wrong."""
        return self.turned()[0]

    def turned(self) -> list["Expectation"]:
        """The same with each thing that it says wrong in turn."""
        wrong = []
        if self.counts:
            wrong.append(replace(self, counts={name: n + 1 for name, n in self.counts.items()}))
        if self.statuses:
            more = {name: n + 1 for name, n in self.statuses.items()}
            wrong.append(replace(self, statuses=more))
        if self.backends is not None:
            wrong.append(replace(self, backends=self.backends + 1))
        if self.connections is not None:
            wrong.append(replace(self, connections=self.connections + 1))
        if self.takes is not None:
            wrong.append(replace(self, takes=(self.takes[1], self.takes[1] + 1)))
        if self.to:
            one = next(iter(self.to)) if len(self.to) > 1 else "nobody"
            wrong.append(replace(self, to={one: 100.0}))
        for name, value in self.headers.items():
            wrong.append(replace(self, headers={**self.headers, name: f"{value}?"}))
        for name, value in self.seen.items():
            names = value if name == "headers" else [None]
            wrong += [replace(self, seen={**self.seen, name: other(value, it)}) for it in names]
        if not self.statuses:
            wrong.append(replace(self, status={"something else": 100.0}))
        return wrong

    def mismatch(self, answers: list[Answer], seconds: float) -> str | None:
        """What is wrong with the answers, which have taken so long, if anything is."""
        statuses = Counter(answer.status for answer in answers)
        backends = Counter(answer.backend for answer in answers if answer.backend)
        whys = "; ".join(sorted({a.why for a in answers if a.why}))[:300]
        because = f" ({whys})" if whys else ""
        if self.statuses is not None:
            if dict(statuses) != self.statuses:
                return f"statuses: expected {self.statuses}, came {dict(statuses)}{because}"
        elif wrong := shares(self.status, statuses, len(answers)):
            return f"status: {wrong}{because}"
        if self.to is not None and (wrong := shares(self.to, backends, len(answers))):
            return f"backends: {wrong}{because}"
        if self.counts is not None and dict(backends) != self.counts:
            return f"backends: expected {self.counts}, came {dict(backends)}"
        if self.backends is not None and len(backends) != self.backends:
            return f"backends: expected {self.backends} of them, came {dict(backends)}"
        connections = {(a.backend, *a.headers["x-connection"]) for a in answers if "x-connection" in a.headers}
        if self.connections is not None and len(connections) != self.connections:
            return f"connections: expected {self.connections} of them, came {connections}"
        if self.takes is not None and not self.takes[0] <= seconds <= self.takes[1]:
            return f"seconds: expected {self.takes}, came {seconds:.3f}"
        for answer in answers:
            for name, value in self.headers.items():
                if (came := answer.headers.get(name)) != [value]:
                    return f"header {name}: expected {value!r}, came {came}"
            for key, value in self.seen.items():
                seen = answer.seen.get(key)
                if key == "headers":
                    seen = {name: (seen or {}).get(name) for name in value}
                if seen != value:
                    return f"seen {key}: expected {value!r}, came {seen!r}"
        return None


def other(value: Any, name: str | None) -> Any:
    """Something else than what was seen, or than the field of this name in it."""
    return "something else" if name is None else {**value, name: ["something else"]}


def shares(expected: dict[str, float], came: Counter[Any], total: int) -> str | None:
    """What is wrong with the counts, if they should have these shares in percent."""
    text = f"expected {expected} %, came {dict(came)} of {total}"
    if set(came) - set(expected):
        return text
    for name, percent in expected.items():
        p = percent / 100
        if abs(came[name] - total * p) > SIGMAS * sqrt(total * p * (1 - p)):
            return text
    return None
