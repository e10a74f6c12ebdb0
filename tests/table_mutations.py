"""Small tables in every format that the command line reads, and what may be wrong with them; drawn from a seed."""

from __future__ import annotations

import gzip
import io
import struct
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tests.mutations import BYTES, Rng, mutated_text

_EXCEL = (".xlsx",) if find_spec("xlsxwriter") and find_spec("fastexcel") else ()
FORMATS = (".csv", ".csv", ".tsv", ".jsonl", ".parquet", ".feather", *_EXCEL, ".npz", ".images.npz", ".idx")

#: What stands in a field of a text file where something else should.
FIELDS = (
    "", " ", '"', '""', '"a,b"', "'", "a\tb", "a\nb", '"a\nb"', "\0", "\x1b[31mred", "\x1b]0;title\x07",
    "\u202eabc", "\ufeff",
    "NaN", "inf", "-inf", "1e400", "-1e400", "1e-400", "9" * 400, "1,5", "1.234,5", "1_000", "0x10", "１２", "-", "+",
    ".", "e5",
    "$5", "5 %", "5%", "−5", "=1+1", "2024-02-30", "2024-01-01", "31.12.2023", "12:30", "2024-01-01T00:00:00Z", "true",
    "TRUE",
    "null", "None", "?", "#N/A", "a" * 3000, "é", "é", "日本", "🙂", "\ud7ff", "\u2028", "\x85", "[red]", "[/]",
    "{}", "%s", "\\", "\\n",
)  # fmt: skip
LINES = ("", ",", '"', "a", "\t\t", ",,,,,,,,,", "#comment", "x,y,z", "\0", '"unclosed', " ", ";", "1;2;3")


def frame(rng: Rng) -> pl.DataFrame:
    """A table with a target that can be learnt."""
    n = int(rng.choice([1, 2, 3, 12, 30, 30, 30]))
    x = rng.normal(size=n).round(3)
    columns: dict[str, Any] = {
        "x": x,
        "count": rng.integers(0, 1000, n),
        "town": rng.choice(["Rome", "Oslo", "Lima, Peru", "Köln"], n).tolist(),
        "day": [f"2024-{1 + k % 12:02}-{1 + k % 28:02}" for k in rng.integers(0, 400, n)],
        "flag": (rng.random(n) < 0.5).tolist(),
        "y": [["no", "yes"][int(v > 0)] for v in x] if rng.random() < 0.6 else (3 * x + 1).round(2).tolist(),
    }
    chosen = [name for name in columns if name == "y" or rng.random() < 0.7]
    return pl.DataFrame({name: columns[name] for name in chosen})


def strange_frame(rng: Rng) -> pl.DataFrame:
    """The same, with columns as only binary formats have them."""
    table = frame(rng)
    n = table.height
    x = rng.normal(size=n)
    made: list[Callable[[], Any]] = [
        lambda: pl.Series([[1, 2]] * n), lambda: pl.Series([{"a": 1}] * n), lambda: pl.Series([b"\xff\x00"] * n),
        lambda: pl.Series([None] * n, dtype=pl.Null), lambda: pl.Series([None] * n, dtype=pl.Float64),
        lambda: pl.Series(x).cast(pl.Decimal(20, 3)), lambda: pl.Series([np.nan, np.inf, -np.inf] * n)[:n],
        lambda: pl.Series([2**63 - 1] * n), lambda: pl.Series([2**64 - 1] * n, dtype=pl.UInt64),
        lambda: pl.Series(range(n)).cast(pl.Datetime("us", "UTC")), lambda: pl.Series(range(n)).cast(pl.Duration),
        lambda: pl.Series(range(n)).cast(pl.Time), lambda: pl.Series(range(n)).cast(pl.Date),
        lambda: pl.Series(["a\x1b[31m", "\0", "b\n"] * n)[:n],
        lambda: pl.Series(["a", "b", None] * n)[:n].cast(pl.Categorical),
        lambda: pl.Series([""] * n), lambda: pl.Series([1e308, -1e308, 1e-320] * n)[:n],
        lambda: pl.Series([True, None] * n)[:n], lambda: pl.Series(["a" * 5000] * n),
        lambda: pl.Series(x).cast(pl.Float32),
        lambda: pl.Series([10**9 * k for k in range(n)]).cast(pl.Datetime("ns")),
        lambda: pl.Series([-(2**62)] * n).cast(pl.Date, strict=False),
    ]  # fmt: skip
    for _ in range(int(rng.integers(1, 3))):
        series = made[int(rng.integers(len(made)))]()
        name = str(rng.choice(["new", "x", "y", "town", "", "a\x1b[31m", "\n", "y ", "Y"]))
        table = table.with_columns(series.alias(name))
    if rng.random() < 0.1:
        table = table[:0]
    return table if rng.random() < 0.9 else table.select(pl.col(table.columns[:1]))


# ── from a table to the bytes of a file ────────────────────────────────────────────────────────────────────


def written(table: pl.DataFrame, form: str) -> bytes:
    buffer = io.BytesIO()
    if form in (".csv", ".tsv"):
        table.write_csv(buffer, separator="," if form == ".csv" else "\t")
    elif form == ".jsonl":
        table.write_ndjson(buffer)
    elif form == ".parquet":
        table.write_parquet(buffer)
    elif form == ".feather":
        table.write_ipc(buffer)
    elif form == ".xlsx":
        table.write_excel(buffer)
    else:
        numbers = table.select(pl.selectors.numeric()).to_numpy()
        X = numbers if numbers.shape[1] else np.ones((table.height, 1))
        np.savez(buffer, X=X, y=np.array(table["y"].to_list()))
    return buffer.getvalue()


def images(rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    n = int(rng.choice([1, 2, 20, 20]))
    return rng.integers(0, 256, (n, 3, 2)).astype(np.uint8), rng.integers(0, 2, n).astype(np.uint8)


def written_images(rng: Rng) -> bytes:
    X, y = images(rng)
    buffer = io.BytesIO()
    np.savez(buffer, X=X, y=y)
    return buffer.getvalue()


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


# ── what is wrong with it ──────────────────────────────────────────────────────────────────────────────────


def change_field(text: str, rng: Rng, sign: str) -> str:
    lines = text.split("\n")
    for _ in range(int(rng.integers(1, 4))):
        row = 0 if rng.random() < 0.25 else int(rng.integers(len(lines)))
        fields = lines[row].split(sign)
        fields[int(rng.integers(len(fields)))] = FIELDS[int(rng.integers(len(FIELDS)))]
        lines[row] = sign.join(fields)
    return "\n".join(lines)


def change_column(text: str, rng: Rng, sign: str) -> str:
    """The same strange field in every row."""
    lines = [line.split(sign) for line in text.split("\n")]
    column, field = int(rng.integers(len(lines[0]))), FIELDS[int(rng.integers(len(FIELDS)))]
    for fields in lines[1:]:
        if len(fields) > column and rng.random() < 0.9:
            fields[column] = field
    return "\n".join(sign.join(fields) for fields in lines)


def change_lines(text: str, rng: Rng, sign: str) -> str:
    lines = text.split("\n")
    row = int(rng.integers(len(lines)))
    what = int(rng.integers(7))
    if what == 0:
        lines.insert(row, LINES[int(rng.integers(len(LINES)))])
    elif what == 1:
        del lines[row]
    elif what == 2:
        lines[0] = sign.join([lines[0].split(sign)[0]] * (lines[0].count(sign) + 1))
    elif what == 3:
        lines[row] += sign + "more"
    elif what == 4:
        lines[row] = lines[row].rpartition(sign)[0]
    elif what == 5:
        lines = lines[:1]
    else:
        lines = lines * 40
    return "\n".join(lines)


def change_signs(text: str, rng: Rng, sign: str) -> str:
    old, new = [
        (sign, ";"),
        (sign, "|"),
        ("\n", "\r\n"),
        ("\n", "\r"),
        (".", ","),
        ("\n", "\n\n"),
        (sign, " "),
        ("o", '"'),
    ][int(rng.integers(8))]
    return text.replace(old, new)


def encoded(text: str, rng: Rng) -> bytes:
    what = rng.random()
    if what < 0.03:
        return text.encode("utf-16", errors="replace")
    if what < 0.06:
        return b"\xef\xbb\xbf" + text.encode(errors="replace")
    if what < 0.09:
        return text.encode("latin-1", errors="replace")
    if what < 0.11:
        return gzip.compress(text.encode(errors="replace"))
    return text.encode(errors="replace")


def mutated_csv(data: bytes, rng: Rng, sign: str) -> bytes:
    changes = (change_field, change_field, change_column, change_lines, change_signs)
    text = data.decode()
    for _ in range(int(rng.integers(1, 3))):
        text = changes[int(rng.integers(len(changes)))](text, rng, sign)
    return encoded(text, rng)


def mutated_lines(data: bytes, rng: Rng) -> bytes:
    lines = data.decode().splitlines()
    for _ in range(int(rng.integers(1, 4))):
        row = int(rng.integers(len(lines)))
        if lines[row][:1] == "{":
            lines[row] = mutated_text(lines[row], rng)
    return "\n".join(lines).encode(errors="surrogatepass")


def mutated_arrays(data: bytes, rng: Rng) -> bytes:
    with np.load(io.BytesIO(data)) as file:
        arrays = {name: file[name] for name in file.files}
    name = str(rng.choice(list(arrays)))
    array = arrays[name]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            changed = [
                lambda: array[:-1], lambda: array[None], lambda: array.reshape(-1), lambda: array.astype("U5"),
                lambda: array.astype(complex), lambda: array.astype(object), lambda: array * np.nan, lambda: array[:0],
                lambda: array.astype("f2"), lambda: array.astype("M8[D]"), lambda: array * 0, lambda: array > 0,
                lambda: np.full(array.shape, "\x1b[31m"), lambda: np.zeros(array.shape, [("a", "i4")]),
                lambda: array * 1e300,
                lambda: array.astype("S3"), lambda: array.astype(np.int8), lambda: np.float64(3.0), lambda: -array,
            ][int(rng.integers(19))]()  # fmt: skip
        except (TypeError, ValueError):
            changed = array[::-1]
    arrays[name] = changed
    if rng.random() < 0.1:
        del arrays[name]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def mutated_table(rng: Rng, real: list[Path], folder: Path) -> tuple[Path, Path]:
    """A good file, and the same with something wrong; a folder where it is images in IDX files."""
    form = FORMATS[int(rng.integers(len(FORMATS)))]
    if form == ".idx":
        return _mutated_folder(rng, folder)
    if form == ".images.npz":
        data = written_images(rng)
    elif form in (".csv", ".tsv") and real and rng.random() < 0.3:
        lines = real[int(rng.integers(len(real)))].read_text().splitlines()[:40]
        data, form = ("\n".join(lines) + "\n").encode(), ".csv"
    else:
        data = written(frame(rng), form)
    good, bad = folder / f"good{form}", folder / f"bad{form}"
    good.write_bytes(data)
    bad.write_bytes(_mutated(data, form, rng))
    return good, bad


def _mutated(data: bytes, form: str, rng: Rng) -> bytes:
    binary = form in (".parquet", ".feather", ".xlsx")
    if rng.random() < 0.25 or (binary and rng.random() < 0.3):
        return BYTES[int(rng.integers(len(BYTES)))](data, rng)
    if form in (".csv", ".tsv"):
        return mutated_csv(data, rng, "," if form == ".csv" else "\t")
    if form == ".jsonl":
        return mutated_lines(data, rng)
    if form.endswith(".npz"):
        return mutated_arrays(data, rng)
    while True:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return written(strange_frame(rng), form)
            except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError):
                continue  # a format that does not have such a column


def _mutated_folder(rng: Rng, folder: Path) -> tuple[Path, Path]:
    names = [f"{part}-{what}" for part in ("train", "t10k") for what in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    parts = [idx(array) for _ in range(2) for array in images(rng)]
    places = []
    for place in ("good", "bad"):
        (folder / place).mkdir(exist_ok=True)
        for name, data in zip(names, parts, strict=True):
            (folder / place / name).write_bytes(data)
        places.append(folder / place)
    k = int(rng.integers(4))
    data = BYTES[int(rng.integers(len(BYTES)))](parts[k], rng)
    (places[1] / names[k]).write_bytes(gzip.compress(data) if rng.random() < 0.2 else data)
    if rng.random() < 0.1:
        (places[1] / names[k]).unlink()
    return places[0], places[1]
