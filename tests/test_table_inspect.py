"""`backlit inspect`: what is said of a file before anything is trained on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from backlit.cli import run
from backlit.data.survey import survey


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    n = 200
    x = rng.normal(size=n).round(3)
    pl.DataFrame(
        {
            "id": range(n),
            "x": x,
            "noise": rng.normal(size=n),
            "town": ["Oslo", "Oslo", "Rome", None] * (n // 4),
            "day": [f"2024-01-{1 + i % 28:02d}" for i in range(n)],
            "[red]\x1b[31m<script>": ["a", "b"] * (n // 2),
            "gone": pl.Series([None] * n, dtype=pl.String),
            "y": np.where(x > 0, "up", "down"),
            "z": 3 * x + 1,
        }
    ).write_csv("t.csv")
    return "t.csv"


def inspected(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any], str]:
    assert run(["inspect", *words, "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    return {column["name"]: column for column in found["columns"]}, found, captured.err


def test_each_column_is_told(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    columns, found, shown = inspected(capsys, file, "--target", "y")
    kinds = {name: column["kind"] for name, column in columns.items()}
    assert list(kinds.values()) == [
        "left out", "numeric", "numeric", "categorical", "date", "categorical", "empty", "categorical", "numeric",
    ]  # fmt: skip
    assert found["rows"] == 200
    assert columns["id"]["why"] == "it counts the rows"
    assert columns["town"]["missing"] == 0.25
    assert columns["town"]["holds"] == "Oslo 67 %, Rome 33 %"
    assert columns["town"]["histogram"] == [100, 50]
    assert columns["day"]["holds"] == "2024-01-01 to 2024-01-28"
    assert columns["y"]["why"] == "the target"
    assert sum(columns["x"]["histogram"]) == 200
    assert float(columns["x"]["association"].removeprefix("MI ")) > 0.5
    assert float(columns["noise"]["association"].removeprefix("MI ")) < 0.1
    assert any("'id' is left out" in remark for remark in found["remarks"])
    assert "\x1b[31m" not in shown
    assert "[red]\\x1b[31m<script>" in shown


def test_numbers_are_correlated_with_a_number(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    columns, _, _ = inspected(capsys, file, "--target", "z")
    assert columns["x"]["association"] == "r +1.00"
    assert columns["town"]["association"].startswith("MI ")


def test_without_a_target_and_with_kinds_decided(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    columns, _, _ = inspected(capsys, file, "--categorical", "day", "--numeric", "id")
    assert (columns["day"]["kind"], columns["day"]["why"]) == ("categorical", "--categorical")
    assert columns["id"]["kind"] == "numeric"
    assert all(column["association"] == "" for column in columns.values())


def test_the_page(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", file, "--html", "page.html"]) == 0
    html = Path("page.html").read_text()
    assert "<h1>t.csv: 200 rows, 9 columns</h1>" in html
    assert "[red]\\x1b[31m&lt;script&gt;" in html
    assert "[red]\\x1b[31m<script>" not in html
    assert run(["inspect", file, "--html", file]) == 2
    assert "choose another name" in capsys.readouterr().err
    assert run(["inspect", "nothing.csv"]) == 2
    assert capsys.readouterr().err == "backlit: there is no file nothing.csv\n"


def test_a_large_whole_number_is_written_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("w\n12285\n178356\n1484705\n2024\n0.125\n")
    columns, _, _ = inspected(capsys, "t.csv")
    assert columns["w"]["holds"] == "0.125 to 1,484,705, median 12,285"


def test_a_name_that_is_not_there_where_the_names_are_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t.csv").write_text("39,State-gov,<=50K\n50,Private,>50K\n38,Private,<=50K\n")
    assert run(["inspect", "t.csv", "--target", "income"]) == 2
    said = capsys.readouterr().err
    assert (
        "there is no column 'income': the first row looks like data ('39' is no name for a column): pass --no-header"
        in said
    )


@pytest.mark.parametrize(
    "values",
    [
        [1e308, -1e308, 0.0] * 8,
        [1.0, 1.0 + 2**-52] * 12,
        [1e15, 1e15 + 0.25] * 12,
        [5.0] * 24,
        [1e-320, 2e-320] * 12,
    ],
    ids=["a range beyond all numbers", "neighbours", "large neighbours", "one value", "next to nothing"],
)
def test_a_histogram_of_any_numbers(values: list[float]) -> None:
    facts = survey(pl.DataFrame({"x": values}), {"x": "numeric"}, {}, {})
    assert len(facts[0].histogram) == 12
    assert sum(facts[0].histogram) == 24


def test_infinities_are_in_no_bin() -> None:
    table = pl.DataFrame({"x": [np.inf, 1.0, 2.0, -np.inf], "y": [np.inf] * 4})
    facts = survey(table, {"x": "numeric", "y": "numeric"}, {}, {})
    assert facts[0].histogram == (1, *[0] * 10, 1)
    assert facts[1].histogram == (0,) * 12


def test_a_range_beyond_all_numbers_has_its_ends_in_the_outer_bins() -> None:
    facts = survey(pl.DataFrame({"x": [1e308, -1e308, -1e308]}), {"x": "numeric"}, {}, {})
    assert facts[0].histogram == (2, *[0] * 10, 1)


@pytest.mark.parametrize("target", ["name", "x"])
def test_what_stands_once_tells_nothing(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Classes of one row: scikit-learn's estimate would warn, or find no rows at all."""
    monkeypatch.chdir(tmp_path)
    names = [f"n{k}" for k in range(12)]
    pl.DataFrame({"x": [k * 0.37 for k in range(12)], "name": names}).write_csv("t.csv")
    columns, _, err = inspected(capsys, "t.csv", "--target", target)
    assert all(column["association"] == "" for column in columns.values())
    assert "unique classes" not in err
