"""What the tests share: where the real data is, and a skip that says so where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def a_hundred_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are as wide as the terminal: here they are as wide as in a pipe, wherever the tests run."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def tables() -> Path:
    folder = ROOT.parent / "shared" / "data" / "tables"
    if not folder.is_dir():
        pytest.skip(f"the real tables are not here: {folder}")
    return folder


@pytest.fixture(scope="session")
def mnist() -> Path:
    folder = Path(os.environ.get("BACKLIT_MNIST", ROOT.parent / "shared" / "data" / "mnist"))
    if not folder.is_dir():
        pytest.skip(f"MNIST is not here: set BACKLIT_MNIST, or put its four files into {folder}")
    return folder
