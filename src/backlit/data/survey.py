"""What a table holds, column by column, before anything is learnt from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from ..parameters import Array
from .columns import Kind, as_text, parse_numbers
from .values import day_format, moment_texts, moments, plain_numbers

if TYPE_CHECKING:
    import polars as pl

_BARS: Final = " ▁▂▃▄▅▆▇█"
_BINS: Final = 12
_COMMONEST: Final = 3


@final
@dataclass(frozen=True)
class ColumnFacts:
    """One column: how it is read and why, what is missing, what it holds.

    Attributes
    ----------
    name, kind, why : str
        `kind` is "numeric", "date", "categorical", "empty", "left out" or "target".
    missing : float
        Share of the rows without a value.
    distinct : int
    holds : str
        The range of numbers and dates, or the commonest categories.
    histogram : tuple of int
        Values in twelve equal parts of the range, or of the commonest categories.
    association : str
        How much the column tells about the target.
    """

    name: str
    kind: str
    why: str
    missing: float
    distinct: int
    holds: str
    histogram: tuple[int, ...]
    association: str = ""

    def to_dict(self) -> dict[str, Any]:
        """A plain dictionary, for JSON."""
        return asdict(self)


def survey(
    frame: pl.DataFrame, kinds: Mapping[str, Kind], reasons: Mapping[str, str], associations: Mapping[str, str]
) -> list[ColumnFacts]:
    """The facts of every column in `kinds`; `reasons` tells why a column is left out or was decided on."""
    return [
        _facts(frame.get_column(name), kind, reasons.get(name, ""), associations.get(name, ""))
        for name, kind in kinds.items()
    ]


def _facts(column: pl.Series, kind: Kind, reason: str, association: str) -> ColumnFacts:
    missing = column.null_count() / max(1, len(column))
    present = column.drop_nulls()
    distinct = present.n_unique()
    if kind == "empty":
        return ColumnFacts(column.name, kind, reason or "every value is missing", missing, 0, "", ())
    if kind == "numeric":
        values = parse_numbers(present).to_numpy()
        why = reason or ("all numbers" if plain_numbers(as_text(present)).null_count() == 0 else "numbers with signs")
        holds = f"{_shown(values.min())} to {_shown(values.max())}, median {_shown(np.median(values))}"
        return ColumnFacts(column.name, kind, why, missing, distinct, holds, _binned(values), association)
    form = day_format(present) if kind == "date" else None
    if form is not None:
        when = moments(present, form[0])
        ends = moment_texts(when.sort().gather([0, len(when) - 1])).to_list()
        values = when.to_physical().to_numpy().astype(np.float64)
        why = reason or f"all written like {form[0]}"
        return ColumnFacts(
            column.name, kind, why, missing, distinct, f"{ends[0]} to {ends[1]}", _binned(values), association
        )
    counts = sorted((-count, text) for text, count in as_text(present).alias("v").value_counts(name="n").rows())
    commonest = [f"{text} {100 * -count / len(present):.0f} %" for count, text in counts[:_COMMONEST]]
    holds = ", ".join(commonest) + (", …" if len(counts) > _COMMONEST else "")
    bars = tuple(-count for count, _ in counts[:_BINS])
    return ColumnFacts(column.name, kind, reason or "texts", missing, distinct, holds, bars, association)


def _shown(value: float) -> str:
    whole = 1e4 <= abs(value) < 1e15 and value == round(value)
    return f"{value:,.0f}" if whole else f"{value:.6g}"


def _binned(values: Array) -> tuple[int, ...]:
    quarters = values[np.isfinite(values)] / 4.0  # the difference of the largest and the smallest is then a number
    if not len(quarters):
        return (0,) * _BINS
    low, high = quarters.min(), quarters.max()
    if high - low <= 2 * _BINS * np.spacing(max(abs(low), abs(high))):  # no number stands between two bins
        return tuple(len(quarters) if k == _BINS // 2 else 0 for k in range(_BINS))
    counts, _ = np.histogram(quarters, bins=_BINS)
    return tuple(int(count) for count in counts)


def bars(counts: Sequence[int]) -> str:
    """A histogram in block characters; what is there at all is seen.

    Examples
    --------
    >>> bars([0, 1, 4, 8])
    ' ▁▄█'
    """
    most = max(counts, default=0)
    return "".join(_BARS[0 if not count else max(1, round(8 * count / most))] for count in counts)
