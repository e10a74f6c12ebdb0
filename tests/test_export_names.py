"""No kind's name stands in the exports: they go through the tables, so that a new kind is one place."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from backlit.kinds import ACTIVATIONS, LAYERS
from backlit.kinds.losses import LOSSES
from backlit.kinds.optimizers import OPTIMIZERS
from backlit.kinds.schedules import SCHEDULES

FOLDER = Path(__file__).parent.parent / "src" / "backlit" / "export"
FILES = sorted(FOLDER.rglob("*.py"))
CLASSES = {kind.__name__ for kind in (*OPTIMIZERS.values(), *SCHEDULES)} | set(LAYERS)
NAMES = CLASSES | set(ACTIVATIONS) | set(LOSSES) | set(OPTIMIZERS)


def named_kinds(source: str) -> set[str]:
    """The kinds that a source names, as a class or as text."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in NAMES:
            found.add(node.value)
        if isinstance(node, ast.Name) and node.id in CLASSES:
            found.add(node.id)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_no_kind_is_named(path: Path) -> None:
    usual = {"SGD"} if path.name == "program.py" else set()  # the optimiser that `fit` takes where none is given
    assert named_kinds(path.read_text()) == usual


def test_a_name_is_seen() -> None:
    assert named_kinds('if loss.name == "hinge" or isinstance(layer, Dense): np.exp(z)') == {"hinge", "Dense"}
