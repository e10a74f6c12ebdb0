"""What the tests share: where the real data is, and a skip that says so where it is not."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def a_hundred_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are as wide as the terminal: here they are as wide as in a pipe, wherever the tests run."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(autouse=True)
def one_plan_for_all(request: pytest.FixtureRequest) -> None:
    """Tests of the compiled engine share one function that knows every kind: it is compiled once, not for each."""
    marker = request.node.get_closest_marker("xdist_group")
    if marker is not None and marker.args == ("compiled",) and find_spec("numba") is not None:
        from backlit.compiled.plan import PLANS, TO_PREDICT, everything, everything_to_predict

        for plan, plans in ((everything(), PLANS), (everything_to_predict(), TO_PREDICT)):
            if plan not in plans:
                plans.append(plan)


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
