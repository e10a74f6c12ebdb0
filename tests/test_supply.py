"""What a run takes from outside: no network, and only packages that are declared; and what Backlit is shipped as.

`pip-audit` is no part of this: it asks a database in the network for every package.
"""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "backlit"
#: What is shipped beside the Python files.
# The patterns of what is no Python: every such file fits one of them, and each of them some file.
DATA = [
    "py.typed", "data/admissions.csv", "lens/report/report.css", "lens/report/report.js", "lab/page/*.js",
    "lab/page/*.css", "lab/page/index.html", "lessons/?-*.md",
]  # fmt: skip

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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
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


# ── what Backlit is shipped as ─────────────────────────────────────────────────────────────────────────────


def sources() -> set[str]:
    """The files of the package, by their paths within it."""
    found = {path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*") if path.is_file()}
    return {name for name in found if "__pycache__" not in name}


def test_what_lies_among_the_sources_is_meant_to_be_shipped() -> None:
    others = {name for name in sources() if not name.endswith(".py")}
    assert others == {name for name in others if any(fnmatch(name, pattern) for pattern in DATA)}
    assert [pattern for pattern in DATA if not any(fnmatch(name, pattern) for name in others)] == []


def check_wheel(path: Path) -> None:
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        about = f"backlit-{importlib.metadata.version('backlit')}.dist-info"
        entries = wheel.read(f"{about}/entry_points.txt").decode()
        metadata = wheel.read(f"{about}/METADATA").decode()
    notes = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    program = {"backlit_command/__init__.py"}
    assert names == {f"backlit/{name}" for name in sources()} | {f"{about}/{name}" for name in notes} | program
    assert "backlit = backlit_command:main" in entries
    assert "License-Expression: BSD-3-Clause" in metadata


def check_sdist(path: Path) -> None:
    with tarfile.open(path) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames()}
    beside = {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO", ".gitignore"}
    beside |= {"src/backlit_command/__init__.py"}
    assert names == {f"src/backlit/{name}" for name in sources()} | beside


def ran(*words: str | Path, folder: Path) -> str:
    """What a program says that ends well."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, env=alone, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="building without the network needs hatchling: pip install hatchling")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", tmp_path, ROOT]
    ran(*build, folder=tmp_path)
    check_wheel(next(tmp_path.glob("*.whl")))


@pytest.mark.torture
def test_wheel_and_sdist_work_in_an_empty_environment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Built as they are for PyPI, and installed with nothing but what they ask for."""
    builder, empty = tmp_path / "builder", tmp_path / "empty"
    for place in (builder, empty):
        venv.create(place, with_pip=True, system_site_packages=False)
    pip = [empty / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    got = subprocess.run(
        [builder / "bin" / "python", "-m", "pip", "install", "-q", "build", "hatchling"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if got.returncode:
        pytest.skip(f"building needs build and hatchling from PyPI: {got.stderr.strip().splitlines()[-1]}")
    ran(
        builder / "bin" / "python",
        "-m",
        "build",
        "--no-isolation",
        "--outdir",
        tmp_path / "dist",
        ROOT,
        folder=tmp_path,
    )
    (wheel,), (sdist,) = (tmp_path / "dist").glob("*.whl"), (tmp_path / "dist").glob("*.tar.gz")
    check_wheel(wheel)
    check_sdist(sdist)
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{k % 7},{'ab'[k % 7 > 3]}\n" for k in range(40)))
    sizes = []
    for which, more in ((wheel, []), (sdist, ["--no-deps", "--force-reinstall", "--no-build-isolation"])):
        if more:
            ran(*pip, "hatchling", folder=tmp_path)
        ran(*pip, *more, which, folder=tmp_path)
        place = ran(empty / "bin" / "python", "-c", "import backlit; print(backlit.__file__)", folder=tmp_path)
        assert place.startswith(str(empty))
        program = empty / "bin" / "backlit"
        assert ran(program, "--version", folder=tmp_path).strip() == importlib.metadata.version("backlit")
        assert json.loads(ran(program, "demo", "line", "--json", folder=tmp_path))
        train = ["train", "t.csv", "--target", "y", "--epochs", "3", "--out", "m", "--json"]
        assert json.loads(ran(program, *train, folder=tmp_path))["task"] == "classification"
        assert ran(program, "predict", "m", "t.csv", folder=tmp_path).count("\n") == 41
        sizes.append(f"{which.name} {which.stat().st_size / 1e6:.2f} MB")
    with capsys.disabled():
        print(f"\n{' and '.join(sizes)}: installed into an empty environment, demo, train and predict ran")
