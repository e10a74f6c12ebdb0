"""The programs of docs/migration.md run; those of other libraries where they are installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "migration.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


def first_import(program: str) -> str:
    found = re.search(r"(?:from|import) (\w+)", program)
    return found.group(1) if found else ""


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the other libraries among themselves
@pytest.mark.parametrize("program", PROGRAMS[1:], ids=first_import)
def test_a_program_runs(
    program: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in re.findall(r"^(?:from|import) (\w+)", program, flags=re.MULTILINE):
        pytest.importorskip(library, reason=f"{library} is not installed")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(PROGRAMS[0], names)
    if "model = " not in program and "net = " not in program:
        exec(next(p for p in PROGRAMS if p.startswith("from backlit import MLPClassifier")), names)
        capsys.readouterr()
    exec(program, names)
    printed = capsys.readouterr().out
    if any(word in program for word in ("score", "argmax", "evaluate")):
        assert float(printed.split()[-1]) > 0.9
    else:
        assert "onnxruntime agrees on 450 rows" in printed
