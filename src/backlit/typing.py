"""Names shared by every floor: what may be written where a name is asked for."""

from __future__ import annotations

from collections.abc import Callable
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
class SparseSource(BatchSource, Protocol):
    """Rows of which most numbers are zero, and of which only the others are stored.

    ``sparse_rows(rows)`` is an array of SciPy's in CSR form with the rows numbered `rows`, an array or a slice. The
    compiled engine asks for all rows at once, and reads them where they stand.
    """

    def sparse_rows(self, rows: Any) -> Any: ...
