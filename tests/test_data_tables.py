"""Tables as people have them: reading, kinds of columns, targets, labels."""

from __future__ import annotations

import datetime
import io
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from backlit.data import columns, delimited
from backlit.data.arrays import read_arrays
from backlit.data.columns import find_kinds, looks_like_data, resolve_column, typed
from backlit.data.tables import read_parquet, read_table, read_text
from backlit.data.targets import match_labels, target_column
from backlit.exceptions import (
    BacklitError,
    ConfigurationError,
    FileMissingError,
    LabelError,
    NonFiniteError,
    ShapeError,
    TableError,
)

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "tables"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the real tables are not at {REAL}")

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str | bytes, name: str = "t.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


# --- text files -------------------------------------------------------------------------------------


def test_blanks_quotes_and_missing_values(write: Write) -> None:
    frame = read_text(write('\ufeff\n name ,"home town", x\n Ann , "Rio, Brazil" , 1\n\n   \nBob, ?,NaN\n\n'))
    assert frame.columns == ["name", "home town", "x"]
    assert frame.rows() == [("Ann", "Rio, Brazil", 1.0), ("Bob", None, None)]
    assert frame.dtypes == [pl.String, pl.String, pl.Float64]


@pytest.mark.parametrize("text", ["", "NA", "NaN", "nan", "NAN", "null", "NULL", "Null", "?", " ? ", '"NA"'])
def test_missing_texts(write: Write, text: str) -> None:
    assert read_text(write(f"a,b\n{text},1\n")).rows() == [(None, 1.0)]


@pytest.mark.parametrize("text", ["Na", "na", "none", "N/A", "-999"])
def test_other_texts_are_missing_only_when_said(write: Write, text: str) -> None:
    path = write(f"a,b\n{text},1\n")
    assert read_text(path).rows() == [(-999.0 if text == "-999" else text, 1.0)]
    assert read_text(path, missing=[text]).rows() == [(None, 1.0)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "a;b\n1;x,y\n"),
        ("t.csv", "a\tb\n1\tx,y\n"),
        ("t.tsv", "a\tb\n1\tx,y\n"),
        ("T.TSV", "a\tb\n1\tx,y"),
    ],
)
def test_other_delimiters(write: Write, name: str, text: str) -> None:
    assert read_text(write(text, name)).rows(named=True) == [{"a": 1.0, "b": "x,y"}]


def test_single_quotes_everywhere_are_quotes(write: Write) -> None:
    frame = read_text(write("age,what,n\n'40-49','it''s, so',3\n'50-59',?,'4'\n"))
    assert frame.rows() == [("40-49", "it's, so", 3.0), ("50-59", None, 4.0)]


def test_single_quotes_here_and_there_are_text(write: Write) -> None:
    assert read_text(write("a,b\n'40',x\n'50','y'\n")).rows() == [("'40'", "x"), ("'50'", "'y'")]


def test_line_ends_inside_quotes(write: Write) -> None:
    assert read_text(write('a,b\r\n"1\r\n2",3\r\n')).rows() == [("1\r\n2", 3.0)]


def test_without_header_and_without_names(write: Write) -> None:
    path = write(",x,\n1,2,3\n")
    assert read_text(path).columns == ["c0", "x", "c2"]
    assert read_text(path, header=False).columns == ["c0", "c1", "c2"]
    assert read_text(path, header=False).height == 2


def test_chunks_make_one_table(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "_CHUNK_FIELDS", 6)
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 20)
    rows = [(float(i), float(-i)) for i in range(10)]
    text = "a,b\n" + "".join(f"{a:g},{b:g}\n" for a, b in rows)
    assert read_text(write(text)).rows() == rows
    # the csv module goes on from the line that polars cannot split
    assert read_text(write(text + '11, "12"\n')).rows() == [*rows, (11.0, 12.0)]
    with pytest.raises(TableError, match="line 13 has 1 field where the first row has 2"):
        read_text(write(text + '11, "12"\n7\n'))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n\n3\n", r"line 4 has 1 field where the first row has 2"),
        ("a,b\n1,2\n3,4,5\n", r"line 3 has 3 fields where the first row has 2"),
        ('a,b\n1,2\n"3\n4"\n5,6\n', r"the row on lines 3 to 4 has 1 field"),
        ('a,b\n1,2\n3,"4\n5,6\n', r'ends inside a quoted value: the quote \("\) opened on line 3'),
        ("a,b,a\n1,2,3\n", r"two columns named 'a', numbers 0 and 2 .* pass --no-header"),
        ("", r"is empty"),
        ("\n  \n", r"is empty"),
        ("a,b\n", r"has a header and no rows"),
        (b"a,b\n1,\xe9\n", r"not UTF-8 text \(byte 0xe9\): save it as UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), r"is UTF-16 text: save it as UTF-8"),
        (b"\x89PNG\r\n\x1a\n rest", r"is not a text file"),
        (b"a,b\n1,\x002\n", r"is not a text file"),
        (b"a,b\n" + b"1,2\n" * 20_000 + b"\x00,2\n", r"line 20002 holds a NUL byte"),
        ('a,b\n1,"' + "x" * 200_000 + '"\n', r"line 2 cannot be split into fields \(field larger"),
    ],
)
def test_text_that_is_no_table(write: Write, text: str | bytes, says: str) -> None:
    with pytest.raises(TableError, match=says) as caught:
        read_text(write(text))
    assert "\n" not in str(caught.value)


def test_paths_that_are_no_table(tmp_path: Path, write: Write) -> None:
    with pytest.raises(FileMissingError, match=r"there is no file .*none\.csv"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(TableError, match=r"is a folder.*\.csv, \.tsv.*\.parquet.*\.xlsx, \.npz"):
        read_table(tmp_path)
    with pytest.raises(TableError, match=r"\.csv, \.tsv.*received the suffix '\.docx'"):
        read_table(write("a", "t.docx"))
    with pytest.raises(TableError, match=r"received the suffix '\.npz'"):
        read_text(write("a", "t.npz"))


def test_unreadable_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("a,b\n1,2\n")

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(TableError, match="cannot be read: Permission denied"):
        read_text(path)
    monkeypatch.setattr(delimited, "read_head", lambda path: ["a,b"])
    with pytest.raises(TableError, match="cannot be read: Permission denied"):
        read_text(path)


# --- Parquet ----------------------------------------------------------------------------------------


def test_parquet_types(tmp_path: Path) -> None:
    path = tmp_path / "t[1].parquet"
    pl.DataFrame(
        {
            " i ": [1, -999, None],
            "f": [0.5, float("nan"), 2.0],
            "b": [True, False, None],
            "s": [" x ", "?", "-999"],
            "c": pl.Series(["u", "v", None], dtype=pl.Categorical),
            "d": [datetime.date(2020, 1, 2)] * 3,
            "n": pl.Series([None, None, None], dtype=pl.Null),
        }
    ).write_parquet(path)
    frame = read_table(path, missing=["-999"])
    assert frame.to_dict(as_series=False) == {
        "i": [1.0, None, None],
        "f": [0.5, None, 2.0],
        "b": ["true", "false", None],
        "s": ["x", None, None],
        "c": ["u", "v", None],
        "d": ["2020-01-02"] * 3,
        "n": [None] * 3,
    }
    assert frame.dtypes[:2] == [pl.Float64, pl.Float64]
    assert set(frame.dtypes[2:]) == {pl.String}


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pl.Series("x", [[1], [2]]), r"column 'x' holds List"),
        (pl.Series("x", [datetime.timedelta(1)] * 2), r"column 'x' holds Duration"),
        (pl.Series("x", [b"\xff", b"a"]), r"column 'x' holds Binary that is no text"),
        (pl.Series("x", [], dtype=pl.Int64), r"has no rows"),
    ],
)
def test_parquet_columns_that_are_refused(tmp_path: Path, column: pl.Series, says: str) -> None:
    pl.DataFrame([column]).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(TableError, match=says):
        read_parquet(tmp_path / "t.parquet")


def test_damaged_parquet(write: Write) -> None:
    whole = io.BytesIO()
    pl.DataFrame({"a": range(100), "b": [str(i) for i in range(100)]}).write_parquet(whole)
    raw = whole.getvalue()
    for end in range(0, len(raw), 97):
        with pytest.raises(TableError, match="is not a Parquet file, or is damaged"):
            read_parquet(write(raw[:end], "t.parquet"))


# --- .npz -------------------------------------------------------------------------------------------


def test_arrays(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez_compressed(path, X=np.arange(24, dtype=np.uint8).reshape(4, 2, 3), y=np.array([[0], [1], [0], [1]]))
    X, y = read_arrays(path)
    assert X.dtype == np.uint8
    np.testing.assert_array_equal(X, np.arange(24).reshape(4, 6))
    np.testing.assert_array_equal(y, [0, 1, 0, 1])
    frame = read_table(path)
    assert frame.columns == ["c0", "c1", "c2", "c3", "c4", "c5", "y"]
    assert frame.row(1) == (6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 1.0)


def test_arrays_without_y_are_a_table_but_not_a_pair(tmp_path: Path) -> None:
    path = tmp_path / "t.npz"
    np.savez(path, X=np.ones((2, 2)))
    assert read_table(path).columns == ["c0", "c1"]
    with pytest.raises(TableError, match="lacks the array 'y'"):
        read_arrays(path)


@pytest.mark.parametrize(
    ("arrays", "error", "says"),
    [
        (
            {"x": np.ones((2, 2)), "labels": np.ones(2)},
            TableError,
            r"lacks the array 'X': it holds 'x', 'labels'",
        ),
        ({"X": np.ones(2), "y": np.ones(2)}, ShapeError, r"received shape \(2,\)"),
        ({"X": np.ones((0, 2)), "y": np.ones(0)}, ShapeError, r"at least one row .* received shape \(0, 2\)"),
        (
            {"X": np.array([["a"]]), "y": np.ones(1)},
            TableError,
            r"X .* must hold numbers, received dtype <U1",
        ),
        ({"X": np.ones((2, 2)), "y": np.ones(3)}, ShapeError, r"as many rows, received 2 and 3"),
        ({"X": np.ones((2, 2)), "y": np.ones((2, 1, 1))}, ShapeError, r"y .* received shape \(2, 1, 1\)"),
        ({"X": np.ones((2, 2)), "y": np.ones(2, complex)}, TableError, r"y .* received dtype complex128"),
        ({"X": [[1, 2], [3, np.nan]], "y": [0, 1]}, NonFiniteError, r"X .* holds nan in row 2, column c1"),
        ({"X": [[1, 2], [3, 4]], "y": [np.inf, 1]}, NonFiniteError, r"y .* holds inf in row 1"),
        ({"X": np.array([[1, "a"]], object), "y": [0]}, TableError, r"X .* is an array of Python objects"),
    ],
)
def test_arrays_that_are_refused(tmp_path: Path, arrays: dict[str, Any], error: type[BacklitError], says: str) -> None:
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(error, match=says):
        read_arrays(tmp_path / "t.npz")


def test_two_target_columns_are_no_table(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", X=np.ones((2, 2)), y=np.ones((2, 2)))
    assert read_arrays(tmp_path / "t.npz")[1].shape == (2, 2)
    with pytest.raises(ShapeError, match=r"must be one column in a table, received shape \(2, 2\)"):
        read_table(tmp_path / "t.npz")


def test_damaged_npz(write: Write, tmp_path: Path) -> None:
    whole = io.BytesIO()
    np.savez_compressed(whole, X=np.random.default_rng(0).normal(size=(20, 3)), y=np.arange(20))
    raw = whole.getvalue()
    for end in range(0, len(raw), 41):
        with pytest.raises(TableError, match=r"is not a \.npz file, or is damaged"):
            read_arrays(write(raw[:end], "t.npz"))
    with pytest.raises(FileMissingError, match="there is no file"):
        read_arrays(tmp_path / "none.npz")
    lone = io.BytesIO()
    np.save(lone, np.ones((2, 2)))
    with pytest.raises(TableError, match=r"holds one array without a name"):
        read_arrays(write(lone.getvalue(), "t.npz"))


def test_flipped_bytes_in_npz_are_an_error_of_ours_or_no_error(write: Write) -> None:
    whole = io.BytesIO()
    np.savez(whole, X=np.random.default_rng(0).normal(size=(20, 3)), y=np.arange(20))
    raw, dice, refused = whole.getvalue(), random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(raw)
        damaged[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        try:
            read_arrays(write(bytes(damaged), "t.npz"))
        except BacklitError:
            refused += 1
    assert refused > 200  # the zip format guards the arrays with checksums


# --- kinds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2.5", "+3", "1e-3", ".5", "4."], "numeric"),
        ([None, "1"], "numeric"),
        ([1.0, None], "numeric"),
        (["0", "0.5", "-0.5", "10"], "numeric"),
        (["02208", "11300"], "categorical"),
        (["00000", "1"], "categorical"),
        (["a", "b", None], "categorical"),
        (["0", "1", "2", "3+"], "categorical"),
        (["1_0", "2"], "categorical"),
        (["flu", "inf"], "categorical"),
        ([None, None], "empty"),
    ],
)
def test_kind_by_content(values: list[Any], kind: str) -> None:
    assert find_kinds(pl.DataFrame({"x": values})) == {"x": kind}


NUMBERS = [str(i) for i in range(30)]


def test_mostly_numbers_with_text() -> None:
    with pytest.raises(TableError, match=r"'x' is mostly numbers, but row 31 holds 'none': pass --missing 'none'"):
        find_kinds(pl.DataFrame({"x": [*NUMBERS, "none"]}))
    assert find_kinds(pl.DataFrame({"x": [*NUMBERS, "none"]}), categorical=["x"]) == {"x": "categorical"}
    few = NUMBERS[: columns.FEW_VALUES - 1]
    assert find_kinds(pl.DataFrame({"x": [*few, None, "none"]})) == {"x": "categorical"}
    # Half numbers are not "mostly".
    assert find_kinds(pl.DataFrame({"x": NUMBERS + ["none"] * 30})) == {"x": "categorical"}


def test_overrides() -> None:
    frame = pl.DataFrame({"zip": ["01", "02"], "n": ["1", "2"], "s": ["a", "1"]})
    assert find_kinds(frame, numeric=[0], categorical=["-2"]) == {
        "zip": "numeric",
        "n": "categorical",
        "s": "categorical",
    }
    with pytest.raises(TableError, match=r"'s' should hold numbers, received 'a' in row 1"):
        find_kinds(frame, numeric=["s"])
    with pytest.raises(ConfigurationError, match=r"'n' is said to be both"):
        find_kinds(frame, numeric=["n"], categorical=[1])
    with pytest.raises(TableError, match=r"there is no column 'zipp': did you mean 'zip'"):
        find_kinds(frame, numeric=["zipp"])


@pytest.mark.parametrize("values", [["1", "inf"], ["1", "-Infinity"], ["1", "1e999"], [1.0, float("inf")]])
def test_infinity_is_refused(values: list[Any]) -> None:
    frame = pl.DataFrame({"x": values})
    with pytest.raises(NonFiniteError, match=r"'x' holds an infinity \(.*\) in row 2: .*--missing"):
        find_kinds(frame)
    with pytest.raises(NonFiniteError, match=r"'x' holds an infinity \(.*\) in row 2: .*--missing"):
        typed(frame, {"x": "numeric"})


def test_numbers_with_commas_are_refused() -> None:
    with pytest.raises(TableError, match=r"'x' holds numbers written with commas \('1,5' in row 2\): pass --decimal ,"):
        find_kinds(pl.DataFrame({"x": ["2", "1,5", "2,25"]}))


def test_typed() -> None:
    frame = pl.DataFrame({"extra": ["?"], "b": ["2"], "a": [None], "c": [3.0], "d": [0.25], "gone": [None]})
    result = typed(
        frame.cast({"a": pl.String}),
        {"a": "numeric", "b": "numeric", "c": "categorical", "d": "categorical", "gone": "empty"},
    )
    assert result.columns == ["a", "b", "c", "d"]
    assert result.dtypes == [pl.Float64, pl.Float64, pl.String, pl.String]
    assert np.isnan(result["a"][0])
    assert result.row(0)[1:] == (2.0, "3", "0.25")
    assert typed(pl.DataFrame({"c": [None, "x"]}), {"c": "categorical"})["c"].to_list() == [None, "x"]
    # NaN in a column of floats is a missing value there too.
    assert np.isnan(typed(pl.DataFrame({"c": [float("nan")]}), {"c": "numeric"})["c"][0])


def test_typed_names_what_is_lacking_or_wrong() -> None:
    frame = pl.DataFrame({"a": ["1", None, "x"]})
    with pytest.raises(TableError, match=r"lacks the columns 'b', 'c': it has 'a'"):
        typed(frame, {"b": "numeric", "a": "numeric", "c": "categorical"})
    with pytest.raises(TableError, match=r"column 'a' should hold numbers, received 'x' in row 3"):
        typed(frame, {"a": "numeric"})
    wide = pl.DataFrame({f"p{i}": ["1"] for i in range(40)})
    with pytest.raises(TableError, match=r"lacks the column 'q': it has 40 columns, 'p0' to 'p39'"):
        typed(wide, {"q": "numeric"})


def test_resolve_column() -> None:
    names = ["7", "age", "class"]
    assert [resolve_column(names, w) for w in ("age", " age ", "7", "0", "-1", 1, -3)] == [
        "age",
        "age",
        "7",
        "7",
        "class",
        "age",
        "7",
    ]
    with pytest.raises(TableError, match=r"no column number 3: the table has 3 columns, 0 to 2 or -3 to -1"):
        resolve_column(names, "3")
    with pytest.raises(TableError, match=r"there is no column 'clas': did you mean 'class'"):
        resolve_column(names, "clas")
    with pytest.raises(TableError, match=r"no column 'target': the table has 784 columns, 'c0' to 'c783'"):
        resolve_column([f"c{i}" for i in range(784)], "target")


def test_a_first_row_that_looks_like_data() -> None:
    assert "'?' is no name" in (looks_like_data(["a", "?"]) or "")
    assert "pass --no-header" in (looks_like_data(["M", "0.455"]) or "")
    assert looks_like_data(["age", "c0", "x1"]) is None
    assert looks_like_data([*map(str, range(784)), "label"]) is None
    frame = pl.DataFrame({"sunny": ["rain", "sunny"], "n": ["1", "2"]})
    assert looks_like_data(frame.columns) is None
    assert "'sunny' is no name" in (looks_like_data(frame.columns, frame) or "")


# --- targets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "asked", "task", "values"),
    [
        (["a", "b", "a"], "auto", "classification", ["a", "b", "a"]),
        (["1", "2.0", "1"], "auto", "classification", [1, 2, 1]),
        ([1.0, 2.0, 1.0], "auto", "classification", [1, 2, 1]),
        (["007", "1", "1"], "auto", "classification", ["007", "1", "1"]),
        (["1", "x", "1"], "auto", "classification", ["1", "x", "1"]),
        (["0.5", "1.5", "1"], "auto", "regression", [0.5, 1.5, 1.0]),
        (["0.5", "1.5", "1"], "classification", "classification", ["0.5", "1.5", "1"]),
        ([0.5, 1.0, 1.0], "classification", "classification", ["0.5", "1", "1"]),
        (["1", "2", "1"], "regression", "regression", [1.0, 2.0, 1.0]),
        ([str(i) for i in range(21)], "auto", "regression", [float(i) for i in range(21)]),
        ([str(i) for i in range(20)], "auto", "classification", list(range(20))),
    ],
)
def test_target(given: list[Any], asked: Any, task: str, values: list[Any]) -> None:
    found, decided, keep, remarks = target_column(pl.DataFrame({"y": given}), "y", asked)
    assert decided == task
    assert found.tolist() == values
    assert [type(v) for v in found.tolist()] == [type(v) for v in values]
    assert keep.dtype == bool
    assert keep.all()
    assert len(remarks) == (asked == "auto")
    assert all(task in remark for remark in remarks)


@pytest.mark.parametrize("column", [["1", None, "2"], [1.0, None, 2.0], [1.0, float("nan"), 2.0]])
def test_rows_without_target_are_left_out(column: list[Any]) -> None:
    values, _, keep, remarks = target_column(pl.DataFrame({"y": column}), "y", "regression")
    assert values.tolist() == [1.0, 2.0]
    assert keep.tolist() == [True, False, True]
    assert remarks == ["1 of 3 rows has no target ('y') and is left out"]


@pytest.mark.parametrize(
    ("given", "task", "error", "says"),
    [
        ([None, "1", "x"], "regression", TableError, r"'y' should hold numbers, received 'x' in row 3"),
        ([None, "1", "inf"], "auto", NonFiniteError, r"'y' holds an infinity \(inf\) in row 3"),
        ([None, "1", "inf"], "regression", NonFiniteError, r"in row 3"),
        ([1.0, 2.0, float("inf")], "classification", NonFiniteError, r"in row 3"),
        ([None, *NUMBERS, "x"], "auto", TableError, r"row 32 holds 'x': .* --task classification if"),
        (["a", "a"], "auto", LabelError, r"'y' has the one value a in all 2 rows"),
        (["2", "2"], "regression", LabelError, r"'y' has the one value 2.0 in all 2 rows"),
        (["2", "3"], "guess", ConfigurationError, r"received 'guess'"),
    ],
)
def test_targets_that_are_refused(given: list[Any], task: Any, error: type[BacklitError], says: str) -> None:
    with pytest.raises(error, match=says):
        target_column(pl.DataFrame({"y": given}), "y", task)


def test_target_without_values_or_column() -> None:
    frame = pl.DataFrame({"y": pl.Series([None, None], dtype=pl.String)})
    with pytest.raises(TableError, match=r"'y' has no value in any row"):
        target_column(frame, "y", "auto")
    with pytest.raises(TableError, match=r"there is no column 'z'"):
        target_column(frame, "z", "auto")


def test_one_value_is_enough_to_evaluate() -> None:
    values = target_column(pl.DataFrame({"y": ["a", "a"]}), "y", "classification", allow_single=True)[0]
    assert values.tolist() == ["a", "a"]


def test_match_labels() -> None:
    assert match_labels(["b", "a", "b"], np.array(["a", "b"])).tolist() == ["b", "a", "b"]
    for same in (["1", "0"], [1, 0], [1.0, 0.0], ["1.0", "0"]):
        matched = match_labels(same, np.array([0, 1]))
        assert matched.tolist() == [1, 0]
        assert matched.dtype.kind == "i"
    assert match_labels([1.0, 2.0], np.array(["1", "2"])).tolist() == ["1", "2"]
    assert match_labels([], np.array(["1", "2"])).tolist() == []


def test_labels_that_do_not_match() -> None:
    classes = np.array(["<=50K", ">50K"])
    with pytest.raises(LabelError, match=r"row 2 has the label '>50k\.', .* from '>50K' only .* --loose-labels"):
        match_labels([">50K", ">50k.", "other"], classes)
    with pytest.raises(LabelError, match=r"row 8 has the label 'other', .* known are '<=50K', '>50K'"):
        match_labels([">50K", "other"], classes, rows=[3, 7])
    assert match_labels([" > 50k.", "<=50K"], classes, loose=True).tolist() == [">50K", "<=50K"]
    with pytest.raises(LabelError, match=r"row 1 has the label 'other'"):
        match_labels(["other"], classes, loose=True)
    with pytest.raises(LabelError, match=r"row 1 has the label '3'"):
        match_labels([3], np.array([0, 1]))
    # "Yes." could be either of two classes that differ by case alone.
    with pytest.raises(LabelError, match=r"row 1 has the label 'Yes\.'"):
        match_labels(["Yes."], np.array(["yes", "YES"]), loose=True)
    with pytest.raises(ShapeError, match=r"received shape \(1, 1\)"):
        match_labels([["a"]], classes)


# --- the real tables --------------------------------------------------------------------------------

C, N = "categorical", "numeric"
SHAPES = {
    "abalone.csv": (4177, 9),
    "adult-test.csv": (16281, 15),
    "adult-train.csv": (32561, 15),
    "breast-cancer.csv": (286, 10),
    "german.csv": (1000, 21),
    "horse-colic.csv": (300, 28),
    "phoneme.csv": (5404, 6),
    "pima-indians-diabetes.csv": (768, 9),
    "winequality-white.csv": (4898, 12),
}


@needs_real
@pytest.mark.parametrize("name", SHAPES)
def test_real_table_as_it_stands(name: str) -> None:
    frame = read_table(REAL / name, header=False)
    assert frame.shape == SHAPES[name]
    kinds = find_kinds(frame)
    result = typed(frame, kinds)
    assert result.columns == frame.columns
    # Nothing is lost on the way to numbers: as many values are missing after as before.
    for column in result.get_columns():
        gone = column.is_nan().sum() if kinds[column.name] == "numeric" else column.null_count()
        assert gone == frame[column.name].null_count()


@needs_real
@pytest.mark.parametrize("name", SHAPES)
def test_real_table_read_with_a_header_is_remarked_on(name: str) -> None:
    try:
        frame = read_table(REAL / name)
    except TableError as error:
        remark: str | None = str(error)
    else:
        remark = looks_like_data(frame.columns)
    assert remark is not None
    assert "--no-header" in remark


@needs_real
def test_adult() -> None:
    train = read_table(REAL / "adult-train.csv", header=False)
    kinds = find_kinds(train)
    assert [name for name in kinds if kinds[name] == "numeric"] == ["c0", "c2", "c4", "c10", "c11", "c12"]
    raw = (REAL / "adult-train.csv").read_text()
    assert train["c1"].null_count() == len(re.findall(r"^\d+, \?,", raw, re.MULTILINE))
    assert train["c1"].null_count() > 0
    classes = np.unique(target_column(train, "c14", "auto")[0])
    assert classes.tolist() == ["<=50K", ">50K"]
    test = read_table(REAL / "adult-test.csv", header=False)
    labels = target_column(test, "c14", "auto")[0]
    with pytest.raises(LabelError, match=r"row 1 has the label '<=50K\.', .* from '<=50K' .* --loose-labels"):
        match_labels(labels, classes)
    assert np.unique(match_labels(labels, classes, loose=True)).tolist() == classes.tolist()


@needs_real
def test_horse_colic() -> None:
    frame = read_table(REAL / "horse-colic.csv", header=False)
    kinds = find_kinds(frame)
    assert [name for name in kinds if kinds[name] == "categorical"] == ["c24", "c25", "c26"]
    assert frame["c24"][1] == "02208"
    values, task, keep, remarks = target_column(frame, resolve_column(frame.columns, "22"), "auto")
    assert task == "classification"
    assert np.unique(values).tolist() == [1, 2, 3]
    assert len(values) == keep.sum() == 299
    assert remarks[0].startswith("1 of 300 rows has no target")


@needs_real
def test_breast_cancer_is_unquoted() -> None:
    frame = read_table(REAL / "breast-cancer.csv", header=False)
    assert frame.row(0) == (
        "40-49", "premeno", "15-19", "0-2", "yes", 3.0, "right", "left_up", "no", "recurrence-events",
    )  # fmt: skip
    assert not any("'" in str(value) for row in frame.rows() for value in row)
    assert find_kinds(frame)["c5"] == "numeric"


@needs_real
@pytest.mark.parametrize(
    ("name", "task", "first"),
    [
        ("german.csv", "classification", 1),
        ("pima-indians-diabetes.csv", "classification", 1),
        ("phoneme.csv", "classification", 0),
        ("winequality-white.csv", "classification", 6),
        ("abalone.csv", "regression", 15.0),
    ],
)
def test_real_targets(name: str, task: str, first: float) -> None:
    frame = read_table(REAL / name, header=False)
    values, decided, keep, remarks = target_column(frame, frame.columns[-1], "auto")
    assert decided == task
    assert values[0] == first
    assert values.dtype.kind == ("i" if task == "classification" else "f")
    assert keep.all()
    assert len(remarks) == 1


@needs_real
def test_german_kinds() -> None:
    kinds = find_kinds(read_table(REAL / "german.csv", header=False))
    assert [int(n[1:]) for n in kinds if kinds[n] == N] == [1, 4, 7, 10, 12, 15, 17, 20]
    assert set(kinds.values()) == {C, N}
