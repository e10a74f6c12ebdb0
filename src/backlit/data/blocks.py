"""Blocks of a text file that are regular, split by polars, and columns of numbers read straight as numbers.

A column that has held numbers so far is parsed as Float64 without texts between. Its block is accepted only where that
changes nothing: no text, no NaN or infinity, no whole number that Float64 would round, no code such as "007". All else
comes as text, to be looked at by `assembling`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..parameters import Array
from .assembling import WIDE
from .values import EXACT

if TYPE_CHECKING:
    import polars as pl

_PIECE: Final = 2**18  # bytes that are looked at in one go: they stay in the processor's cache
_EDGES: Final = b'\n" \t'  # what may stand before a value, besides the separator


def cut(
    block: bytes, sign: str, width: int, numbers: Collection[int] = (), missing: Sequence[str] = ()
) -> pl.DataFrame | None:
    """Whole lines as columns of text; None where they are not regular.

    The columns whose positions are in `numbers` come as Float64 if all of them can; the texts of `missing` are then
    missing values.

    Examples
    --------
    >>> cut(b"1,x\\n2.5,y\\n", ",", 2, numbers={0}).rows(), cut(b"007,x\\n", ",", 2, numbers={0}).rows()
    ([(1.0, 'x'), (2.5, 'y')], [('007', 'x')])
    >>> cut(b"1,x\\n2\\n", ",", 2) is None
    True
    """
    import polars as pl

    separator = sign.encode()
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if b"\0" in block or b"\r" in block:
        return None
    ends = _places(block, b"\n")
    if block.startswith(b"\n") or (np.diff(ends) == 1).any():
        block = re.sub(rb"\n{2,}", b"\n", block).lstrip(b"\n")  # blank lines
        ends = _places(block, b"\n")
    bare = block
    quoted = b'"' in block
    if quoted:
        s = re.escape(separator)
        bare = re.sub(rb"(?:(?<=" + s + rb')|^)"(?:[^"\n]|"")*"(?=' + s + rb"|\n|\Z)", b"", block, flags=re.MULTILINE)
        if b'"' in bare:
            return None
    rows = len(ends) + (not block.endswith(b"\n") and bool(block))
    if np.count_nonzero(np.frombuffer(bare, np.uint8) == separator[0]) != rows * (width - 1):
        return None
    if not rows:
        return pl.DataFrame(schema={f"c{i}": pl.String for i in range(width)})
    limit = csv.field_size_limit()  # the csv module refuses longer fields
    if numbers and np.diff(ends, prepend=-1, append=len(block)).max() <= limit:
        frame = _split(block, sign, width, rows, quoted, numbers, missing)
        if frame is not None and _changes_nothing(frame, block, separator):
            return frame
    frame = _split(block, sign, width, rows, quoted)
    return None if frame is None or (len(block) > limit and _longest(frame) > limit) else frame


def _split(
    block: bytes,
    sign: str,
    width: int,
    rows: int,
    quoted: bool,
    numbers: Collection[int] = (),
    missing: Sequence[str] = (),
) -> pl.DataFrame | None:
    import polars as pl

    try:
        frame = pl.read_csv(
            block,
            has_header=False,
            schema={f"c{i}": pl.Float64 if i in numbers else pl.String for i in range(width)},
            separator=sign,
            quote_char='"' if quoted else None,
            null_values=list(missing) or None,
        )
    except pl.exceptions.PolarsError:
        return None  # a ragged row, bytes that are no UTF-8 (the csv module says where), or no number
    return frame if frame.height == rows else None


def _changes_nothing(frame: pl.DataFrame, block: bytes, separator: bytes) -> bool:
    """Whether the columns of Float64 say what their texts said."""
    import polars as pl

    floats = pl.col(pl.Float64)
    exact = frame.select((floats.abs() < EXACT).fill_null(value=True).all()).row(0)  # false for NaN
    if not all(exact):
        return False
    codes = _codes(block, separator)
    if not codes or pl.String not in frame.dtypes:
        return not codes
    # Those that stand in columns of text do no harm. More can be counted in the bytes than in the texts, never fewer.
    beginning = rf'(?:^|[\x{separator[0]:02x}\n" \t])[+-]?0[0-9]'
    return bool(codes == sum(frame.select(pl.col(pl.String).str.count_matches(beginning).sum()).row(0)))


def _codes(block: bytes, separator: bytes) -> int:
    """How many values begin like a code: with a zero and a further digit, such as "007", "+01" or "05/12/2024"."""
    found = 0
    text = np.frombuffer(block, np.uint8)
    edge = np.zeros(256, dtype=bool)
    edge[list(separator + _EDGES)] = True
    for start in range(0, len(text), _PIECE):
        piece = text[start : start + _PIECE + 1]
        digit = (piece - np.uint8(ord("0"))) < 10
        code = (piece == ord("0"))[:-1] & digit[1:]
        code[1:] &= ~digit[: len(code) - 1]
        places = start + np.flatnonzero(code)  # few are left, to be looked at one by one
        before = np.where(places > 0, text[places - 1], ord("\n"))
        signed = np.flatnonzero((before == ord("+")) | (before == ord("-")))
        if len(signed):
            at = places[signed]
            before[signed] = np.where(at > 1, text[at - 2], ord("\n"))
        found += int(edge[before].sum())
    return found


def _places(block: bytes, sign: bytes) -> Array:
    return np.flatnonzero(np.frombuffer(block, np.uint8) == sign[0])


def _longest(frame: pl.DataFrame) -> int:
    """Bytes of the longest text in a frame."""
    import polars as pl

    if frame.width >= WIDE:
        longest: Any = pl.concat(frame.get_columns()).str.len_bytes().max()
    else:
        longest = max(value or 0 for value in frame.select(pl.all().str.len_bytes().max()).row(0))
    return int(longest or 0)
