"""The floors of the house, as `docs/architecture.md` has them: a file imports only from what stands before it.

The table there and its lists of what is inside the folders are read by this test: they cannot drift from the code.
Imports are read from the source by `ast`, so that one inside a function counts as well.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "backlit"
PAGE = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


@dataclass
class Part:
    """One row of the table: its files and folders, and the packages that each may use."""

    entries: list[str]
    packages: set[str] = field(default_factory=set)
    only: dict[str, set[str]] = field(default_factory=dict)  # packages allowed to one file alone


def spans(text: str) -> list[str]:
    """What stands in backquotes."""
    return re.findall(r"`([^`]+)`", text)


def parts() -> list[Part]:
    """The rows: `| `files` | what | packages; a package in `file` |`."""
    table = PAGE.split("## The house")[1].split("### Inside the folders")[0]
    found = []
    for row in re.findall(r"^\| (`.*)\|$", table, re.MULTILINE):
        entries, _, packages = (cell.strip() for cell in row.split("|"))
        part = Part([entry.rstrip("/") for entry in spans(entries)])
        for clause in packages.split(";"):
            allowed, _, place = clause.partition(" in ")
            if place:
                for name in spans(place):
                    part.only.setdefault(name, set()).update(spans(allowed))
            else:
                part.packages.update(spans(allowed))
        found.append(part)
    return found


def folders() -> dict[str, list[str]]:
    """What is inside each folder, in order."""
    listed = PAGE.split("### Inside the folders")[1].split("\n## ")[0]
    found = {}
    for folder, inside in re.findall(r"^- `([^`]+)/`: (.*(?:\n  .*)*)", listed, re.MULTILINE):
        found[folder] = [name.rstrip("/") for name in spans(inside)]
    return found


PARTS, FOLDERS = parts(), folders()
DOORS = set(re.findall(r"^- `([^`]+)` → `([^`]+)`", PAGE, re.MULTILINE))  # the imports that lead up
TOP_OF_CORE = next(i for i, part in enumerate(PARTS) if "training" in part.entries)


def rank(module: str) -> tuple[int, ...]:
    """The place of a module ("kinds/dense") in the house: compared from the left."""
    place: list[int] = []
    names = module.split("/")
    top = [entry for part in PARTS for entry in part.entries]
    inside, path = top, ""
    for name in names:
        if name not in inside:
            raise KeyError(module)
        place.append(inside.index(name))
        path = f"{path}/{name}" if path else name
        inside = FOLDERS.get(path, [])
    return tuple(place)


def part_of(module: str) -> Part:
    return next(part for part in PARTS if module.split("/")[0] in part.entries)


def known(module: str) -> bool:
    return (SOURCE / f"{module}.py").exists() or (SOURCE / module / "__init__.py").exists()


def imports(source: str, package: tuple[str, ...]) -> list[tuple[int, str]]:
    """Every import in a source as (line, dotted name); names of our own begin with "backlit.".

    `package` is where the file stands below backlit: () for network.py, ("kinds",) for kinds/dense.py.
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


def target_of(name: str) -> str | None:
    """The module of ours that a dotted name leads to: "kinds/dense" for backlit.kinds.dense.Dense."""
    names = name.split(".")[1:]
    for length in range(len(names), 0, -1):
        if known("/".join(names[:length])):
            return "/".join(names[:length])
    return None


def complaints(source: str, module: str) -> list[str]:
    """What is wrong with the imports of a module, given by its path below backlit ("kinds/dense.py")."""
    unit = module.removesuffix(".py").removesuffix("/__init__")
    try:
        place = rank(unit)
    except KeyError:
        return [f"{module} has no place in the house: give it one in docs/architecture.md"]
    part = part_of(unit)
    allowed = part.packages.union(*(part.only.get(name, set()) for name in (unit, unit.rsplit("/", 1)[-1])))
    wrong = []
    for line, name in imports(source, tuple(Path(module).parts[:-1])):
        top = name.split(".")[0]
        if top == "backlit":
            target = target_of(name)
            if target is None:
                wrong.append(f"{module}:{line} imports {name}: import it from the file that defines it")
            elif (
                target == unit
                or unit.startswith(f"{target}/")
                or any(unit == one and target.startswith(other) for one, other in DOORS)
            ):
                continue
            elif module.endswith("__init__.py") and target.startswith(f"{unit}/"):
                continue  # a folder's own door opens on what is inside it
            elif rank(target) >= place:
                wrong.append(f"{module}:{line} imports {target}, which stands above it")
        elif top not in sys.stdlib_module_names and not any(name == a or name.startswith(a + ".") for a in allowed):
            wrong.append(f"{module}:{line} imports {name}: allowed are {sorted(allowed) or 'none'}")
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_a_file_imports_only_from_before(path: Path) -> None:
    assert complaints(path.read_text(encoding="utf-8"), path.relative_to(SOURCE).as_posix()) == []


def test_the_table_knows_only_what_exists() -> None:
    top = [entry for part in PARTS for entry in part.entries]
    inside = [f"{folder}/{name}" for folder, names in FOLDERS.items() for name in names]
    assert [entry for entry in [*top, *inside] if not known(entry)] == []
    assert len({*top}) == len(top)


def test_the_roof_loads_the_core_alone() -> None:
    """`backlit/__init__.py` stands above all, but loads nothing above `training` before it is used."""
    names = [name for _, name in imports((SOURCE / "__init__.py").read_text(encoding="utf-8"), ())]
    core = {entry for part in PARTS[: TOP_OF_CORE + 1] for entry in part.entries}
    assert {name.split(".")[1] for name in names if name.startswith("backlit.")} <= core
    assert {name.split(".")[0] for name in names} <= {"backlit", *sys.stdlib_module_names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_import_hides_from_this_test(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & {"import_module", "importlib.import_module", "__import__"}


def test_no_function_hides_its_module() -> None:
    """`backlit.lens.step` is the folder, whatever functions there are."""
    hidden = []
    for path in SOURCE.rglob("__init__.py"):
        folder = path.parent
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                hidden += [
                    f"{folder.name}.{alias.asname or alias.name}"
                    for alias in node.names
                    if known("/".join([*folder.relative_to(SOURCE).parts, alias.asname or alias.name]))
                    and target_of(".".join(["backlit", *folder.relative_to(SOURCE).parts, alias.name])) is None
                ]
    assert hidden == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("targets.py", "from .network import Network", "imports network, which stands above it"),
        ("targets.py", "def f():\n    from .training.fit import fit", "targets.py:2 imports training/fit"),
        ("targets.py", "from . import training", "imports training"),
        ("targets.py", "import backlit.training.fit", "imports training/fit"),
        ("targets.py", "from backlit import Network", "import it from the file that defines it"),
        ("targets.py", "import pandas", "imports pandas: allowed are ['numpy']"),
        ("kinds/losses.py", "from scipy.optimize import minimize", "imports scipy.optimize.minimize"),
        ("kinds/losses.py", "from scipy import optimize", "imports scipy.optimize"),
        ("exceptions.py", "import numpy as np", "imports numpy: allowed are none"),
        ("kinds/activation.py", "from .dense import Dense", "imports kinds/dense, which stands above it"),
        ("kinds/dense.py", "from ..network import Network", "imports network"),
        ("training/history.py", "try:\n    import rich\nexcept ImportError:\n    pass", "imports rich"),
        ("training/reference.py", "import numba", "imports numba"),
        ("brand_new.py", "", "has no place in the house: give it one"),
        ("kinds/brand_new.py", "", "has no place in the house: give it one"),
    ],
    ids=lambda value: value.replace("\n", " ")[:40] or "empty",
)
def test_the_checker_sees_what_is_wrong(module: str, source: str, complaint: str) -> None:
    assert len(found := complaints(source, module)) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("network.py", "import math\nfrom .workspace import Workspace\nfrom .kinds import Dense"),
        (
            "kinds/dense.py",
            "from .activations import get_activation\nfrom ..checks import fraction\nfrom . import layer",
        ),
        ("kinds/losses.py", "if TYPE_CHECKING:\n    from ..network import Network"),
        ("compiled/engine.py", "import numba\nfrom ..training.job import Job"),
        ("training/lbfgs.py", "from scipy.optimize import minimize"),
        ("training/choose.py", "from ..compiled.engine import CompiledEngine"),
        ("training/history.py", "def plot():\n    from matplotlib import pyplot"),
    ],
    ids=lambda value: value.replace("\n", " ")[:40],
)
def test_the_checker_lets_pass_what_is_right(module: str, source: str) -> None:
    assert complaints(source, module) == []
