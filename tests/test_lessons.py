"""The course: its files make notebooks, these run, wrong answers are named, and `backlit learn` hands them out."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import backlit as bl
from backlit.cli import learn as command
from backlit.cli import run
from backlit.lens.diagnosis.catalogue import NAMES
from backlit.lessons import LESSONS, Lesson

KERNEL_CONFIG = "c.IPKernelApp.log_level = 40\n"


def ids(lesson: Lesson) -> str:
    return lesson.name


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """nbclient, with a configuration that no user's own can change."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient runs the notebooks: pip install nbclient ipykernel")
    pytest.importorskip("ipykernel", reason="ipykernel runs the notebooks: pip install nbclient ipykernel")
    profile = tmp_path / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text(KERNEL_CONFIG, encoding="utf-8")
    monkeypatch.setenv("IPYTHONDIR", str(profile.parent))
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)
    return nbclient


def executed(nbclient: Any, text: str, folder: Path) -> Any:
    import nbformat

    notebook = nbformat.reads(text, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    return notebook


def printed(cell: Any) -> str:
    """What a cell gave, as text."""
    found = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        found.append(output.get("text", "") + data.get("text/html", data.get("text/plain", "")))
    return "\n".join(found)


#: Lessons that take many seconds: `make docs` runs them too, and their exercises are looked at by `make torture`.
LONG = ("digits", "table")


@pytest.mark.parametrize(
    "lesson",
    [pytest.param(lesson, marks=[pytest.mark.torture] if lesson.name in LONG else []) for lesson in LESSONS],
    ids=ids,
)
def test_a_lesson_runs_and_names_what_is_wrong(lesson: Lesson, kernels: Any, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    notebook = executed(kernels, lesson.notebook(), folder)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tries = [cell for cell in code if "bl.diagnose" in cell.source and not cell.metadata.get("tags")]
    cures = [cell for cell in code if "bl.diagnose" in cell.source and cell.metadata.get("tags")]
    assert len(tries) >= 2, "two exercises at least are checked"
    for cell in tries:
        named = set(re.findall(r"\d\. ([a-z_]+) in ", printed(cell)))
        assert named, cell.source
        assert named <= set(NAMES) - {"unknown"}, named
    assert cures
    for cell in cures:
        assert "Diagnosis: every gradient is right" in printed(cell), cell.source
    assert not list(folder.iterdir()), "a lesson leaves no files behind"


@pytest.mark.parametrize("lesson", LESSONS, ids=ids)
def test_a_lesson_begins_with_its_formula_and_has_exercises(lesson: Lesson) -> None:
    source = lesson.source()
    before = source[: source.index("```{code-cell}")]
    assert re.search(rf"^# {lesson.number}\. ", before, re.MULTILINE)
    assert "$$" in before, "the formula stands above the first cell"
    assert source.count("**Exercise ") >= 3
    assert max(len(line) for line in source.splitlines()) <= 160


@pytest.mark.parametrize("lesson", LESSONS, ids=ids)
def test_the_notebook_holds_what_the_page_holds(lesson: Lesson) -> None:
    notebook = json.loads(lesson.notebook())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    cells = notebook["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    assert sum(cell["cell_type"] == "code" for cell in cells) == lesson.source().count("```{code-cell}")
    texts = ["".join(cell["source"]) for cell in cells]
    assert not [text for text in texts if "{code-cell}" in text or ":tags:" in text or text.startswith("---")]
    whole = "".join(lesson.source().split())
    assert all("".join(text.split()) in whole for text in texts)
    folded = [cell for cell in cells if cell["metadata"]]
    assert len(folded) == lesson.source().count(":tags:")
    assert all(cell["metadata"]["jupyter"] == {"source_hidden": True} for cell in folded)


@pytest.mark.parametrize("lesson", LESSONS, ids=ids)
def test_jupytext_reads_the_same_notebook(lesson: Lesson) -> None:
    jupytext = pytest.importorskip("jupytext", reason="jupytext is not installed")
    theirs = jupytext.reads(lesson.source(), fmt="md:myst")
    ours = json.loads(lesson.notebook())
    assert [(cell.cell_type, cell.source.strip()) for cell in theirs.cells] == [
        (cell["cell_type"], "".join(cell["source"]).strip()) for cell in ours["cells"]
    ]


def test_fit_shows_one_line_in_a_notebook(kernels: Any, tmp_path: Path) -> None:
    import nbformat

    source = "import backlit as bl\nnet = bl.Network([bl.Dense(1)], inputs=1)\n"
    source += "bl.fit(net, [[1.0], [2.0]], [1.0, 2.0], epochs=7);"
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    (output,) = executed(kernels, nbformat.writes(made), tmp_path).cells[0].outputs  # no warning beside it
    assert output.data["text/plain"].startswith("epoch 7/7  loss ")
    assert '<progress value="7.000" max="7"' in output.data["text/html"]


def test_a_program_that_has_loaded_ipykernel_is_no_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    net = bl.Network([bl.Dense(1)], inputs=1)
    bl.fit(net, [[1.0], [2.0]], [1.0, 2.0], epochs=2)
    assert capsys.readouterr() == ("", "")


# ── backlit learn ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[list[str]]:
    """As if only these were installed; returns what is started."""
    started: list[list[str]] = []
    monkeypatch.setattr(command, "find_spec", lambda name: object() if name in names else None)

    def start(arguments: list[str], **settings: Any) -> subprocess.CompletedProcess[str]:
        started.append(arguments)
        return subprocess.CompletedProcess(arguments, 0)

    monkeypatch.setattr(subprocess, "run", start)
    return started


def test_learn_lists_the_lessons(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["learn"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {lesson.number}  {lesson.name}" in said and lesson.what in said for lesson in LESSONS)
    assert not list(here.iterdir())


@pytest.mark.parametrize("which", ["3", "chain-rule", "3-chain-rule"])
def test_learn_puts_a_notebook_here_and_says_how_to_open_it(
    which: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = installed(monkeypatch)
    assert run(["learn", which]) == 0
    assert (here / "3-chain-rule.ipynb").read_text(encoding="utf-8") == LESSONS[2].notebook()
    assert "pip install jupyterlab" in capsys.readouterr().out
    assert started == []


@pytest.mark.parametrize(
    ("there", "opened"), [(("jupyterlab", "notebook"), "jupyterlab"), (("notebook",), "notebook")], ids=["lab", "old"]
)
def test_learn_opens_jupyter_where_it_is(
    there: tuple[str, ...], opened: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = installed(monkeypatch, *there)
    assert run(["learn", "1"]) == 0
    assert [arguments[1:] for arguments in started] == [["-m", opened, "1-one-weight.ipynb"]]
    assert run(["learn", "2", "--no-open"]) == 0
    assert len(started) == 1
    assert (here / "2-one-neuron.ipynb").exists()


def test_learn_never_writes_over_a_file(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = installed(monkeypatch, "jupyterlab")
    (here / "1-one-weight.ipynb").write_text("my answers")
    assert run(["learn", "1"]) == 2
    assert "1-one-weight.ipynb is there already" in capsys.readouterr().err
    assert (here / "1-one-weight.ipynb").read_text() == "my answers"
    (here / "other").mkdir()
    assert run(["learn", "1", "--folder", "other", "--no-open"]) == 0
    assert (here / "other" / "1-one-weight.ipynb").exists()
    assert started == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["learn", "9"], "there is no lesson '9', only 1 to 8"),
        (["learn", "symetry"], "did you mean 'symmetry'"),
        (["learn", "1", "--folder", "missing"], "cannot be written"),
    ],
    ids=["number", "name", "folder"],
)
def test_learn_refuses(arguments: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
