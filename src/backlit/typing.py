"""Names shared by every floor: what may be written where a name is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

#: A description that JSON can hold: how networks, layers and losses are written to a file.
Spec = dict[str, Any]

#: A learning rate as a function of training time, in epochs (2.5 is the middle of the third epoch).
ScheduleFunction = Callable[[float], float]


class BatchSource(Protocol):
    """Rows that are made when they are asked for: augmented images, say.

    `fetch` writes the rows numbered `rows` into `out`, shape (len(rows), n_features).
    The same `epoch` and rows must give the same numbers, so that a resumed run equals an unbroken one.
    """

    @property
    def shape(self) -> tuple[int, int]: ...

    def fetch(self, rows: Any, out: Any, *, epoch: int) -> None: ...


@runtime_checkable
class EpochSource(BatchSource, Protocol):
    """Rows that are made anew in every epoch, of which those of one epoch can be held in memory.

    `dtype` is that of an array which holds them as they are; `fetch` writes into such an array, too, and may be called
    from another thread. `description` tells one source from another: a run goes on with the source that it began with.
    """

    @property
    def dtype(self) -> Any: ...

    @property
    def description(self) -> str: ...


@runtime_checkable
class RowStream(Protocol):
    """Rows on disk that bring their targets along: `fit` takes one in place of X and y.

    ``bound(net)`` is (rows, targets, weights) as a run of `net` takes them: a `StreamedSource`, and beside it what is
    asked like an array, ``shape``, ``max()``, ``min()`` and ``take(rows)``; None where every row counts once.
    """

    def bound(self, net: Any) -> tuple[Any, Any, Any]: ...


@runtime_checkable
class StreamedSource(BatchSource, Protocol):
    """Rows on disk, of which some blocks at a time are in memory.

    ``order(epoch, seed)`` is the order of the rows in an epoch, made slice by slice; rows that stand near each other in
    it are in memory together. ``together(rows)`` gives whole arrays X, Y and weight, and the places in them of as many
    of the rows, from the first on, as stand there. ``in_order()`` goes through all rows as they stand, in pieces X, Y
    and weight. ``fingerprint`` is a number that other rows would change.
    """

    @property
    def fingerprint(self) -> int: ...

    def order(self, epoch: int, seed: int | None) -> Any: ...

    def together(self, rows: Any) -> tuple[Any, Any, Any, Any]: ...

    def in_order(self) -> Iterator[tuple[Any, Any, Any]]: ...


@runtime_checkable
class SparseSource(BatchSource, Protocol):
    """Rows of which most numbers are zero, and of which only the others are stored.

    ``sparse_rows(rows)`` is an array of SciPy's in CSR form with the rows numbered `rows`, an array or a slice. The
    compiled engine asks for all rows at once, and reads them where they stand.
    """

    def sparse_rows(self, rows: Any) -> Any: ...
