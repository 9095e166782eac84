"""A data plane on a control plane, and how it fares with the cases."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Protocol

from rig.answer import Answer
from rig.case import Case, Check, Step
from rig.peers import Peer
from rig.resources import Message, name_of

# Until a push is in force, the timer for resources that do not exist (15 s) included.
IN_FORCE = 20.0


class Served(Protocol):
    """What a lane must know from its control plane."""

    def push(self, resources: list[Message]) -> None:
        """Serves exactly these resources from now on."""

    def has(self, node: str) -> bool:
        """Whether the node was sent all it wants of the last push, and answered."""

    def refusals(self, node: str) -> list[str]:
        """What the node refuses of the last push, and why."""

    def stop(self) -> None:
        """Ends it. Its clients lose their streams."""

    def start(self) -> None:
        """Starts it again, at the same address and with the same resources."""


@dataclass
class Verdict:
    """What became of a case in a lane."""

    # Checks that held, and what was wrong with those that did not.
    held: int = 0
    wrong: list[str] = field(default_factory=list)
    # Why checks could not be made.
    broken: list[str] = field(default_factory=list)

    def add(self, step: int, verdict: "Verdict") -> None:
        """Adds what became of a step."""
        self.held += verdict.held
        self.wrong += [f"step {step}: {it}" for it in verdict.wrong]
        self.broken += [f"step {step}: {it}" for it in verdict.broken]

    @property
    def is_red(self) -> bool:
        """Whether not all is well."""
        return bool(self.wrong or self.broken)


class Lane:
    """One column of the table."""

    def __init__(self, name: str, peer: Peer, served: Served) -> None:
        self.name = name
        self.peer = peer
        self.served = served
        self._before: list[Message] = []

    def takes(self, case: Case) -> bool:
        """Whether the case is for this data plane."""
        return self.peer.kind not in case.skip

    def run(self, step: Step, resources: list[Message], settle: float) -> Verdict:
        """Waits until the step's resources are in force and makes its checks."""
        verdict = Verdict()
        kept = self._kept(step, resources)
        with self._asking(step.during, verdict):
            if step.changed and (wrong := self._in_force(step, kept)):
                verdict.broken.append(wrong)
                return verdict
        for check in step.checks:
            if self.peer.kind not in check.expect:
                continue
            if (wrong := self._settled(check, settle)) is None:
                verdict.held += 1
            else:
                verdict.wrong.append(f"{check.ask.path} {check.ask.headers or ''}: {wrong}")
        return verdict

    @contextmanager
    def _asking(self, check: Check | None, verdict: Verdict) -> Iterator[None]:
        """Keeps asking until the block ends."""
        if check is None or (expect := check.expect.get(self.peer.kind)) is None:
            yield
            return
        answers: list[Answer] = []
        enough = Event()

        def work() -> None:
            while not enough.is_set():
                answers.extend(self.peer.ask(check.ask))

        thread = Thread(target=work)
        thread.start()
        try:
            yield
            # What is in force at the data plane's front is still on its way to the back.
            time.sleep(0.2)
        finally:
            enough.set()
            thread.join()
        if wrong := expect.mismatch(answers, 0.0):
            verdict.wrong.append(f"while the push came: {check.ask.path}: {wrong}")
        else:
            verdict.held += 1

    def _kept(self, step: Step, resources: list[Message]) -> list[Message]:
        """What must be in force: of what is refused, what was in force before."""
        if self.peer.kind in step.refused:
            old = [it for it in self._before if name_of(it) in step.refused_names]
            before = {(it["@type"], name_of(it)): it for it in old}
            resources = [before.get((it["@type"], name_of(it)), it) for it in resources]
        self._before = resources
        return resources

    def _in_force(self, step: Step, resources: list[Message]) -> str | None:
        """Why the push is not in force in time, as control plane and data plane tell."""
        parts = step.refused.get(self.peer.kind, [])
        deadline = time.monotonic() + IN_FORCE
        while True:
            refusals = self.served.refusals(self.peer.node)
            missing = [part for part in parts if not any(part in it for it in refusals)]
            if missing:
                wrong: str | None = f"no refusal with {missing} but {refusals}"
            elif refusals and not parts:
                # Of the case before, until there is something newer of this type.
                wrong = f"it refuses {refusals}"
            elif not self.served.has(self.peer.node):
                wrong = "the control plane has no answer from it"
            else:
                wrong = self.peer.pending(resources)
            if wrong is None:
                return None
            if time.monotonic() > deadline:
                return f"not in force: {wrong}"
            time.sleep(0.03)

    def _settled(self, check: Check, settle: float) -> str | None:
        """What is wrong with the answers, after trying for a while."""
        expect = check.expect[self.peer.kind]
        deadline = time.monotonic() + settle
        while True:
            start = time.monotonic()
            answers = self.peer.ask(check.ask)
            seconds = time.monotonic() - start
            wrong = expect.mismatch(answers, seconds)
            if wrong is None:
                turned = expect.turned()
                blind = [it for it in turned if it.mismatch(answers, seconds) is None]
                return f"it would not be noticed that this is wrong: {blind}" if blind else None
            if time.monotonic() > deadline:
                return wrong
            time.sleep(0.1)
