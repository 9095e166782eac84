"""The data planes."""

from typing import Protocol

from rig.answer import Answer, Ask
from rig.case import Case
from rig.resources import Message


class Peer(Protocol):
    """A data plane that runs from a control plane."""

    # What cases call it.
    kind: str
    # What its node is called.
    node: str

    def open(self, case: Case) -> None:
        """Starts to want what the case has."""

    def pending(self, resources: list[Message]) -> str | None:
        """What of these resources is not in force yet, as the data plane itself tells."""

    def ask(self, ask: Ask) -> list[Answer]:
        """Sends requests."""

    def close(self) -> None:
        """Wants nothing any more."""

    def stop(self) -> None:
        """Ends it."""
