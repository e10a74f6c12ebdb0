"""The floors of the house: a file imports only from lower floors, or from what stands before it in its own row.

Read from the source by `ast`, so that an import inside a function counts as well.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "backlit"


@dataclass(frozen=True)
class Floor:
    """One row of the table: its files and folders from left to right, and the packages that each may use."""

    row: str
    packages: str = ""
    only: dict[str, str] = field(default_factory=dict)  # packages allowed to one file or folder of the row alone

    def allowed(self, unit: str) -> set[str]:
        return {*self.packages.split(), *self.only.get(unit, "").split()}


# From the ground up. A folder counts as one entry: its files may import each other.
FLOORS = [
    Floor("exceptions typing surfaces"),
    Floor("checks randomness parameters initializers", "numpy"),
    Floor("layers", "numpy scipy.special"),
    Floor("losses", "numpy scipy.special"),
    Floor("targets workspace assembly network gradreport frozenbatch gradcheck", "numpy"),
    Floor("schedules optimizers lbfgs", "numpy", {"lbfgs": "scipy"}),
    Floor(
        "parallel history callbacks progress engines evaluation threads divergence monitor trainer",
        "numpy",
        {"parallel": "mpi4py", "threads": "threadpoolctl", "history": "matplotlib", "progress": "rich"},
    ),
    Floor("data", "numpy polars scipy sklearn"),
    Floor("estimators", "numpy scipy sklearn threadpoolctl matplotlib optuna mlflow polars"),
    Floor("io export", "numpy safetensors skops sklearn onnx onnxruntime skl2onnx pandas polars"),
    Floor("lens", "numpy scipy rich matplotlib safetensors"),
    Floor("web demos cli __main__", "numpy cyclopts rich starlette uvicorn matplotlib sklearn polars"),
]
PLACE = {unit: (floor, place) for floor, row in enumerate(FLOORS) for place, unit in enumerate(row.row.split())}
TOP_OF_CORE = 6  # the highest floor that `import backlit` may load at once

FILES = sorted(SOURCE.rglob("*.py"))


def unit_of(module: str) -> str:
    """The entry of the table that a module belongs to: "layers" for layers/dense.py."""
    return module.split("/")[0].removesuffix(".py")


def imports(source: str, package: tuple[str, ...]) -> list[tuple[int, str]]:
    """Every import in a source as (line, dotted name); names of our own begin with "backlit."

    `package` is where the file stands below backlit: () for network.py, ("layers",) for layers/dense.py.
    What stands under ``if TYPE_CHECKING`` is never run, and left out.
    """
    found: list[tuple[int, str]] = []

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            for child in node.orelse:
                visit(child)
            return
        if isinstance(node, ast.Import):
            found.extend((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = ("backlit", *package)[: len(package) + 2 - node.level]
                base = ".".join([*parents, *([base] if base else [])])
            # `from . import data` and `from scipy import special` name modules; `from .network import Network` does not
            found.extend((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source))
    return found


def complaints(source: str, module: str) -> list[str]:
    """What is wrong with the imports of a module, given by its path below backlit ("layers/dense.py")."""
    *folders, _ = module.split("/")
    unit = unit_of(module)
    if unit not in PLACE:
        return [f"{module} stands on no floor: give it one in the table of tests/test_floors.py"]
    floor, place = PLACE[unit]
    allowed = FLOORS[floor].allowed(unit)
    if module.startswith("engines/compiled"):
        allowed |= {"llvmlite", "numba"}
    wrong = []
    for line, name in imports(source, tuple(folders)):
        top = name.split(".")[0]
        if top == "backlit":
            target = name.split(".")[1]
            if target == unit:
                continue
            if target not in PLACE:
                wrong.append(f"{module}:{line} imports {name}: import it from the file that defines it")
            elif PLACE[target] >= (floor, place):
                wrong.append(f"{module}:{line} on floor {floor} imports {target}, which stands above it")
        elif top not in sys.stdlib_module_names and not any(name == a or name.startswith(a + ".") for a in allowed):
            wrong.append(f"{module}:{line} on floor {floor} imports {name}: allowed are {sorted(allowed) or 'none'}")
    return wrong


@pytest.mark.parametrize(
    "path", [p for p in FILES if p != SOURCE / "__init__.py"], ids=lambda p: p.relative_to(SOURCE).as_posix()
)
def test_a_file_imports_only_from_below(path: Path) -> None:
    assert complaints(path.read_text(), path.relative_to(SOURCE).as_posix()) == []


def test_the_roof_loads_the_core_alone() -> None:
    """`backlit/__init__.py` stands above all, but loads floors 0 to 6 at once and the others when they are used."""
    names = [name for _, name in imports((SOURCE / "__init__.py").read_text(), ())]
    ours = {name.split(".")[1] for name in names if name.startswith("backlit.")}
    assert {unit for unit in ours if PLACE[unit][0] > TOP_OF_CORE} == set()
    assert {name.split(".")[0] for name in names} <= {"backlit", *sys.stdlib_module_names}


@pytest.mark.parametrize(
    "path", [p for p in FILES if p != SOURCE / "__init__.py"], ids=lambda p: p.relative_to(SOURCE).as_posix()
)
def test_no_import_hides_from_this_test(path: Path) -> None:
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
    assert not calls & {"import_module", "importlib.import_module", "__import__"}


def test_every_entry_of_the_core_is_there() -> None:
    entries = {unit for floor in FLOORS[: TOP_OF_CORE + 1] for unit in floor.row.split()}
    assert entries <= {unit_of(path.relative_to(SOURCE).as_posix()) for path in FILES}


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("losses.py", "from .network import Network", "on floor 3 imports network"),
        ("losses.py", "def f():\n    from .trainer import fit", "losses.py:2 on floor 3 imports trainer"),
        ("losses.py", "from . import trainer", "imports trainer"),
        ("losses.py", "import backlit.training.fit", "imports trainer"),
        ("losses.py", "from backlit import Network", "import it from the file that defines it"),
        ("losses.py", "import pandas", "imports pandas: allowed are ['numpy', 'scipy.special']"),
        ("losses.py", "from scipy.optimize import minimize", "imports scipy.optimize.minimize"),
        ("losses.py", "from scipy import optimize", "imports scipy.optimize"),
        ("exceptions.py", "import numpy as np", "imports numpy: allowed are none"),
        ("targets.py", "from .network import Network", "imports network"),
        ("layers/dense.py", "from ..losses import Loss", "imports losses"),
        ("history.py", "try:\n    import rich\nexcept ImportError:\n    pass", "imports rich"),
        ("engines/reference.py", "import numba", "imports numba"),
        ("brand_new.py", "", "stands on no floor: give it one"),
        ("new/folder.py", "", "stands on no floor: give it one"),
    ],
    ids=lambda value: value.replace("\n", " ")[:40] or "empty",
)
def test_the_checker_sees_what_is_wrong(module: str, source: str, complaint: str) -> None:
    assert len(found := complaints(source, module)) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("losses.py", "import math\nfrom .parameters import Array\nfrom scipy.special import xlogy"),
        ("network.py", "from .workspace import Workspace\nfrom .layers import Dense"),
        ("layers/dense.py", "from .activations import Activation\nfrom ..parameters import Array\nfrom . import base"),
        ("losses.py", "if TYPE_CHECKING:\n    from .network import Network"),
        ("engines/compiled.py", "import numba\nfrom ..parallel import SerialCommunicator"),
        ("lbfgs.py", "from scipy.optimize import minimize"),
        ("history.py", "def plot():\n    from matplotlib import pyplot"),
    ],
    ids=lambda value: value.replace("\n", " ")[:40],
)
def test_the_checker_lets_pass_what_is_right(module: str, source: str) -> None:
    assert complaints(source, module) == []
