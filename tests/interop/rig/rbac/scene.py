"""A listener with rules, and questions to it."""

from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]

SIDES = ("envoy", "mesh")

# What a header field with this name chooses: one of the routes of a listener.
SHAPE = "x-shape"


@dataclass(frozen=True)
class Ask:
    """A request of HTTP/1.1."""

    path: str = "/"
    method: str = "GET"
    host: str = "shop"
    # The address that it is sent from.
    source: str = "127.0.0.1"
    # Names with values, in order.
    headers: tuple[tuple[str, str], ...] = ()

    def chosen(self, shape: str) -> "Ask":
        """The same for one of the routes."""
        headers = (*self.headers, (SHAPE, shape))
        return Ask(self.path, self.method, self.host, self.source, headers)


def ask(words: dict[str, Any]) -> Ask:
    """From the short form of the cases: header fields, and `:path`, `:method`, `:host`, `from`."""
    headers: list[tuple[str, str]] = []
    special = {":path": "/", ":method": "GET", ":host": "shop", "from": "127.0.0.1"}
    for name, value in words.items():
        if name in special:
            special[name] = value
        else:
            values = value if isinstance(value, list) else [value]
            headers += [(name, str(one)) for one in values]
    path, method, host, source = special.values()
    return Ask(path, method, host, source, tuple(headers))


@dataclass
class Question:
    """A request, and whether it is to pass: by side, or None where only both must say the same."""

    ask: Ask
    passes: dict[str, bool] | None
    # Why the sides differ, or cannot tell.
    why: str = ""


@dataclass
class Scene:
    """A listener with rules, and questions to it."""

    name: str
    # HTTP filters before the router.
    filters: list[Message]
    # Routes, without what they answer.
    routes: list[Message]
    questions: list[Question] = field(default_factory=list)
    # Network filters before the HTTP connection manager.
    network: list[Message] = field(default_factory=list)
    # Where it listens.
    address: str = "127.0.0.1"
    # What either side says where it refuses the listener.
    refused: dict[str, str] = field(default_factory=dict)
