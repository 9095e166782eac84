"""From the scenes to listeners that ask a service, requests to them and what comes of each."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rig.rbac.messages import TYPES
from rig.rbac.scene import SIDES, Message, Scene

NAME = "envoy.filters.http.ext_authz"
FILTER = TYPES + "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
ON_ROUTE = TYPES + "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"

# What routes do on either side, so that somebody sees the request.
ACTIONS = {"envoy": {"route": {"cluster": "backend"}}, "mesh": {"non_forwarding_action": {}}}

ROW = {"about", "form", "config", "http", "cluster", "route", "asks"}
ASK = {"ask", "answer", "expect", "differs", "refuses", "why"}
REQUEST = {"method", "path", "host", "headers", "body", "chunked"}

# What the service answers where nothing is said.
ALLOWS: dict[str, Message] = {
    "grpc": {"status": {"code": 0}, "ok_response": {}},
    "http": {"status": 200},
}

# How long the service has: nobody waits for it, as it answers at once or is not there.
TIMEOUT = "5s"


@dataclass
class Question:
    """A request, what the service answers, and what comes of it."""

    request: Message
    answer: Message | None
    # What both must show, by path.
    expect: Message
    # Where they differ: what either shows, by path; and why.
    differs: dict[str, dict[str, Any]]
    why: str


@dataclass
class Rule:
    """A scene of the table in one form of the service."""

    name: str
    about: str
    # For either side.
    scenes: dict[str, Scene]
    questions: list[Question] = field(default_factory=list)


@dataclass
class Table:
    """All scenes, and what is always different."""

    rules: list[Rule]
    # Paths that nobody compares, with why.
    ignored: dict[str, str]
    # What is different wherever Envoy shows it.
    always: list[Message]


def load(path: Path) -> Table:
    """The table at `path`."""
    content = yaml.safe_load(path.read_text())
    rules = [it for at, row in enumerate(content["scenes"]) for it in of_row(at + 1, row)]
    return Table(rules, content["ignored"], content["always"])


def known(what: str, row: Message, keys: set[str]) -> None:
    """An error if there is something that is not understood."""
    if unknown := set(row) - keys:
        raise ValueError(f"{what} has {sorted(unknown)}; known are {sorted(keys)}")


def of_row(at: int, row: Message) -> Iterator[Rule]:
    """The row once for each form of the service."""
    known(str(row.get("about", at)), row, ROW)
    for form in ("grpc", "http"):
        if row.get("form", form) == form:
            scenes = {side: scene(f"authz-{at}-{form}", row, form, side) for side in SIDES}
            asks = [question(row["about"], {"answer": ALLOWS[form], **it}) for it in row["asks"]]
            yield Rule(f"authz-{at}-{form}", f"{row['about']} ({form})", scenes, asks)


def scene(name: str, row: Message, form: str, side: str) -> Scene:
    """The listener."""
    config = {"@type": FILTER, "transport_api_version": "V3", **row.get("config", {})}
    cluster = f"{form}{row.get('cluster', '')}"
    if form == "grpc":
        service: Message = {"envoy_grpc": {"cluster_name": cluster}, "timeout": TIMEOUT}
    else:
        uri = {"uri": "http://authz.test", "cluster": cluster, "timeout": TIMEOUT}
        service = {"server_uri": uri, **row.get("http", {})}
    config[f"{form}_service"] = service
    routes = [{"match": {"prefix": "/"}, **ACTIONS[side]}]
    if "route" in row:
        own = {NAME: {"@type": ON_ROUTE, **row["route"]}}
        routes.insert(
            0,
            {"match": {"prefix": "/own"}, "typed_per_filter_config": own, **ACTIONS[side]},
        )
    return Scene(name, [{"name": NAME, "typed_config": config}], routes)


def question(about: str, row: Message) -> Question:
    """One of the requests."""
    known(about, row, ASK)
    known(about, row.get("ask", {}), REQUEST)
    differs = {**row.get("differs", {}), **refused(row.get("ask", {}), row.get("refuses"))}
    if bool(differs) != bool(row.get("why")):
        raise ValueError(f"{about}: differences have a reason, and reasons a difference")
    for path, values in differs.items():
        if set(values) != set(SIDES) or path in row.get("expect", {}):
            raise ValueError(f"{about}: {path}: what both sides show, and nothing else")
    return Question(
        row.get("ask", {}), row["answer"], row["expect"], differs, row.get("why", "")
    )


def refused(request: Message, status: int | None) -> dict[str, dict[str, Any]]:
    """What differs where Envoy lets a request pass that the mesh answers with `status`."""
    if status is None:
        return {}
    seen = {
        "client.status": (200, status),
        "client.body": (None, ""),
        "seen": (True, False),
        "seen.method": (request.get("method", "GET"), None),
        "seen.path": (request.get("path", "/a"), None),
        "seen.body": (request.get("body", ""), None),
        "seen.header.host": (request.get("host", "shop"), None),
    }
    return {path: dict(zip(SIDES, both, strict=True)) for path, both in seen.items()}
