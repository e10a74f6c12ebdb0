"""What a run takes from outside: no network, and only packages that are declared."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "backlit"

DENIED = """
import socket, sys

def refuse(*args, **kwargs):
    raise AssertionError("a socket was asked for")

socket.socket.connect = socket.socket.connect_ex = socket.socket.bind = refuse
socket.create_connection = socket.getaddrinfo = refuse
"""


@pytest.mark.parametrize(
    "work",
    [
        "from backlit.cli import run; sys.exit(run(['demo', 'line', '--json']))",
        "from backlit.cli import run; sys.exit(run(['train', 't.csv', '--target', 'y', '--out', 'm.safetensors']))",
        "import backlit as bl, numpy as np; "
        "bl.MLPClassifier(4, max_iter=2).fit(np.eye(4), [0, 1, 0, 1]).predict(np.eye(4))",
    ],
    ids=["demo", "train", "estimator"],
)
def test_no_socket_is_opened(work: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{k % 7},{'ab'[k % 2]}\n" for k in range(40)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DENIED + work], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_refusal_of_sockets_refuses() -> None:
    code = DENIED + "socket.create_connection(('localhost', 9))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "a socket was asked for" in done.stderr


def test_what_is_imported_is_declared() -> None:
    """Every package that a file of ours imports is a requirement, of the whole or of an extra."""
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {re.split(r"[ \[;<>=!~]", text)[0].lower() for group in groups for text in group}
    packages = importlib.metadata.packages_distributions()
    missing = []
    for path in SOURCE.rglob("*.py"):
        for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
            if name in sys.stdlib_module_names or name == "backlit":
                continue
            distributions = {distribution.lower() for distribution in packages.get(name, [name])}
            if not declared & (distributions | {f"{name}-skinny"}):  # MLflow's own smaller distribution
                missing.append(f"{path.relative_to(SOURCE)}: {name}")
    assert not missing


def imported(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found
