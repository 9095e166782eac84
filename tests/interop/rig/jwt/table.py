"""From the cases to listeners that verify tokens, and requests to them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rig.jwt import tokens
from rig.rbac.messages import TYPES, expanded, rbac, route
from rig.rbac.scene import SIDES, Ask, Message, Scene, ask

AUTHN = TYPES + "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
KEYS = {"about", "requires", "providers", "then", "asks", "with"}


@dataclass
class Request:
    """A request, the status that each side answers, and why they differ if they do."""

    ask: Ask
    words: str
    statuses: dict[str, int]
    why: str = ""


@dataclass
class Case:
    """A listener that verifies tokens, and requests to it."""

    about: str
    scene: Scene
    requests: list[Request] = field(default_factory=list)


def load(path: Path) -> list[Case]:
    """A case for each entry of the table."""
    table = yaml.safe_load(path.read_text())
    common: Message = table["providers"]
    made = tokens.named()
    cases = [case(at, row, common, made) for at, row in enumerate(table["cases"])]
    return cases


def case(at: int, row: Message, common: Message, made: dict[str, str]) -> Case:
    """A listener with the requirement of one entry."""
    if unknown := set(row) - KEYS:
        raise ValueError(f"{row['about']}: {sorted(unknown)}; known are {sorted(KEYS)}")
    providers = {**common, **row.get("providers", {})}
    for name, provider in row.get("with", {}).items():
        providers[name] = {**providers[name], **provider}
    keys = {"local_jwks": {"inline_string": tokens.key_set()}}
    config = {
        "@type": AUTHN,
        "providers": {name: {**keys, **it} for name, it in providers.items()},
        "rules": [{"match": {"prefix": "/"}, "requires": row["requires"]}],
    }
    filters = [{"name": "envoy.filters.http.jwt_authn", "typed_config": config}]
    if "then" in row:
        policy = {"permissions": [{"any": True}], "principals": [expanded(row["then"])]}
        filters.append(rbac("then", rules={"action": "ALLOW", "policies": {"p": policy}}))
    scene = Scene(f"jwt-{at + 1}", filters, [route({"prefix": "/"})])
    return Case(row["about"], scene, list(requests(row, made)))


def requests(row: Message, made: dict[str, str]) -> Iterator[Request]:
    """`[STATUS, REQUEST]`, and where Envoy answers another one `{envoy: STATUS, why: TEXT}`."""
    for status, words, *other in row["asks"]:
        statuses, why = dict.fromkeys(SIDES, status), ""
        if other:
            statuses["envoy"], why = other[0]["envoy"], other[0]["why"]
        yield Request(ask(filled(words, made)), str(words), statuses, why)


def filled(value: Any, made: dict[str, str]) -> Any:
    """The same with tokens in place of their names in braces."""
    if isinstance(value, dict):
        return {name: filled(one, made) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, made) for one in value]
    return value.format(**made) if isinstance(value, str) else value
