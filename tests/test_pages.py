"""A page on a terminal: as wide as there is room, and still to be read at 80 columns."""

from __future__ import annotations

import ast
import html
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import backlit as bl
from backlit.lens import explain, show
from backlit.pages import Cell, Page, Table, Words, page_width

rng = np.random.default_rng(2)


def results() -> list[Any]:
    """One of every kind of page, with much in it."""
    layers = [bl.Dense(20, "relu"), bl.Dropout(0.3), bl.BatchNorm(), bl.Dense(12, "tanh"), bl.Dense(4, "softmax")]
    net = bl.Network(layers, inputs=30, loss="cross_entropy", l2=1e-4)
    X, y = rng.normal(size=(20, 30)), rng.integers(0, 4, 20)
    plain = bl.Network([bl.Dense(20, "relu"), bl.Dense(4, "softmax")], inputs=30, loss="cross_entropy")
    ledger = explain(net, X, y, optimizer=bl.AdamW(0.01), step=2)
    history = bl.fit(net, X, y, epochs=2, engine="reference", progress=False)
    checked = bl.check_gradients(net, X[:3], y[:3], sample=200, sweep=True)
    health = bl.health(net, X, y, optimizer=bl.SGD(9.0), history=history)
    return [
        ledger, ledger.page(row=1), ledger.weight("0.weight", 3, 4), ledger.weight("2.scale", 1), ledger.account(),
        ledger.shapes(), checked.page(), health, bl.diagnose(plain, X, y, 2.0 * plain.gradient(X, y)),
    ]  # fmt: skip


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_every_result_takes_the_width_that_there_is(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for result in results():
        lines = (result.text() if isinstance(result, Page) else str(result)).splitlines()
        assert max(map(len, lines)) <= columns
        assert not any(line != line.rstrip() for line in lines)


#: Every class with a page, found in the source: a new one is tested without a line here.
WITH_A_PAGE = {
    node.name
    for path in sorted((Path(bl.__file__).parent).rglob("*.py"))
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.ClassDef)
    and any(isinstance(part, ast.FunctionDef) and part.name == "page" for part in node.body)
    and node.name != "Paged"  # the protocol of them
}


@pytest.mark.parametrize("name", sorted(WITH_A_PAGE))
def test_every_result_is_exported_and_shows_itself_everywhere(name: str) -> None:
    kind = getattr(bl, name)
    for method in ("__str__", "__rich__", "_repr_html_"):
        assert getattr(kind, method, None) not in (None, object.__str__), f"{name} has no {method}"


def test_the_results_that_are_known_have_pages() -> None:
    assert {
        "Diagnosis", "EpsilonSweep", "Frame", "GradientReport", "HealthReport", "History", "Ledger", "LossAccount",
        "Network", "OnnxReport", "Recording", "ShapeLedger", "UnfoldedWeight",
    } <= WITH_A_PAGE  # fmt: skip


def test_three_surfaces_tell_the_same(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    net = bl.Network([bl.Dense(2, "tanh"), bl.Dense(1)], inputs=3)
    report = bl.export_onnx(net, tmp_path / "net.onnx")
    for result, words in ((net, "Dense(2, 'tanh')"), (report, "onnxruntime agrees on")):
        out = io.StringIO()
        Console(file=out, width=200).print(result)
        assert words in str(result)
        assert words in out.getvalue()
        assert html.escape(words) in result._repr_html_()
        assert "\n" not in repr(result)


def test_how_wide_a_page_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert page_width() == 100  # neither a terminal nor COLUMNS: a pipe
    for columns, width in (("80", 80), ("250", 100), ("7", 40)):
        monkeypatch.setenv("COLUMNS", columns)
        assert page_width() == width


def test_a_terminal_on_stderr_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    page = Page("words", [Words("many words " * 30)])
    for width, terminal, widest in ((70, True, 70), (70, False, 100), (180, True, 100)):
        out = io.StringIO()
        show(page, Console(file=out, width=width, force_terminal=terminal, color_system=None))
        assert widest - 11 < max(map(len, out.getvalue().splitlines())) <= widest


WIDE = Table(
    ["name", "one", "two", "three"],
    [["first", "1.00000", "2.00000", "3.00000"], ["second", "-1.0", "-2.0", Cell("-3.0", "bad")]],
    "lrrr",
)


def test_a_table_that_is_too_wide_goes_on_below_itself() -> None:
    assert Page("t", [WIDE]).text(40).splitlines()[1:] == [
        "  name        one      two    three",
        "  first   1.00000  2.00000  3.00000",
        "  second     -1.0     -2.0     -3.0",
    ]
    assert Page("t", [WIDE]).text(30).splitlines()[1:] == [
        "  name        one      two",
        "  first   1.00000  2.00000",
        "  second     -1.0     -2.0",
        "",
        "  name      three",
        "  first   3.00000",
        "  second     -3.0",
    ]
    tones = [cell.tone for line in Page("t", [WIDE]).lines(30) for cell in line if cell.text.strip() == "-3.0"]
    assert tones == ["bad"]


def test_columns_of_text_are_wrapped_before_a_table_is_parted() -> None:
    table = Table(["what", "why", "n"], [["a", "because it is so and not otherwise at all", "7"]], "llr", 0)
    assert Page("t", [table]).text(50).splitlines()[1:] == [
        "what  why                                        n",
        "a     because it is so and not otherwise at all  7",
    ]
    assert Page("t", [table]).text(40).splitlines()[1:] == [
        "what  why                              n",
        "a     because it is so and not         7",
        "      otherwise at all",
    ]
    both = Table(["one", "two"], [["a word of many " * 2, "another of many " * 2]], "ll", 0)
    assert Page("t", [both]).text(56).splitlines()[2].startswith("a word of many a word of many   another of many")
    assert Page("t", [Table(["", ""], [], "ll")]).text(40) == "t"


def test_a_heat_map_is_coloured_in_a_notebook() -> None:
    html = Page("t", [Table(["", "0"], [[Cell("0", "dim"), Cell("2", "bad")]], "rr", heat=True)]).html()
    assert "background:#f0aaa2" in html
    plain = Page("t", [Table(["", "0"], [[Cell("0", "dim"), Cell("2", "bad")]], "rr")]).html()
    assert "background" not in plain


# ── colours in a notebook ──────────────────────────────────────────────────────────────────────────────────


def luminance(colour: str) -> float:
    """Of #rrggbb or #rgb, as the Web Content Accessibility Guidelines have it."""
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_tone_is_readable_on_light_and_on_dark() -> None:
    tones = ("dim", "good", "fair", "poor", "bad")
    html = Page("t", [Words(tone, tone) for tone in tones]).html()
    style = html[: html.index("</style>")]
    assert style.count("[data-theme") == 2, "dark, and dark as the system is"
    for tone in tones:
        (light,) = set(re.findall(rf"color:var\(--backlit-{tone},(#\w+)\)", html))
        (dark,) = set(re.findall(rf"--backlit-{tone}:(#\w+)", style))
        # JupyterLab's grounds, of a cell and of an output on a stripe of a table
        assert min(contrast(light, ground) for ground in ("#ffffff", "#f5f5f5")) >= 4.5, tone
        assert min(contrast(dark, ground) for ground in ("#111111", "#212121")) >= 4.5, tone


def test_a_heat_map_has_dark_words_on_light_ground_everywhere() -> None:
    tones = ("good", "fair", "poor", "bad")
    html = Page("t", [Table(["", "0"], [["0", Cell("2", tone)] for tone in tones], "rr", heat=True)]).html()
    grounds = re.findall(r"background:(#\w+);color:#000", html)
    assert len(grounds) == len(tones)
    assert min(contrast(ground, "#000000") for ground in grounds) >= 4.5
