"""A listener with rules, and questions to it."""

from dataclasses import dataclass, field, replace
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
    # Whose certificate is shown in TLS, and the name that is asked for; none if empty.
    identity: str = ""
    server_name: str = ""

    def chosen(self, shape: str) -> "Ask":
        """The same for one of the routes."""
        return replace(self, headers=(*self.headers, (SHAPE, shape)))


def ask(words: dict[str, Any]) -> Ask:
    """From the short form of the cases: header fields, and what is in SPECIAL."""
    headers: list[tuple[str, str]] = []
    special = {}
    for name, value in words.items():
        if name in SPECIAL:
            special[SPECIAL[name]] = value
        else:
            values = value if isinstance(value, list) else [value]
            headers += [(name, str(one)) for one in values]
    return Ask(headers=tuple(headers), **special)


# What of a request is no header field, in the cases and in Ask.
SPECIAL = {
    ":path": "path",
    ":method": "method",
    ":host": "host",
    "from": "source",
    "as": "identity",
    "sni": "server_name",
}


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
    # Whether it speaks TLS, to those who show a certificate and to others.
    is_secure: bool = False
    # More of the virtual host.
    host: Message = field(default_factory=dict)
    # What either side says where it refuses the listener.
    refused: dict[str, str] = field(default_factory=dict)
