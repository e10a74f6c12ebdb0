"""The same rows in any file are the same table, and the two readers of text agree."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.cli import run
from backlit.data import delimited
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


def outcome(path: Path, header: bool, fast: bool) -> Any:
    try:
        frame = read_delimited(path, header=header, missing=["-1"], fast=fast)
    except BacklitError as error:
        return str(error)
    return frame.schema, frame.rows()


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=TABLES, header=st.booleans(), block=st.integers(1, 60))
def test_both_readers_give_the_same(tmp_path_factory: Any, text: str, header: bool, block: int) -> None:
    path = tmp_path_factory.getbasetemp() / "generated.csv"
    path.write_bytes(text.encode())
    before = delimited._BLOCK_BYTES
    delimited._BLOCK_BYTES = block  # type: ignore[misc]
    try:
        assert outcome(path, header, fast=True) == outcome(path, header, fast=False)
    finally:
        delimited._BLOCK_BYTES = before  # type: ignore[misc]


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
