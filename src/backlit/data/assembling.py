"""Blocks of a table put together, column by column, in canonical form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, final

from .values import (
    CODE,
    EXACT,
    MISSING_TEXTS,
    canonical,
    has_codes,
    holds_large_whole_numbers,
    number_texts,
    plain_numbers,
    with_point,
)

if TYPE_CHECKING:
    import polars as pl


#: Columns from which on a block is looked at as one long series.
WIDE: Final = 1000


@final
class Missing:
    """What stands for a missing value: texts, and the numbers among them."""

    def __init__(self, further: Iterable[str]) -> None:
        import polars as pl

        texts = [text.strip() for text in further]
        forms = canonical(pl.Series(texts, dtype=pl.String)).to_list()
        numbers = plain_numbers(pl.Series(texts, dtype=pl.String))
        self.texts: Final = list(dict.fromkeys([*MISSING_TEXTS, *texts, *forms]))
        self.numbers: Final[list[float]] = numbers.drop_nulls().to_list()

    def of_numbers(self, numbers: pl.Series) -> pl.Series:
        """Numbers with null where one stands for a missing value."""
        return numbers.set(numbers.is_in(self.numbers), None) if self.numbers else numbers

    def of_texts(self, texts: pl.Series) -> pl.Series:
        """Canonical texts, blanks around them dropped, with null where one stands for a missing value."""
        stripped = texts.str.strip_chars()
        present = stripped.set(stripped.is_in(self.texts), None)
        forms = canonical(present)
        return forms.set(forms.is_in(self.texts), None)


@final
class Assembler:
    """A column is numbers for as long as its blocks are; the first text makes texts of those before, too.

    So a column has the same type and the same values wherever the blocks end. Numbers that Float64 would change
    (codes with leading zeros, whole ones beyond 2**53) and infinities are kept as texts.
    """

    def __init__(self, names: Sequence[str], missing: Iterable[str], *, decimal_comma: bool = False) -> None:
        self.names: Final = list(names)
        self._missing = Missing(missing)
        self._decimal_comma = decimal_comma
        self._parts: list[list[pl.Series]] = [[] for _ in names]
        self._numeric = [True] * len(self.names)
        self.height = 0
        self._gaps_in_words = False

    @property
    def numbers(self) -> frozenset[int]:
        """The positions of the columns that have held numbers alone, so that a reader may take them as such."""
        if not self.height or self._decimal_comma or len(self.names) >= WIDE:
            return frozenset()
        return frozenset(i for i, numeric in enumerate(self._numeric) if numeric)

    @property
    def missing_texts(self) -> list[str]:
        """What a reader of numbers has to take for a missing value: nothing, until one has stood among numbers."""
        return [text for text in self._missing.texts if text] if self._gaps_in_words else []

    def add(self, block: pl.DataFrame) -> None:
        """Take a block of columns of text, in the order of the names; those of `numbers` may be Float64 already."""
        import polars as pl

        self.height += block.height
        for i, column in enumerate(block.get_columns()):
            if column.dtype == pl.Float64:
                self._parts[i].append(self._missing.of_numbers(column))
        places = [i for i, kind in enumerate(block.dtypes) if kind == pl.String]
        if not places:
            return
        columns, numbers, plain, codes = _looked_at(block.select(pl.col(pl.String)))
        for i, texts, values, is_plain, has_code in zip(places, columns, numbers, plain, codes, strict=True):
            part: pl.Series | None = None
            if self._numeric[i] and not has_code:
                part = self._missing.of_numbers(values) if is_plain else self._numbers(texts)
            if part is None and self._numeric[i]:
                self._numeric[i] = False
                self._parts[i] = [number_texts(earlier) for earlier in self._parts[i]]
            self._parts[i].append(self._texts(texts) if part is None else part)

    def frame(self) -> pl.DataFrame:
        """The table; what was added is handed over."""
        import polars as pl

        columns = []
        for i, name in enumerate(self.names):
            parts = self._parts[i]
            column = pl.concat(parts) if len(parts) > 1 else parts[0]
            parts.clear()
            if self._numeric[i] and column.null_count() == len(column):
                column = column.cast(pl.String)  # not a single value: neither kind
            columns.append(column.rechunk().alias(name))
        return pl.DataFrame(columns)

    def _numbers(self, texts: pl.Series) -> pl.Series | None:
        """A part of a column as Float64, or None where it has to be texts."""
        before = texts.null_count()
        texts = self._stripped(texts)
        values = plain_numbers(texts)
        if values.null_count() != texts.null_count() or values.is_infinite().any():
            return None
        if has_codes(texts) or holds_large_whole_numbers(texts, values):
            return None
        self._gaps_in_words |= texts.null_count() > before
        return self._missing.of_numbers(values)

    def _stripped(self, texts: pl.Series) -> pl.Series:
        import polars as pl

        stripped = texts.str.strip_chars()
        present = stripped.set(stripped.is_in(self._missing.texts), None)
        if self._decimal_comma and present.null_count() < len(present):
            return pl.DataFrame({"t": present}).select(with_point(pl.col("t"))).to_series()
        return present

    def _texts(self, texts: pl.Series) -> pl.Series:
        return self._missing.of_texts(self._stripped(texts) if self._decimal_comma else texts)


def _looked_at(block: pl.DataFrame) -> tuple[list[pl.Series], list[pl.Series], Sequence[bool], Sequence[bool]]:
    """The columns of a block, and as numbers; which are nothing but plain numbers; which hold a code like "007".

    What is nothing but plain numbers, as most columns of most tables are, needs no further look at its texts.
    """
    import polars as pl

    columns = block.get_columns()
    if block.width < WIDE:
        frame = block.select(pl.all().cast(pl.Float64, strict=False))
        plain = frame.select((pl.all().abs() < EXACT).fill_null(value=False).all()).row(0)
        codes = block.select(pl.all().str.contains(CODE).any()).row(0)
        return columns, frame.get_columns(), plain, codes
    cells = pl.concat(columns).rechunk()  # one after the other: a hundred thousand expressions would take their time
    values = cells.cast(pl.Float64, strict=False)
    shape, height = (block.width, block.height), block.height
    fine: Any = (values.abs() < EXACT).fill_null(value=False).to_numpy().reshape(shape).all(axis=1)
    coded: Any = cells.str.contains(CODE).fill_null(value=False).to_numpy().reshape(shape).any(axis=1)
    parts = [values.slice(i * height, height) for i in range(block.width)]
    return columns, parts, list(fine), list(coded)
