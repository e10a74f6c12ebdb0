"""The demos: what they print, their JSON, their pictures, their examples."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from rich.console import Console

import backlit as bl
from backlit.checking.one_unit import OneUnit
from backlit.cli import demo_pages
from backlit.cli import run as backlit
from backlit.demos import DEMOS, admissions, digits, digits_page, line, page, picture, planar, slow_start, two_two_one

EXAMPLES = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.py"))
ROWS = list(digits.IMPROVEMENTS)
MODULES: dict[str, Any] = {
    "line": line,
    "two-two-one": two_two_one,
    "admissions": admissions,
    "planar": planar,
}


def run_demo(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """What a demo writes to stdout and to stderr."""
    assert backlit(["demo", *arguments]) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err


# ── examples ───────────────────────────────────────────────────────────────────────────────────────────────


def test_there_is_an_example_for_every_demo() -> None:
    assert {path.stem.replace("_", "-") for path in EXAMPLES} >= set(DEMOS)


@pytest.mark.parametrize("name", [name.replace("-", "_") for name in DEMOS])
def test_example_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = next(path for path in EXAMPLES if path.stem == name)
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    assert "from backlit" not in text
    assert "import backlit." not in text


# ── pages ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    """Each of the quick demos, run once."""
    return {
        "line": line.run(),
        "two-two-one": two_two_one.run(),
        "admissions": admissions.run(),
        "planar": planar.run(),
    }


@pytest.fixture
def computed(results: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands present these results instead of computing them again."""
    for name, module in MODULES.items():
        monkeypatch.setattr(module, "run", lambda *arguments, found=results[name], **more: found)


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize("name", MODULES)
def test_page_fits_eighty_columns_without_colours(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    out, err = run_demo(capsys, name)
    assert err == ""
    assert "\x1b" not in out
    assert "…" not in out  # nothing cut off
    assert max(map(len, out.splitlines())) <= 80
    assert sum(text.startswith("→ ") for text in out.splitlines()) == 1  # one conclusion


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run_demo(capsys)
    lines = out.splitlines()
    assert [line.split(maxsplit=1) for line in lines[2:-2]] == [[name, what] for name, what in DEMOS.items()]
    assert lines[-1].startswith("backlit demo NAME runs one")
    assert err == ""
    assert json.loads(run_demo(capsys, "--json")[0]) == DEMOS


def test_a_demo_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert backlit(["demo", "lin"]) == 2
    assert capsys.readouterr().err == "backlit: there is no demo 'lin': did you mean 'line'?\n"


def test_every_demo_that_is_listed_is_a_command_and_no_other() -> None:
    commands = {name.removesuffix("_command") for name in vars(demo_pages) if name.endswith("_command")}
    assert commands == {name.replace("-", "_") for name in DEMOS}


def test_the_list_loads_none_of_the_demos() -> None:
    code = (
        "import sys; from backlit.cli import run; code = run(['demo']);"
        "heavy = {'sklearn', 'matplotlib', 'polars', 'scipy.stats', 'backlit.cli.demo_pages', 'backlit.demos.page'};"
        "sys.exit(code or ', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("line", {"after_epoch"}),
        ("two-two-one", {"first", "last"}),
        ("admissions", {"train_mse_at_epoch", "test_accuracy", "weights", "columns"}),
        ("planar", {"loss_at_iteration", "train_accuracy"}),
    ],
)
def test_json_is_one_object_and_the_page_goes_to_stderr(
    name: str, keys: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = run_demo(capsys, name, "--json")
    assert len(out.splitlines()) == 1
    assert keys <= set(json.loads(out))
    assert "→ " in err


@pytest.mark.usefixtures("computed")
@pytest.mark.parametrize("name", MODULES)
def test_picture(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "picture.png"
    run_demo(capsys, name, "--plot", str(path))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_planar_compares_hidden_sizes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(planar, "ITERATIONS", 10)
    monkeypatch.setattr(planar, "SHOWN", (0, 9))
    monkeypatch.setattr(planar, "ROUNDING_GROWS_FROM", 0)
    found = planar.run(compare=True)
    assert list(found.as_json()["train_accuracy_by_hidden_size"]) == ["1", "2", "3", "4", "5", "20", "50"]
    text = StringIO()
    planar.show(found, Console(file=text, width=80, highlight=False, markup=False))
    assert "Hidden sizes" in text.getvalue()
    planar.draw(found, str(tmp_path / "grid.png"))
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["line", "--plot", "curve.txt"], "--plot needs a file whose name ends in .png"),
        (["line", "--plot", "no/such/folder/curve.png"], "there is no folder no/such/folder"),
        (["digits", "--data", "no/such/folder"], "there is no folder no/such/folder"),
        (["line", "--batch-size", "0"], "batch_size must be"),
        (["digits", "--quick", "--hidden", "0"], "units must be"),
        (["digits", "--quick", "--seeds", "0"], "seeds must be"),
        (["digits", "--full", "--l2"], "--full says which networks are trained"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backlit(["demo", *arguments]) == 2
    err = capsys.readouterr().err.splitlines()
    assert err[-1].startswith("backlit: ")
    assert message in err[-1]


def test_a_picture_needs_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'backlit\[plot\]'"):
        picture.check_picture("curve.png")


def test_digits_without_mnist_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "find_mnist", lambda: None)
    with pytest.raises(FileNotFoundError, match="--data"):
        digits.load_images(None, quick=False)


@pytest.mark.parametrize(
    ("module", "name", "key"), [(line, "line", "after_epoch"), (admissions, "admissions", "weights")]
)
def test_a_seed_draws_another_start(
    module: Any, name: str, key: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EPOCHS", 11)
    monkeypatch.setattr(line, "SHOWN", (1, 10))
    seeds: list[list[str]] = [[], ["--seed", "1"], ["--seed", "1"]]
    published, one, again = (json.loads(run_demo(capsys, name, "--json", *seed)[0])[key] for seed in seeds)
    assert published != one
    assert one == again


# ── line ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", line.WAYS)
def test_forward_passes_are_counted_right(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The count on the page, against a count of the calls, and of the nudges."""
    calls = 0
    forward_pass, losses = bl.Network.forward_pass, OneUnit._losses

    def counted(self: bl.Network, *arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        return forward_pass(self, *arguments, **more)

    def nudged(self: OneUnit, index: int, unit: int, steps: np.ndarray, *, central: bool) -> Any:
        nonlocal calls
        calls += len(steps) * (2 if central else 1)
        return losses(self, index, unit, steps, central=central)

    def passes(epochs: int) -> tuple[int, int]:
        nonlocal calls
        calls = 0
        monkeypatch.setattr(line, "EPOCHS", epochs)
        return line.learn(way, None, 2).forward_passes, calls

    monkeypatch.setattr(bl.Network, "forward_pass", counted)
    monkeypatch.setattr(OneUnit, "_losses", nudged)
    (fewer_said, fewer_counted), (said, made) = passes(10), passes(30)
    # What is measured before and after training is the same in both.
    assert said - fewer_said == made - fewer_counted > 0


def test_central_differences_walk_the_path_of_back_propagation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "EPOCHS", 100)
    forward, central, backprop = (line.learn(way, None, 4) for way in line.WAYS)
    assert np.abs(central.path - backprop.path).max() < 1e-12
    assert 1e-5 < np.abs(forward.path - backprop.path).max() < 1e-3


# ── two-two-one ────────────────────────────────────────────────────────────────────────────────────────────


def test_nine_products_are_the_gradients() -> None:
    results = two_two_one.run()
    assert [len(epoch.gradients) for epoch in results.epochs] == [9] * 10
    for epoch in results.epochs:
        for gradient in epoch.gradients:
            assert gradient.product == pytest.approx(gradient.backprop, rel=1e-12)
            assert gradient.finite_difference == pytest.approx(gradient.backprop, rel=1e-6)
    assert [attempt.learnt for attempt in results.attempts] == [False, False, False, True]
    # The line that the network is gives what the network gives.
    net = two_two_one.equal_network()
    net.parameters.values[:] = results.epochs[-1].values_after
    places = np.array([[0.0, 0.0], [1.0, 2.0], [-3.0, 0.5]])
    assert net.forward(places)[:, 0] == pytest.approx(places @ results.slope + results.offset)


# ── digits ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def small() -> digits.DigitsResults:
    """Every improvement, two epochs on a part of the 8×8 digits, two seeds."""
    images = digits.load_images(None, quick=True)
    X, y = images.train
    part = digits.Images(images.what, (X[:300], y[:300]), images.validation, images.test, (8, 8), 16.0, whole=False)
    return digits.run(digits.ladder(digits.Settings(hidden=10, epochs=2), ROWS), part, [0, 1], progress=False)


def test_every_improvement_is_a_row(small: digits.DigitsResults) -> None:
    settings = [result.row.settings for result in small.rows]
    assert [s.loss for s in settings] == ["squared_error"] + ["cross_entropy"] * 6
    assert [s.output_init for s in settings] == ["standard_normal"] * 2 + ["scaled_normal"] * 5
    assert [s.penalty for s in settings] == [0.0] * 3 + [5.0] * 4
    assert [s.early_stopping for s in settings] == [False] * 4 + [True] * 3
    assert [s.dropout for s in settings] == [0.0] * 5 + [0.2] * 2
    assert [s.enlarge for s in settings] == [False] * 6 + [True]
    for result in small.rows:
        assert [run.seed for run in result.runs] == [0, 1]
        assert 0.0 < result.mean <= result.best_epoch_mean <= 1.0


def test_digits_page(small: digits.DigitsResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = StringIO()
    digits_page.show(small, Console(file=text, width=80, highlight=False, markup=False))
    lines = text.getvalue().splitlines()
    assert "…" not in text.getvalue()
    assert max(map(len, lines)) <= 80
    for result in small.rows:
        assert any(shown.startswith(result.row.label) for shown in lines)
    digits_page.draw(small, str(tmp_path / "digits.svg"))
    assert (tmp_path / "digits.svg").stat().st_size > 1000


def test_digits_page_says_what_may_be_chance(small: digits.DigitsResults) -> None:
    best = max(r.mean for r in small.rows)
    error = 200 * (best * (1 - best) / 300) ** 0.5
    text = StringIO()
    digits_page.show(small, Console(file=text, width=1000, highlight=False, markup=False))
    assert f"300 test images leave each figure uncertain by about ±{error:.1f} points" in text.getvalue()


def test_digits_picture_has_one_colour_for_one_loss(
    small: digits.DigitsResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(picture, "save_figure", lambda figure, path: figures.append(figure))
    digits_page.draw(small, "digits.svg")
    left, right = figures[0].axes
    squared, cross = left.get_lines()[:2]
    assert [line.get_color() for line in right.get_lines()] == ["tab:blue", "tab:orange"]
    assert [to_rgb(line.get_color()) for line in (squared, cross)] == [to_rgb("tab:blue"), to_rgb("tab:orange")]
    figures[0].canvas.draw()
    legend = left.get_legend().get_window_extent()
    assert legend.y1 < left.get_window_extent().y0  # below the curves, not upon them


def test_quick_runs_are_not_called_published(small: digits.DigitsResults) -> None:
    assert small.as_json()["published_test_accuracy"] == {}


@pytest.mark.parametrize("flag", [f"--{name}" for name in ("cross-entropy", "l2")])
def test_a_flag_is_a_row(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, err = run_demo(capsys, "digits", "--quick", "--epochs", "1", "--json", flag)
    rows = [row["row"] for row in json.loads(out)["rows"]]
    assert rows == ["30 hidden, squared error", digits.IMPROVEMENTS[flag[2:]][0]]
    assert "training: " in err


def test_published_settings_are_recognised() -> None:
    rows = digits.ladder(digits.Settings(), ["cross-entropy"])
    assert [row.published for row in rows] == list(digits.PUBLISHED)[:2]


def test_learning_slows_with_squared_error() -> None:
    squared, cross = slow_start.run()
    assert squared.outputs[0] == cross.outputs[0] == pytest.approx(1 / (1 + np.exp(-4.0)))
    a = squared.outputs[0]
    assert cross.first_gradient == pytest.approx(a)
    assert squared.first_gradient == pytest.approx(a * a * (1 - a))
    assert squared.outputs[100] > 0.95
    assert cross.outputs[100] < 0.05


def test_demos_do_not_load_with_backlit() -> None:
    code = "import sys, backlit; sys.exit(any(name.startswith('backlit.demos') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.torture
def test_quick_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    """`--quick` ends in under 30 s of this process's own time."""
    started = time.process_time()
    run_demo(capsys, "digits", "--quick")
    assert time.process_time() - started < 30.0


def test_page_numbers_keep_their_units() -> None:
    text = StringIO()
    page.paragraph(Console(file=text, width=20), f"an accuracy that is {page.percent(0.5)}")
    assert text.getvalue().splitlines() == ["an accuracy that is", "50.00\N{NO-BREAK SPACE}%"]
