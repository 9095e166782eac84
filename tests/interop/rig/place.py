"""Where things are."""

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
CASES = HERE / "cases"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target"))
WORK = TARGET / "interop"
ENVOY = WORK / "envoy" / "envoy"


def binary(name: str) -> Path:
    """A binary of the examples."""
    return TARGET / "debug" / name
