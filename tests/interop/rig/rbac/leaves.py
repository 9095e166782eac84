"""Conditions from a table, each in expressions at least three deep."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rig.rbac.messages import expanded, rbac, route
from rig.rbac.scene import SHAPE, SIDES, Message, Question, Scene, ask

# Whether a condition holds: yes, no, or None where that cannot be known.
Truth = bool | None

TRUTHS = {True: True, False: False, "unknown": None}
# The table of what there is in TLS.
SECURE = "secure"

KEYS = {"permission", "principal", "either", "predicate", "holds", "fails", "unknown", "differs", "listen"}


@dataclass(frozen=True)
class Words:
    """How expressions are written."""

    all: Callable[[list[Message]], Message]
    any: Callable[[list[Message]], Message]
    negated: Callable[[Message], Message]
    always: Message
    never: Message


PERMISSIONS = Words(
    lambda them: {"and_rules": {"rules": them}},
    lambda them: {"or_rules": {"rules": them}},
    lambda it: {"not_rule": it},
    {"any": True},
    {"not_rule": {"any": True}},
)
PRINCIPALS = Words(
    lambda them: {"and_ids": {"ids": them}},
    lambda them: {"or_ids": {"ids": them}},
    lambda it: {"not_id": it},
    {"any": True},
    {"not_id": {"any": True}},
)
ANY_PATH = {"single_predicate": {"input": "header :path", "value_match": {"prefix": "/"}}}
PREDICATES = Words(
    lambda them: {"and_matcher": {"predicate": them}},
    lambda them: {"or_matcher": {"predicate": them}},
    lambda it: {"not_matcher": it},
    expanded(ANY_PATH),
    {"not_matcher": expanded(ANY_PATH)},
)


def shapes(leaf: Message, words: Words) -> Iterator[tuple[Message, bool, str]]:
    """Expressions with `leaf` in them, whether they say the opposite of it, and an action."""
    always, never = words.always, words.never
    every, some, no = words.all, words.any, words.negated
    yield no(every([some([never, leaf]), always])), True, "ALLOW"
    yield every([always, some([never, no(no(leaf))])]), False, "DENY"
    yield some([never, every([no(never), some([leaf, never])])]), False, "ALLOW"
    yield no(some([never, every([always, leaf])])), True, "DENY"
    yield every([some([leaf, never]), no(every([no(leaf), always]))]), False, "ALLOW"


def load(path: Path) -> list[Scene]:
    """A scene for each condition of the table, called after it."""
    table = yaml.safe_load(path.read_text())
    found = [scene for at, row in enumerate(table) for scene in scenes(f"{path.stem}-{at + 1}", row)]
    for one in found:
        one.is_secure = path.stem == SECURE
    return found


def scenes(name: str, row: Message) -> Iterator[Scene]:
    """A scene for each place that the condition may be in."""
    if unknown := set(row) - KEYS:
        raise ValueError(f"{name} has {sorted(unknown)}; known are {sorted(KEYS)}")
    for place in ("permission", "principal", "predicate"):
        leaf = row.get(place, None if place == "predicate" else row.get("either"))
        if leaf is not None:
            yield scene(f"{name}-{place}", place, expanded(leaf), row)


def scene(name: str, place: str, leaf: Message, row: Message) -> Scene:
    """A listener with a route for each shape of the condition. The first is the listener's own."""
    words = {"permission": PERMISSIONS, "principal": PRINCIPALS, "predicate": PREDICATES}[place]
    made, routes, questions = [], [], []
    for at, (expression, is_opposite, action) in enumerate(shapes(leaf, words)):
        made.append(rules(place, expression, action))
        routes.append(route({"headers": [chooses(str(at))]}, made[at] if at else None))
        for asked, truths, why in answers(row):
            passes = {side: verdict(truths[side], is_opposite, action) for side in SIDES}
            questions.append(Question(ask(asked).chosen(str(at)), passes, why))
    own = [rbac("rbac", **made[0])]
    return Scene(name, own, routes, questions, address=row.get("listen", "127.0.0.1"))


def chooses(shape: str) -> Message:
    """What a route asks for."""
    return {"name": SHAPE, "string_match": {"exact": shape}}


def rules(place: str, expression: Message, action: str) -> Message:
    """Rules of one policy, or a tree of one branch, that do `action` where `expression` holds."""
    if place == "predicate":
        other = "DENY" if action == "ALLOW" else "ALLOW"
        branch = {"predicate": expression, "on_match": {"action": f"{action} then"}}
        tree = {
            "matcher_list": {"matchers": [branch]},
            "on_no_match": {"action": f"{other} else"},
        }
        return {"matcher": expanded(tree)}
    policy = {"permissions": [{"any": True}], "principals": [{"any": True}]}
    policy[f"{place}s"] = [expression]
    return {"rules": {"action": action, "policies": {"one": policy}}}


def answers(row: Message) -> Iterator[tuple[Message, dict[str, Truth], str]]:
    """Requests with whether the condition holds for them, by side, and why the verdict is special."""
    for key, truth, why in (
        ("holds", True, ""),
        ("fails", False, ""),
        ("unknown", None, "neither side can tell"),
    ):
        for asked in row.get(key, ()):
            yield asked, dict.fromkeys(SIDES, truth), why
    for one in row.get("differs", ()):
        yield one["ask"], {side: TRUTHS[one[side]] for side in SIDES}, one["why"]


def verdict(truth: Truth, is_opposite: bool, action: str) -> bool:
    """Whether a request passes. What is not known opens nothing."""
    if truth is None:
        return False
    return (truth != is_opposite) == (action == "ALLOW")
