"""Child processes that print lines."""

import atexit
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO


class Child:
    """A process; its lines on stdout are kept, its stderr goes to a file."""

    def __init__(self, command: list[str], log: Path, env: dict[str, str] | None = None) -> None:
        self._log = log
        self._stderr: IO[bytes] = log.open("ab")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=env,
        )
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        # However this process ends, its children do not outlive it.
        atexit.register(self.stop)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line.decode(errors="replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def count(self) -> int:
        """How many lines there are so far."""
        with self._changed:
            return len(self._lines)

    def lines(self, start: int = 0) -> list[str]:
        """The lines from `start` on, so far."""
        with self._changed:
            return self._lines[start:]

    def wait(self, start: int, wanted: Callable[[str], bool], seconds: float) -> tuple[int, str]:
        """The first line from `start` on that is wanted, and its number."""
        at = start

        def found() -> bool:
            nonlocal at
            while at < len(self._lines) and not wanted(self._lines[at]):
                at += 1
            return at < len(self._lines) or self._ended

        with self._changed:
            in_time = self._changed.wait_for(found, seconds)
            if at < len(self._lines):
                return at, self._lines[at]
            why = "ended" if in_time else f"did not say what was waited for in {seconds} s"
        raise RuntimeError(f"{self._process.args!r} {why}; see {self._log}")

    def send(self, line: str) -> None:
        """Writes a line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def stop(self, seconds: float = 5) -> None:
        """Ends it, by force if it takes longer; again is nothing."""
        atexit.unregister(self.stop)
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._reader.join(1)
        self._stderr.close()
