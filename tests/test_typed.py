"""The types as somebody sees them who has installed Backlit: `py.typed` holds, and the examples are right by mypy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))

pytest.importorskip("mypy", reason="mypy is not installed")
pytestmark = pytest.mark.torture  # `make lint` runs it


def complaints(folder: Path) -> list[str]:
    """What mypy says of the programs in a folder that is far from the source."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file", "", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()


def test_the_examples_are_typed_from_outside(tmp_path: Path) -> None:
    for path in EXAMPLES:
        shutil.copy(path, tmp_path)
    # that they are right is known only if what is wrong is seen
    (tmp_path / "wrong.py").write_text('import backlit as bl\n\nbl.Dense("3")\nbl.SGD().rate\n')
    found = [(line.split(":")[0], line.split("[")[-1]) for line in complaints(tmp_path)]
    assert found == [("wrong.py", "arg-type]"), ("wrong.py", "attr-defined]")]
