"""One case: what is pushed, what is asked, what must come back."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from rig.answer import Ask, Expectation
from rig.resources import Message, merged

PEERS = ("envoy", "ccore", "mesh")


@dataclass(frozen=True)
class Check:
    """Requests and what must come back, by kind of data plane."""

    ask: Ask
    expect: dict[str, Expectation]
    # Why a data plane is expected to differ, or is not asked.
    why: dict[str, str]


@dataclass(frozen=True)
class Step:
    """A push and the checks after it."""

    push: Message
    changed: bool
    # By data plane that must refuse the push, parts of its reason.
    refused: dict[str, list[str]]
    # What must be refused.
    refused_names: list[str]
    # What is asked all the while until the push is in force, and must always come back.
    during: Check | None
    # Whether the control plane goes away before the step and comes back after its checks.
    outage: bool
    checks: list[Check]


@dataclass(frozen=True)
class Case:
    """A file of cases/."""

    name: str
    about: str
    grpc: bool
    skip: dict[str, str]
    # What the bootstrap of gRPC clients says beyond the usual.
    server_features: list[str]
    # For how many seconds checks are tried again in the self-test, where that matters.
    settle: float | None
    steps: list[Step]

    def flipped(self) -> "Case":
        """The same, with one expectation turned round: the last."""
        at = max(at for at, step in enumerate(self.steps) if step.checks)
        step = self.steps[at]
        last = step.checks[-1]
        wrong = {peer: it.flipped() for peer, it in last.expect.items()}
        checks = [*step.checks[:-1], replace(last, expect=wrong)]
        return replace(self, steps=[*self.steps[:at], replace(step, checks=checks)])


def load(path: Path) -> Case:
    """Reads a case; what is not understood is an error."""
    with path.open() as file:
        text = yaml.safe_load(file)
    known(text, {"about", "kind", "skip", "server_features", "settle", "steps"}, path.name)
    grpc = {"grpc": True, "http": False}[text.get("kind", "grpc")]
    skip = dict(text.get("skip", {}))
    known(skip, set(PEERS), path.name)
    if not grpc:
        skip.setdefault("ccore", "it is no HTTP client")
    steps = []
    push: Message = {}
    for step in text["steps"]:
        known(step, {"push", "refused", "during", "outage", "checks"}, path.name)
        push = merged(push, step.get("push", {}))
        refused = dict(step.get("refused", {}))
        names = listed(refused.pop("name", []))
        known(refused, set(PEERS), path.name)
        parts = {peer: listed(part) for peer, part in refused.items()}
        checks = [check(it, grpc, skip) for it in step.get("checks", [])]
        during = check(step["during"], grpc, skip) if "during" in step else None
        outage = step.get("outage", False)
        steps.append(Step(push, "push" in step, parts, names, during, outage, checks))
    features = text.get("server_features", [])
    settle = text.get("settle")
    return Case(path.stem, text["about"], grpc, skip, features, settle, steps)


def check(text: Message, grpc: bool, skip: dict[str, str]) -> Check:
    """Reads a check."""
    text = dict(text)
    ask = Ask.parse(text.pop("ask"))
    but = text.pop("but", {})
    skip = {**skip, **text.pop("skip", {})}
    known(but, set(PEERS), "but")
    expect = {}
    why = dict(skip)
    for peer in PEERS:
        if peer in skip:
            continue
        own = dict(but.get(peer, {}))
        if own:
            why[peer] = own.pop("why")
        expect[peer] = Expectation.parse(own or text, grpc)
    return Check(ask, expect, why)


def listed(value: Any) -> list[str]:
    """A list of one, or the list."""
    return value if isinstance(value, list) else [value]


def known(text: dict[str, Any], keys: set[str], where: str) -> None:
    """Refuses what is misspelt."""
    if unknown := set(text) - keys:
        raise ValueError(f"{where}: {sorted(unknown)} is not one of {sorted(keys)}")
