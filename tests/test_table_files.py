"""The same rows in any file are the same table, and the two readers of text agree."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.cli import run
from backlit.data import blocks, delimited
from backlit.data.blocks import cut
from backlit.data.delimited import read_delimited
from backlit.data.tables import read_table
from backlit.data.values import canonical
from backlit.exceptions import BacklitError, TableError

JANUARY = datetime.datetime(2024, 1, 5)


def people(n: int = 40) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    day = datetime.date(2024, 1, 31)
    return pl.DataFrame(
        {
            "flag": [None if i % 7 == 0 else bool(i % 2) for i in range(n)],
            "size": rng.normal(size=n).round(3),
            "grade": [None if i % 5 == 0 else i % 3 for i in range(n)],
            "town": [["Oslo", "Rome, Italy", None, "São Paulo"][i % 4] for i in range(n)],
            "day": [day + datetime.timedelta(days=i * 3) for i in range(n)],
            "at": [datetime.datetime(2024, 1, 1) + datetime.timedelta(hours=i * 13) for i in range(n)],
            "big": [9_007_199_254_740_993 + i % 2 for i in range(n)],
        }
    )


def written(frame: pl.DataFrame, folder: Path) -> dict[str, Path]:
    """The table in every format."""
    paths = {s: folder / f"t.{s}" for s in ("csv", "tsv", "parquet", "feather", "arrow", "jsonl", "xlsx")}
    frame.write_csv(paths["csv"])
    frame.write_csv(paths["tsv"], separator="\t")
    frame.write_parquet(paths["parquet"])
    frame.write_ipc(paths["feather"])
    frame.write_ipc(paths["arrow"])
    frame.write_ndjson(paths["jsonl"])
    try:
        frame.with_columns(pl.col("big").cast(pl.String)).write_excel(paths["xlsx"])  # a sheet has floats alone
        import fastexcel  # noqa: F401
    except ImportError:
        del paths["xlsx"]
    return paths


def test_every_format_gives_the_same_table(tmp_path: Path) -> None:
    paths = written(people(), tmp_path)
    expected = read_table(paths["csv"])
    assert expected.row(1) == ("true", expected["size"][1], 1.0, "Rome, Italy", "2024-02-03",
                               "2024-01-01 13:00:00", "9007199254740994")  # fmt: skip
    for name, path in paths.items():
        assert read_table(path).equals(expected), name
        assert read_table(path).dtypes == expected.dtypes, name


def test_every_format_gives_the_same_bits_in_the_model(tmp_path: Path) -> None:
    models = {}
    for name, path in written(people(60), tmp_path).items():
        out = str(tmp_path / f"{name}.backlit")
        words = ["train", str(path), "--target", "flag", "--epochs", "3", "--categorical", "grade", "--out", out]
        assert run(words) == 0
        models[name] = bl.load(out)
    assert len(models) >= 6
    assert len({model.network.parameters.values.tobytes() for model in models.values()}) == 1
    assert len({str(model.preparation.categories) for model in models.values()}) == 1
    assert len({str(model.preparation.dates) for model in models.values()}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["True", "FALSE"], [True, False]),
        (["3", "4.0", "5"], [3.0, 4.0, 5.0]),
        (["9007199254740993", "9007199254740992"], [9007199254740993, 9007199254740992]),
        (["18446744073709551615", "1"], pl.Series([18446744073709551615, 1], dtype=pl.UInt64)),
        (["2024-01-05 00:00:00", "2024-01-06T10:30"], [JANUARY, JANUARY + datetime.timedelta(days=1, hours=10.5)]),
        (["0.10", "1e3"], [0.1, 1000.0]),
    ],
)  # fmt: skip
def test_one_text_for_a_value(tmp_path: Path, one: list[str], other: Any) -> None:
    (tmp_path / "t.csv").write_text("a,b\n" + "".join(f"{text},1\n" for text in one))
    pl.DataFrame({"a": other, "b": [1] * len(one)}).write_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.csv").equals(read_table(tmp_path / "t.parquet"))


def test_a_date_out_of_all_calendars(tmp_path: Path) -> None:
    days = pl.Series("d", [0, 2**31 - 1], dtype=pl.Int32).cast(pl.Date)
    pl.DataFrame([days]).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match="column 'd' holds a date out of all calendars in row 2"):
        read_table(tmp_path / "t.parquet")


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(TableError, match="is a pipe or a device"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("text", "options", "rows"),
    [
        ("a;b\n1,5;x\n2,25;y\n", {}, [(1.5, "x"), (2.25, "y")]),
        ("1,5;2,5;x\n3,5;4,5;y\n", {"header": False}, [(1.5, 2.5, "x"), (3.5, 4.5, "y")]),
        ('"name, first";b\n"Ann, A";1\n', {}, [("Ann, A", 1.0)]),
        ("a|b\n1|2\n", {}, [(1.0, 2.0)]),
        ("a b\n1   2\n 3 4 \n", {}, [(1.0, 2.0), (3.0, 4.0)]),
        ("a,b\n1;2,3\n1,4\n", {}, [("1;2", 3.0), ("1", 4.0)]),
        ("a;b\n1.234,50;2\n1,5;3\n", {}, [(1234.5, 2.0), (1.5, 3.0)]),
        ('a,b\n"1,234.50",2\n"2,5",3\n', {"decimal": "."}, [("1,234.50", 2.0), ("2,5", 3.0)]),
        ("a;b\n1,5;2\n", {"delimiter": ","}, None),
        ("a;b\n1,500;2\n", {"decimal": ","}, [(1.5, 2.0)]),
    ],
)
def test_separators_and_decimals(tmp_path: Path, text: str, options: dict[str, Any], rows: Any) -> None:
    (tmp_path / "t.csv").write_text(text)
    if rows is None:
        with pytest.raises(TableError, match="line 2 has 2 fields where the first row has 1"):
            read_table(tmp_path / "t.csv", **options)
    else:
        assert read_table(tmp_path / "t.csv", **options).rows() == rows


def test_canonical_texts_stay_as_they_are() -> None:
    texts = pl.Series(["3.0", "1e3", "007", "TRUE", "2024-01-05T00:00:00Z", "2024-13-01", "1.10", "x", None, "-0"])
    once = canonical(texts)
    assert once.to_list() == ["3", "1000", "007", "true", "2024-01-05", "2024-13-01", "1.1", "x", None, "0"]
    assert canonical(once).equals(once)


# ── the two readers ──────────────────────────────────────────────────────────────────────────────────────────

FIELDS = st.one_of(
    st.integers(-10, 10**17).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(["", " ", "NA", "?", "007", "-0", "1.50", "1e5", "True", "false", "2024-01-05", "é", "x y", "+5"]),
    st.sampled_from(
        ["$5", "1,5", "٣", "\t", "'", "nan", "inf", '"x"', '"a,b"', '"a""b"', 'a"b', ' "x"', '"x" ', "'x'"]
    ),
    st.just('"1\n2"'),
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
)
TABLES = st.builds(
    lambda rows, sign, end, mark, last: mark + end.join(sign.join(row) for row in rows) + (end if last else ""),
    st.one_of(
        st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(FIELDS, min_size=width, max_size=width), max_size=8)),
        st.lists(st.lists(st.sampled_from(["1", "x", ""]), min_size=2, max_size=3), max_size=5),  # ragged
    ),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    st.sampled_from(["", "\ufeff"]),
    st.booleans(),
)


NUMBERS = st.one_of(
    st.integers(-10, 10**17).map(str),
    st.floats().map(str),
    st.floats(-1e6, 1e6).map(lambda number: f"{number:.3f}"),
    st.sampled_from(["0", "-0.0", "+5", ".5", "5.", "1e5", "1E-3", "0.10", "00", "-007", "+01", " 08", "1e400", "-1"]),
    st.sampled_from(
        ["", " ", "NA", " ?", "nan", "-nan", "inf", "x", '"12"', '""', "$5", "1_0", "0x1", "1 0", "9" * 400]
    ),
)
# Columns of numbers for the most part, beside one of texts that may begin like codes.
NUMERIC = st.builds(
    lambda rows, sign: "".join(sign.join(row) + "\n" for row in rows),
    st.lists(
        st.tuples(st.integers(-99, 99).map(str), NUMBERS, st.sampled_from(["007", "x", "", '"a 01"', "0"])), min_size=3
    ),
    st.sampled_from([",", ";", "\t", "|"]),
)


def outcome(path: Path, header: bool, fast: bool) -> Any:
    try:
        frame = read_delimited(path, header=header, missing=["-1"], fast=fast)
    except BacklitError as error:
        return str(error)
    return frame.schema, frame.rows()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.one_of(TABLES, NUMERIC), header=st.booleans(), first=st.integers(1, 30), block=st.integers(1, 60))
def test_both_readers_give_the_same(tmp_path_factory: Any, text: str, header: bool, first: int, block: int) -> None:
    path = tmp_path_factory.getbasetemp() / "generated.csv"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_FIRST_BYTES", first)
        patch.setattr(delimited, "_BLOCK_BYTES", block)
        assert outcome(path, header, fast=True) == outcome(path, header, fast=False)


@pytest.mark.parametrize(
    ("lines", "kinds"),
    [
        ("1,x\n2.5,\n,y\n", "NT"),
        ('"1",2\n', "NN"),
        ("1,007\n2,+01\n", "NT"),  # codes in a column of texts
        ('1,"a 01, 02"\n', "NT"),
        ("007,x\n1,y\n", "TT"),
        ("-007,x\n", "TT"),
        (" 08,x\n", "TT"),
        ("1,x\n00,007\n", "TT"),
        ("nan,x\n", "TT"),
        ("1e400,x\n", "TT"),
        ("9007199254740992,x\n", "TT"),
        ("9007199254740991,x\n", "NT"),
        ("NA,x\n1,y\n", "NT"),
        ("N/A,x\n1,y\n", "TT"),
        ("0.05,x\n-0.0,0\n10,00.5\n", "NT"),
    ],
)
def test_what_is_read_straight_as_numbers(lines: str, kinds: str) -> None:
    frame = cut(lines.encode(), ",", 2, {i for i in range(2) if kinds == "NN" or i == 0}, ["NA"])
    assert frame is not None
    assert "".join("N" if kind == pl.Float64 else "T" for kind in frame.dtypes) == kinds


def test_codes_at_every_place_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_PIECE", 5)
    for before in range(12):
        for code in ("007", "-01", "+00"):
            assert blocks._codes(b"1" * before + b"," * bool(before) + code.encode() + b",5", b",") == 1
            assert blocks._codes(b"1" * before + b"." + code[-2:].encode() + b",5", b",") == 0


def test_a_first_row_of_gaps_between_tabs_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("\n \n\t\n1\t2\n")
    for fast in (True, False):
        frame = read_delimited(tmp_path / "t.tsv", header=False, missing=[], delimiter="\t", fast=fast)
        assert frame.rows() == [(None, None), (1.0, 2.0)]


def test_a_field_longer_than_the_csv_module_takes_is_refused_among_numbers_too(tmp_path: Path) -> None:
    text = "a,b\n" + "1,2\n" * 40_000
    (tmp_path / "t.csv").write_text(text + f"1,0.{'1' * 140_000}\n")
    for fast in (True, False):
        with pytest.raises(TableError, match=r"line 40002 cannot be split into fields \(field larger than field limit"):
            read_delimited(tmp_path / "t.csv", header=True, missing=[], fast=fast)


def test_columns_of_numbers_are_read_without_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(delimited, "_FIRST_BYTES", 8)
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 8)
    monkeypatch.setattr(delimited, "cut", lambda *words: seen.append(cut(*words)) or seen[-1])
    (tmp_path / "t.csv").write_text("a,b,c\n1,NA,x\n" + "2,3,007\n4,,y\n" * 3 + "5,?,z\n" + "six,7,u\n" + "8,9,v\n" * 3)
    frame = read_delimited(tmp_path / "t.csv", header=True, missing=[])
    assert frame.row(-4) == ("six", 7.0, "u")
    assert [str(part.dtypes.count(pl.Float64)) for part in seen[1:]] == list("022201")


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=80), suffix=st.sampled_from(["csv", "tsv", "parquet", "feather", "jsonl", "npz"]))
def test_any_bytes_are_a_table_or_an_error_of_ours(tmp_path_factory: Any, data: bytes, suffix: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"bytes.{suffix}"
    path.write_bytes(data)
    try:
        said = str(read_table(path).width)
    except BacklitError as error:
        said = str(error)
    assert "\n" not in said


def test_what_an_excel_reader_remarks_stays_out_of_sight(tmp_path: Path) -> None:
    """A column of nothing makes fastexcel log that it falls back to text: with no handler, Python would print it."""
    pytest.importorskip("xlsxwriter", reason="writing .xlsx files needs xlsxwriter")
    pytest.importorskip("fastexcel", reason="reading .xlsx files needs backlit[excel]")
    pl.DataFrame({"x": [1.0, 2.0], "gone": pl.Series([None, None], dtype=pl.Float64)}).write_excel(tmp_path / "t.xlsx")
    program = f"from backlit.data.tables import read_table; print(read_table({str(tmp_path / 't.xlsx')!r}).height)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("2\n", "")
