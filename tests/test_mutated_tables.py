"""Thousands of tables with something wrong, through the command line: it works, or it says in one line what is wrong.

The exit code is 0 or 2; there is no traceback, no "unexpected" error, no bare warning of a library; standard output is
empty where the command failed; and no control character out of a file reaches a terminal.
"""

from __future__ import annotations

import io
import json
import time
import unicodedata
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.table_mutations import FORMATS, mutated_table

from backlit.cli import run

SHORT, LONG = 50, 5000
SECONDS = 10.0  # of a processor, for a command; the first ones load scikit-learn and polars
TRAIN = ["--epochs", "1", "--hidden", "2", "--seed", "0", "--engine", "reference"]
#: What `backlit train` is called with besides; {good} is the file before anything was wrong with it.
MORE: tuple[Sequence[str], ...] = (
    (), (), (), ("--json",), ("--no-header",), ("--validation", "0"), ("--validation", "{good}"), ("--missing", "NA"),
    ("--class-weight", "balanced"), ("--task", "classification"), ("--task", "regression"), ("--dropout", "0.5"),
    ("--decimal", ","), ("--delimiter", ";"), ("--categorical", "x"), ("--numeric", "town"), ("--keep", "count"),
)  # fmt: skip


class Terminal(io.StringIO):
    """Where `predict` writes data: as a terminal, which shows it, or as a pipe."""

    def __init__(self, *, shows: bool) -> None:
        super().__init__(newline="")
        self.shows = shows

    def isatty(self) -> bool:
        return self.shows


def command(*arguments: str, what: str = "") -> int:
    """Run one command and check everything that has to be so whatever is in the file; returns its exit code."""
    # rich draws in colours on a terminal: there only the data of `predict` are looked at
    out, err = Terminal(shows=arguments[0] == "predict"), Terminal(shows=False)
    started = time.process_time()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(arguments)
    seconds = time.process_time() - started
    said, remarks = out.getvalue(), err.getvalue()
    told = f"{what}: backlit {' '.join(arguments)}\n{said[-1000:]}\n{remarks[-1000:]}"
    assert code in (0, 2), told
    assert seconds < SECONDS, told
    for text in ("Traceback", "backlit: unexpected", "Warning"):
        assert text not in remarks, told
    if code == 2:
        assert said == "", told
        assert remarks.count("\n") == 1, told
    elif "--json" in arguments:
        json.loads(said, parse_constant=lambda name: pytest.fail(f"{name} is no JSON\n{told}"))
    strange = {
        sign for sign in said + remarks if sign != "\n" and unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp")
    }
    assert not strange, f"{strange} {told}"
    return code


def commands(number: int, real: list[Path], folder: Path, seen: Counter[str]) -> None:
    """Train on a file and use what was trained: one of the two times, the file is one with something wrong."""
    rng = np.random.default_rng([11, number])
    good, bad = mutated_table(rng, real, folder)
    model = folder / "m"
    model.unlink(missing_ok=True)
    what = f"{number}, {bad.suffix or 'images'}"
    images = bad.suffix in ("", ".npz")
    target = [] if images and rng.random() < 0.8 else ["--target", str(rng.choice(["y", "-1", "0"]))]
    more = [text.format(good=good) for text in MORE[int(rng.integers(len(MORE)))]]
    trained = bad if rng.random() < 0.7 else good
    code = command("train", str(trained), *target, *TRAIN, *more, "--out", str(model), what=what)
    seen[f"train {code}"] += 1
    if not images:
        seen[f"inspect {command('inspect', str(bad), *target, what=what)}"] += 1
    if code == 0:
        for name, *rest in (["predict"], ["evaluate", "--json"], ["explain", "--row", "1"], ["check", "--rows", "4"]):
            seen[f"{name} {command(name, str(model), str(bad), *rest, what=what)}"] += 1


@pytest.fixture
def real() -> list[Path]:
    """Tables of the world, where they are at hand: their first lines are sources too."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "tables"
    return sorted(folder.glob("*.csv"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


def test_mutated_tables(folder: Path) -> None:
    seen: Counter[str] = Counter()
    for number in range(SHORT):
        commands(number, [], folder, seen)
    names = ("train", "inspect", "predict", "evaluate", "explain", "check")
    assert {f"{name} {code}" for name in names for code in (0, 2)} <= set(seen)


@pytest.mark.torture
def test_many_mutated_tables(folder: Path, real: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    seen: Counter[str] = Counter()
    started = time.perf_counter()
    for number in range(LONG):
        commands(number, real, folder, seen)
    with capsys.disabled():
        names = sorted({name.split()[0] for name in seen})
        counts = ", ".join(f"{name} {seen[f'{name} 0']:,} done and {seen[f'{name} 2']:,} refused" for name in names)
        forms, seconds = ", ".join(sorted(set(FORMATS))), time.perf_counter() - started
        print(f"\n{LONG:,} files of {forms} in {seconds:.0f} s: {counts}")


# ── small texts ────────────────────────────────────────────────────────────────────────────────────────────

SIGNS = st.sampled_from(list("ab1.,;\t \"'\n\r\\-+eE%$?\0\x1b\u202e\ufeff\u2028éＡ½٣🙂N"))
FIELD = st.one_of(
    st.text(SIGNS, max_size=4),
    st.sampled_from(["1", "2.5", "-3", "NA", "", "a", "b", "nan", "1e999", "2024-01-01", "true"]),
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Mostly rows of one length."""
    if draw(st.booleans()):
        return draw(st.text(SIGNS, max_size=60))
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(FIELD, min_size=width, max_size=width), min_size=1, max_size=12))
    sign = draw(st.sampled_from(",;\t"))
    return "\n".join(sign.join(row) for row in rows)


def check_text(text: str, folder: Path) -> None:
    path = folder / "text.csv"
    path.write_bytes(text.encode())
    model = folder / "m"
    model.unlink(missing_ok=True)
    command("inspect", str(path), "--target", "-1")
    if command("train", str(path), "--target", "-1", *TRAIN, "--out", str(model)) == 0:
        command("predict", str(model), str(path))


quiet = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings(quiet, max_examples=30)
@given(texts())
def test_small_texts(folder: Path, text: str) -> None:
    check_text(text, folder)


@pytest.mark.torture
@settings(quiet, max_examples=2000)
@given(texts())
def test_many_small_texts(folder: Path, text: str) -> None:
    check_text(text, folder)
