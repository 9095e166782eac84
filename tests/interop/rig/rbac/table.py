"""Whole rules from a table: actions, several policies, shadow rules, routes, trees."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from rig.rbac.messages import NETWORK_RBAC, expanded, rbac, route
from rig.rbac.scene import SIDES, Message, Question, Scene, ask

KEYS = {"about", "rbac", "second", "network", "routes", "secure"}
KEYS |= {"allow", "deny", "differ", "refused"}
PLAIN = {"match": {"prefix": "/"}}


def load(path: Path) -> list[Scene]:
    """A scene for each entry of the table."""
    table = yaml.safe_load(path.read_text())
    return [scene(f"rules-{at + 1}", expanded(row)) for at, row in enumerate(table)]


def scene(name: str, row: Message) -> Scene:
    """A listener with the rules of one entry."""
    if unknown := set(row) - KEYS:
        raise ValueError(f"{name} has {sorted(unknown)}; known are {sorted(KEYS)}")
    filters = [rbac(key, **row[key]) for key in ("rbac", "second") if key in row]
    network = []
    if "network" in row:
        config = {"@type": NETWORK_RBAC, "stat_prefix": "network", **row["network"]}
        network.append({"name": "network-rbac", "typed_config": config})
    routes = [route(it["match"], it.get("rbac")) for it in row.get("routes", ())] + [PLAIN]
    made = Scene(name, filters, routes, list(questions(row)), network)
    made.is_secure = row.get("secure", False)
    made.refused = row.get("refused", {})
    return made


def questions(row: Message) -> Iterator[Question]:
    """The requests of an entry with what is to become of them."""
    for key, passes in (("allow", True), ("deny", False)):
        for asked in row.get(key, ()):
            yield Question(ask(asked), dict.fromkeys(SIDES, passes))
    for one in row.get("differ", ()):
        yield Question(ask(one["ask"]), {side: one[side] == "allow" for side in SIDES}, one["why"])
