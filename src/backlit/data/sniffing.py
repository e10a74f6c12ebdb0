"""What the head of a text file says about it: its separator, its quotes, its decimal sign."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import Final

from .values import MISSING_TEXTS

#: Separators in the order of preference; blanks only where nothing else separates.
DELIMITERS: Final = (",", ";", "\t", "|")
BLANK: Final = " "

_NUMBER: Final = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA: Final = re.compile(r"[+-]?\s*[$€£¥]?\s*(\d*,(\d{1,2}|\d{4,})|\d{1,3}(\.\d{3})+,\d+)\s*[$€£¥%]?")
_DECIMAL_POINT: Final = re.compile(r"[+-]?\d*\.\d+|[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_LINES: Final = 100


def find_delimiter(head: Sequence[str], *, tabs: bool = False) -> str:
    """The sign between fields: the one that cuts every line into as many fields, and leaves most numbers whole.

    `tabs` prefers tabs, as in a .tsv file.

    Examples
    --------
    >>> find_delimiter(["1,5;2,5;a", "2,5;3,5;b"]), find_delimiter(["a|b", "1|2"]), find_delimiter(["1 2", "3   4"])
    (';', '|', ' ')
    >>> find_delimiter(['"name, first";x', '"Ann, A";1'])
    ';'
    """
    lines = list(head[:_LINES])
    if not lines:
        return "\t" if tabs else ","
    if tabs and "\t" in lines[0]:
        return "\t"
    best, found = (0.0, 0.0, 0), ","
    for sign in DELIMITERS:
        rows = split_lines(lines, sign)
        width = len(rows[0])
        if width < 2:
            continue
        alike = sum(len(row) == width for row in rows) / len(rows)
        fields = [field.strip() for row in rows for field in row]
        numbers = sum(_NUMBER.fullmatch(field) is not None for field in fields) / len(fields)
        # a table with a ragged row or two is still cut by its own sign
        score = (round(alike, 1), round(numbers, 2), width)
        if score > best:
            best, found = score, sign
    if best[2]:
        return found
    widths = {len(line.split()) for line in lines}
    return BLANK if len(widths) == 1 and widths != {1} and _mostly_numbers(lines) else ","


def _mostly_numbers(lines: Sequence[str]) -> bool:
    """Whether the fields between blanks are numbers: a text of several words is no table."""
    rest = lines[1:] or lines
    fields = [field for line in rest for field in line.split()]
    return sum(_NUMBER.fullmatch(field) is not None for field in fields) * 2 >= len(fields)


def split_lines(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """The lines as rows; a line that cannot be split is one field."""
    rows = []
    for line in lines:
        try:
            rows.append(next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [line]))
        except csv.Error:
            rows.append([line])
    return rows


def find_decimal(head: Sequence[str], delimiter: str) -> str | None:
    """The decimal sign that the head speaks for: "," or ".", or None where it holds no evidence.

    Examples
    --------
    >>> find_decimal(["a;b", "1,5;x"], ";"), find_decimal(["a,b", "1.5,2"], ","), find_decimal(["a;b", "1;2"], ";")
    (',', '.', None)
    """
    fields = [field.strip() for row in split_lines(head[:_LINES], delimiter) for field in row]
    commas = sum(_DECIMAL_COMMA.fullmatch(field) is not None for field in fields)
    points = sum(_DECIMAL_POINT.fullmatch(field) is not None for field in fields)
    if not commas and not points:
        return None
    return "," if commas > points else "."


def single_quoted(head: Sequence[str], delimiter: str, header: bool) -> bool:
    """Whether every text value at the head of the file stands in single quotes."""
    # A header may go without quotes above values that have them.
    lines = head[1:] if header and len(head) > 1 else head
    sign = re.escape(delimiter)
    field = re.compile(rf"[ ]*(?:'((?:[^']|'')*)'[ ]*(?={sign}|$)|([^{sign}]*))(?:{sign}|$)")
    seen = False
    for line in lines:
        place = 0
        while place < len(line):
            match = field.match(line, place)
            if match is None:
                return False
            quoted, bare = match.group(1), (match.group(2) or "").strip()
            if quoted is not None:
                seen = True
            elif bare not in MISSING_TEXTS and _NUMBER.fullmatch(bare) is None:
                return False
            place = match.end()
    return seen
