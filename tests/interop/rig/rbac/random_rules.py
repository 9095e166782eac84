"""Random rules and requests, from few enough words that they meet often. One seed, one list."""

import random
from collections.abc import Callable
from typing import TypeVar

from rig.rbac.leaves import PERMISSIONS, PREDICATES, PRINCIPALS, Words, chooses
from rig.rbac.messages import expanded, rbac, route
from rig.rbac.scene import Ask, Message, Question, Scene

T = TypeVar("T")

SCENES = 12
RULES = 5
REQUESTS = 10

PATHS = ("/", "/a", "/a/b", "/A/b", "/a/b/c", "/api/v1/x.json", "/a?q=1", "/a/b?q=1")
HOSTS = ("shop", "Shop", "shop:80", "cart")
METHODS = ("GET", "POST", "DELETE")
WORDS = ("1", "2", "-3", "ab", "aB", "b", "abc", "10")
NAMES = ("x-a", "x-b", "x-c")
SOURCES = ("127.0.0.1", "127.0.1.1", "127.0.0.9", "127.3.0.1")
NETS = (("127.0.0.0", 24), ("127.0.0.0", 8), ("127.0.0.1", 32), ("10.0.0.0", 8), ("127.0.0.8", 29))
TEMPLATES = ("/a/*", "/**", "/{x}/b", "/*/*", "/api/v{n}/{f}.json", "/a/**", "/{x=a/*}/c")
REGEXES = (".*", "a.*", "[0-9]+", "/a(/b)?", "1|2|ab", ".*b")


class Dice:
    """Everything that is random."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def scene(self, name: str) -> Scene:
        """A listener with routes that have rules each."""
        made = [self.rules() for _ in range(RULES)]
        routes = [
            route({"headers": [chooses(str(at))]}, own if at else None)
            for at, own in enumerate(made)
        ]
        asked = [self.ask().chosen(str(at)) for at in range(RULES) for _ in range(REQUESTS)]
        return Scene(name, [rbac("rbac", **made[0])], routes, [Question(it, None) for it in asked])

    def rules(self) -> Message:
        """Policies, or a tree."""
        if self.percent(30):
            return expanded({"matcher": self.tree(3)})
        policies = {
            f"p{at}": {
                "permissions": self.some(1, 2, lambda: self.expression(3, PERMISSIONS)),
                "principals": self.some(1, 2, lambda: self.expression(3, PRINCIPALS)),
            }
            for at in range(1 + self._random.randrange(3))
        }
        rules = {"action": self.pick("ALLOW", "ALLOW", "DENY", "DENY", "LOG"), "policies": policies}
        return expanded({"rules": rules})

    def tree(self, depth: int) -> Message:
        """A tree of matchers."""
        made: Message = {}
        if self.percent(50):
            branches = self.some(1, 3, lambda: self.branch(depth))
            made["matcher_list"] = {"matchers": branches}
        else:
            name, words = self.pick(
                ("header x-a", WORDS), ("header :method", METHODS), ("header :path", PATHS)
            )
            kind = self.pick("exact_match_map", "prefix_match_map")
            keys = {self.cut(self.pick(*words), kind) for _ in range(3)}
            # A set has no order that is the same in every run.
            entries = {key: self.on_match(depth) for key in sorted(keys)}
            made["matcher_tree"] = {"input": name, kind: {"map": entries}}
        if self.percent(60):
            made["on_no_match"] = self.on_match(depth)
        return made

    def cut(self, word: str, kind: str) -> str:
        """A word, or how it starts."""
        if kind == "exact_match_map" or self.percent(50):
            return word
        return word[: 1 + self._random.randrange(len(word))]

    def branch(self, depth: int) -> Message:
        """A branch of a list."""
        return {"predicate": self.expression(2, PREDICATES), "on_match": self.on_match(depth)}

    def on_match(self, depth: int) -> Message:
        """A leaf, or a tree in a tree."""
        if depth > 1 and self.percent(35):
            return {"matcher": self.tree(depth - 1)}
        return {"action": f"{self.pick('ALLOW', 'ALLOW', 'DENY', 'LOG')} leaf"}

    def expression(self, depth: int, words: Words) -> Message:
        """Conditions under AND, OR and NOT."""
        if depth == 0 or self.percent(20):
            return self.leaf(words)
        kind = self._random.randrange(3)
        if kind == 2:
            return words.negated(self.expression(depth - 1, words))
        parts = self.some(2, 3, lambda: self.expression(depth - 1, words))
        return words.all(parts) if kind == 0 else words.any(parts)

    def leaf(self, words: Words) -> Message:
        """A condition."""
        if words is PREDICATES:
            return {"single_predicate": self.predicate()}
        chance = self._random.randrange(8)
        if chance < 3:
            return {"header": self.header()}
        if chance < 5:
            return {"url_path": {"path": self.text(PATHS[:6])}}
        if chance == 5:
            return {"metadata": self.metadata()}
        if words is PERMISSIONS:
            return self.pick(
                {"uri_template": self.pick(*TEMPLATES)},
                {"destination_ip": self.net()},
                {"destination_port": self.pick("$PORT", "$NEXT")},
                {"destination_port_range": {"start": "$PORT", "end": "$NEXT"}},
                {"requested_server_name": self.text(("shop", "cart"))},
            )
        return self.pick(
            {self.pick("source_ip", "direct_remote_ip", "remote_ip"): self.net()},
            {self.pick("source_ip", "direct_remote_ip", "remote_ip"): self.net()},
            {"authenticated": {}},
            {"mtls": {"any_validated_client_certificate": True}},
        )

    def predicate(self) -> Message:
        """A condition of a tree."""
        name, words = self.pick(
            ("header x-a", WORDS),
            ("header x-b", WORDS),
            ("header :path", PATHS),
            ("header :method", METHODS),
            ("source-ip", SOURCES),
            ("server-name", HOSTS),
        )
        if name == "source-ip" and self.percent(50):
            return {"input": name, "ip": [self.net()]}
        text = self.text(words)
        # This kind of text matcher knows no case in regular expressions.
        return {"input": name, "value_match": text}

    def header(self) -> Message:
        """A matcher of a header field."""
        name, words = self.pick(
            *((name, WORDS) for name in NAMES), (":method", METHODS), (":authority", HOSTS)
        )
        made: Message = {"name": name}
        chance = self._random.randrange(8)
        if chance == 0:
            made["present_match"] = self.percent(50)
        elif chance == 1:
            start = self.pick(-5, 0, 2)
            made["range_match"] = {"start": start, "end": start + 3}
        else:
            made["string_match"] = self.text(words)
        if self.percent(20):
            made["invert_match"] = True
        if self.percent(20):
            made["treat_missing_header_as_empty"] = True
        return made

    def text(self, words: tuple[str, ...]) -> Message:
        """A matcher of text."""
        kind = self.pick("exact", "exact", "prefix", "suffix", "contains", "safe_regex")
        if kind == "safe_regex":
            return {kind: {"regex": self.pick(*REGEXES)}}
        word = self.pick(*words)
        half = max(1, len(word) // 2)
        parts = {"prefix": word[:half], "suffix": word[-half:], "contains": word[-half:]}
        made: Message = {kind: parts.get(kind, word)}
        if self.percent(20):
            made["ignore_case"] = True
        return made

    def metadata(self) -> Message:
        """A matcher of what filters have said."""
        key, value = self.pick(
            ("text", {"string_match": self.text(WORDS)}),
            ("number", {"double_match": {"range": {"start": 0, "end": 5}}}),
            ("number", {"double_match": {"exact": 7}}),
            ("text", {"present_match": True}),
        )
        made: Message = {"filter": "test", "path": [{"key": key}], "value": value}
        if self.percent(20):
            made["invert"] = True
        return made

    def net(self) -> Message:
        """A range of addresses."""
        address, bits = self.pick(*NETS)
        return {"address_prefix": address, "prefix_len": bits}

    def ask(self) -> Ask:
        """A request without anything that is read in several ways."""
        headers = [(name, self.pick(*WORDS)) for name in NAMES if self.percent(60)]
        if self.percent(50):
            headers.append(("x-text", self.pick(*WORDS)))
        if self.percent(50):
            headers.append(("x-number", self.pick("0", "1.5", "7", "-2")))
        line = (self.pick(*PATHS), self.pick(*METHODS), self.pick(*HOSTS), self.pick(*SOURCES))
        return Ask(*line, headers=tuple(headers))

    def some(self, least: int, most: int, one: Callable[[], Message]) -> list[Message]:
        """Several."""
        return [one() for _ in range(self._random.randint(least, most))]

    def pick(self, *of: T) -> T:
        """One of them."""
        return of[self._random.randrange(len(of))]

    def percent(self, chance: int) -> bool:
        """True so often."""
        return self._random.randrange(100) < chance


def scenes(seed: int) -> list[Scene]:
    """The list of a seed."""
    dice = Dice(seed)
    return [dice.scene(f"random-{at + 1}") for at in range(SCENES)]
