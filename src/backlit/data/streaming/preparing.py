"""The second pass over a table: its prepared rows, written to disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ...exceptions import TableError
from ...parameters import Array
from ..columns import require_numbers
from ..preparation import Preparation
from ..targets import labels_of, match_labels
from .holding import HELD, TRAIN, WATCHED, HeldOut
from .reading import Block
from .source import Targets
from .spool import Spool
from .store import Layout, Store, check_room
from .stream import Stream, class_factors
from .survey import Progress, Survey

if TYPE_CHECKING:
    import polars as pl

_NUMBERS: Final = 2**22  # that are prepared at once
_CLASS: Final = np.dtype(np.int32)
_VALUE: Final = np.dtype(np.float64)


def layout_of(preparation: Preparation, labels: Array | None, dtype: Any) -> Layout:
    """What a prepared row is made of."""
    categories = tuple(found.width for found in preparation.categories)
    numbers = preparation.width - sum(categories)
    if labels is None:
        return Layout(numbers, np.dtype(dtype), categories, 1, _VALUE)
    return Layout(numbers, np.dtype(dtype), categories, len(labels), _CLASS)


def prepare(
    table: Spool,
    about: Survey,
    held: HeldOut,
    *,
    dtype: Any,
    window: int,
    folder: str,
    balanced: bool = False,
    progress: Progress | None = None,
) -> Stream:
    """Write the rows of a table as a network takes them: those to train on, and apart those for other things.

    Raises
    ------
    OutputError
        No room on the disk.
    DataError
        As the readers have it.
    """
    layout = layout_of(about.preparation, about.labels, dtype)
    check_room(folder, about.kept * layout.row_bytes)
    size = layout.block_rows(window)
    stores = {purpose: Store(layout, size, folder) for purpose in (TRAIN, WATCHED, HELD)}
    targets = targets_of(about, balanced=balanced)
    start = 0
    low, high = np.inf, -np.inf
    for block in table.blocks():
        start, purpose = start + block.frame.height, held.purpose(start, start + block.frame.height)
        for numbers, codes, y, what in prepared_rows(block, about.preparation, about.target, targets, purpose, dtype):
            low, high = min(low, float(y.min())), max(high, float(y.max()))
            for this, store in stores.items():
                which = what == this
                if which.all():
                    store.append(numbers, codes, y)
                elif which.any():
                    store.append(numbers[which], codes[which], y[which])
        if progress is not None:
            progress(block.share)
    table.close()
    for store in stores.values():
        store.finish()
    if about.labels is None:
        targets.low, targets.high = low, high
    if not stores[TRAIN].rows:
        raise TableError(
            f"all {about.kept} rows with a target are held out, and none is left to train on: hold out fewer"
        )

    def of(store: Store, **others: Any) -> Stream:
        return Stream(store, targets, preparation=about.preparation, about=about, **others)

    apart, watched = (of(stores[purpose]) if stores[purpose].rows else None for purpose in (HELD, WATCHED))
    return of(stores[TRAIN], held=apart, watched=watched)


def targets_of(about: Survey, *, balanced: bool = False) -> Targets:
    """How the targets of a table are learnt."""
    if about.labels is None:
        moments = about.values.moments
        scale = (moments.squares / moments.count) ** 0.5 if moments.count else 0.0
        return Targets(None, mean=moments.mean, scale=scale or 1.0)
    factors = class_factors(about.class_rows) if balanced and about.class_rows is not None else None
    return Targets(about.labels, factors=factors)


def prepared_rows(
    block: Block, preparation: Preparation, target: str, targets: Targets, purpose: Array, dtype: Any
) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Numbers, categories and targets of the rows of a block that have a target, and what each is for."""
    some = max(1, _NUMBERS // max(1, preparation.width))
    for start in range(0, block.frame.height, some):
        frame, what = block.frame.slice(start, some), purpose[start : start + some]
        column = frame.get_column(target)
        first = block.first + start
        if column.null_count():
            there = column.is_not_null()
            if not there.any():
                continue
            frame, what = frame.filter(there), what[there.to_numpy()]
        with block.named():
            y = encoded(column, targets.labels, first)
            numbers, codes = preparation.compact(frame, dtype, first)
        yield numbers, codes, y, what


def encoded(column: pl.Series, labels: Array | None, first: int, *, loose: bool = False) -> Array:
    """The targets of the rows that have one: numbers of classes, or values."""
    present = column.is_not_null()
    if labels is None:
        return require_numbers(column, first).filter(present).to_numpy()
    found = labels_of(column, column.filter(present))
    matched = match_labels(found, labels, loose=loose, rows=first + np.flatnonzero(present.to_numpy()))
    order = np.argsort(labels, kind="stable")
    return np.asarray(order[np.searchsorted(labels, matched, sorter=order)], dtype=_CLASS)
